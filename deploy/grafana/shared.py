"""Panels that stand on more than one dashboard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from grafana_foundation_sdk.builders import stat, table
from grafana_foundation_sdk.builders import timeseries as lines

from deploy.grafana import queries
from deploy.grafana.frame import to_node, to_user
from deploy.grafana.panels import STATES, Series, figure, rows, timeseries
from exporter.speech import N_, Speech

_OWNERSHIPS_EXPLAINED = N_("By ownership. Unknown: the consumption API has not said whose they are; they are not free.")


def gpus_now(words: Speech) -> stat.Panel:
    """How many GPUs of each ownership there are."""
    _ = words.gettext
    return figure(_("GPUs"), _(_OWNERSHIPS_EXPLAINED), *_ownerships(words), size=(12, 4))


def gpus_over_time(words: Speech) -> lines.Panel:
    """How many there were."""
    _ = words.gettext
    return timeseries(_("GPUs by ownership"), _(_OWNERSHIPS_EXPLAINED), *_ownerships(words), stacked=True)


def _ownerships(words: Speech) -> Iterator[Series]:
    for state, color in STATES.items():
        query = queries.UNREADABLE if state == "unreadable" else queries.gpus(state)
        yield Series(query, words.gettext(state), color)


def idle_now(words: Speech, matchers: str, labels: Sequence[str], size: tuple[int, int]) -> table.Panel:
    """Who holds a GPU without using it, longest first."""
    _ = words.gettext
    return rows(
        _("Owned but idle, last hour"),
        _("The 20 owned GPUs that were idle longest, and the VRAM in use on them."),
        labels,
        Series(queries.idle_last_hour(matchers), _("Idle for")),
        Series(queries.vram_of_idle(matchers), _("VRAM used")),
        words=words,
        size=size,
        links={"hostname": to_node(words), "username": to_user(words)},
        descending=_("Idle for"),
    )


def held_by_user(words: Speech, matchers: str, size: tuple[int, int]) -> lines.Panel:
    """How many GPUs each user held over time."""
    _ = words.gettext
    return timeseries(
        _("GPUs owned, by user"),
        _("A shared GPU counts in parts. A gap: it was not known who held what."),
        Series(queries.held(matchers), "{{username}}"),
        size=size,
        stacked=True,
    )


def throttling(words: Speech) -> lines.Panel:
    """How much of the GPUs' time was throttled, and why."""
    _ = words.gettext
    return timeseries(
        _("Throttling"),
        _("Share of the GPUs' time, by reason. At the power limit (ppt) a GPU under full load is where it belongs."),
        Series(queries.THROTTLED, "{{reason}}"),
        alert_above=0.1,
        size=(8, 8),
    )
