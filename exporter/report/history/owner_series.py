"""What owners gained according to the exporter's own owner series: the report's only source without the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from exporter.model import Amounts, Owner, Ownership
from exporter.report.history.counters import accumulate_booked, births, restarts
from exporter.report.history.queries import OWNERS
from exporter.report.history.sampler import Sampler, Span, joined, merged
from exporter.report.observed import Floats
from exporter.report.window import CELL_SECONDS, Window


async def owner_gains(
    sampler: Sampler, window: Window, devices: Mapping[str, Floats]
) -> dict[str, dict[Owner, Amounts]]:
    """What each owner's series of each GPU gained in a window.

    A series is served flat before it grows, and goes on for an hour after: so its first sample is where it starts
    from, be it 0 or, if the owner had been there before, what it was then.

    Args:
        sampler: Reads the window and its surroundings.
        window: The stretch of time.
        devices: The samples of the device counters by GPU, which tell when the exporter restarted.
    """
    coarse = await sampler.grid(OWNERS, devices.keys(), bracketed=False)
    wanted: dict[str, set[Span]] = {
        uuid: {(rows[n, 0], rows[n + 1, 0]) for n in np.flatnonzero(restarts(rows, sampler.apart))}
        for uuid, rows in devices.items()
    }
    for (uuid, _), rows in merged(coarse, owner_of_series, sampler.apart).items():
        wanted[uuid].update(_unclear(rows, sampler.start))
    tables = joined((await sampler.within(OWNERS, wanted), coarse))
    gains: dict[str, dict[Owner, Amounts]] = {}
    for (uuid, owner), rows in merged(tables, owner_of_series, sampler.apart).items():
        track = accumulate_booked(rows, births(devices[uuid], sampler.apart))
        gains.setdefault(uuid, {})[owner] = track.at(window.end).minus(track.at(window.start))
    return gains


def _unclear(rows: Floats, start: float) -> Iterator[Span]:
    """Where the series was born or came back between two instants of the grid."""
    times = rows[:, 0]
    if times[0] - CELL_SECONDS > start:
        yield times[0] - CELL_SECONDS, times[0]
    absent = np.diff(times) > 1.5 * CELL_SECONDS
    for n in np.flatnonzero(absent):
        yield max(times[n], times[n + 1] - CELL_SECONDS), times[n + 1]


def owner_of_series(labels: Mapping[str, str]) -> tuple[str, Owner] | None:
    """The GPU and the owner; Prometheus drops labels that are empty."""
    if labels.get("ownership") not in set(Ownership):
        return None
    owner = Owner(labels.get("username", ""), labels.get("task_type", ""), Ownership(labels["ownership"]))
    return labels["gpu_uuid"], owner
