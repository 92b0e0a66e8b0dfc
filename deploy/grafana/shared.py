"""Panels that stand on more than one dashboard."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import stat, table
from grafana_foundation_sdk.builders import timeseries as lines

from deploy.grafana import queries
from deploy.grafana.frame import TO_NODE, TO_USER
from deploy.grafana.panels import Series, figure, rows, timeseries

OWNERSHIPS = (
    *(Series(queries.gpus(kind), kind) for kind in ("owned", "shared", "unallocated", "unknown")),
    Series(queries.UNREADABLE, "unreadable"),
)
_OWNERSHIPS_EXPLAINED = "By ownership. Unknown: the consumption API has not said whose they are; they are not free."


def gpus_now() -> stat.Panel:
    """How many GPUs of each ownership there are."""
    return figure("GPUs", _OWNERSHIPS_EXPLAINED, *OWNERSHIPS, size=(12, 4))


def gpus_over_time() -> lines.Panel:
    """How many there were."""
    return timeseries("GPUs by ownership", _OWNERSHIPS_EXPLAINED, *OWNERSHIPS, stacked=True)


def idle_now(matchers: str, labels: Sequence[str], size: tuple[int, int]) -> table.Panel:
    """Who holds a GPU without using it, longest first."""
    return rows(
        "Held and idle in the last hour",
        "The 20 GPUs that were held and idle longest, and the VRAM in use on them.",
        labels,
        Series(queries.idle_last_hour(matchers), "Idle for"),
        Series(queries.vram_of_idle(matchers), "VRAM used"),
        size=size,
        links={"hostname": TO_NODE, "username": TO_USER},
        descending="Idle for",
    )


def held_by_user(matchers: str, size: tuple[int, int]) -> lines.Panel:
    """How many GPUs each user held over time."""
    return timeseries(
        "GPUs held, by user",
        "A shared GPU counts in parts. A gap: it was not known who held what.",
        Series(queries.held(matchers), "{{username}}"),
        size=size,
        stacked=True,
    )


def throttling() -> lines.Panel:
    """How much of the GPUs' time was throttled, and why."""
    return timeseries(
        "Throttling",
        "Share of the GPUs' time, by reason. At the power limit (ppt) a GPU under full load is where it belongs.",
        Series(queries.THROTTLED, "{{reason}}"),
        size=(8, 8),
    )
