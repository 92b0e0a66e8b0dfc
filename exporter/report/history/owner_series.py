"""What owners gained according to the exporter's own owner series: the report's only source without the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from exporter.model import Amounts, Owner, Ownership
from exporter.report.history.counters import owner_curve
from exporter.report.history.lives import reset_times, resets
from exporter.report.history.queries import OWNERS
from exporter.report.history.replicas import replicas_merged_by
from exporter.report.history.sampler import Sampler, Span
from exporter.report.history.samples import Samples, united_by_series
from exporter.report.window import CELL_SECONDS, Window


async def owner_gains(
    sampler: Sampler, window: Window, devices: Mapping[str, Samples]
) -> dict[str, dict[Owner, Amounts]]:
    """Returns what each owner's series of each GPU gained in a window.

    A series is served flat before it grows, and goes on for an hour after: so its first sample is where it starts
    from, be it 0 or, if the owner had been there before, what it was then.

    Args:
        sampler: Reads the window and its surroundings.
        window: The stretch of time.
        devices: The samples of the device counters by GPU, which tell when the exporter restarted.
    """
    coarse = await sampler.grid(OWNERS, devices.keys(), bracketed=False)
    wanted: dict[str, set[Span]] = {
        uuid: {(samples.times[n], samples.times[n + 1]) for n in np.flatnonzero(resets(samples))}
        for uuid, samples in devices.items()
    }
    for (uuid, _), samples in replicas_merged_by(owner_of_series, coarse, sampler.apart).items():
        wanted[uuid].update(_beginnings(samples, sampler.start))
    tables = united_by_series((await sampler.within(OWNERS, wanted), coarse))
    gains: dict[str, dict[Owner, Amounts]] = {}
    for (uuid, owner), samples in replicas_merged_by(owner_of_series, tables, sampler.apart).items():
        curve = owner_curve(samples, reset_times(devices[uuid]))
        gains.setdefault(uuid, {})[owner] = curve.at(window.end).minus(curve.at(window.start))
    return gains


def owner_of_series(labels: Mapping[str, str]) -> tuple[str, Owner] | None:
    """Returns the GPU and the owner of an owner series; Prometheus drops labels that are empty."""
    if labels.get("ownership") not in set(Ownership):
        return None
    owner = Owner(labels.get("username", ""), labels.get("task_type", ""), Ownership(labels["ownership"]))
    return labels["gpu_uuid"], owner


def _beginnings(samples: Samples, start: float) -> Iterator[Span]:
    """Returns where the series appeared or came back between two instants of the grid."""
    times = samples.times
    if times[0] - CELL_SECONDS > start:
        yield times[0] - CELL_SECONDS, times[0]
    absent = np.diff(times) > 1.5 * CELL_SECONDS
    for n in np.flatnonzero(absent):
        yield max(times[n], times[n + 1] - CELL_SECONDS), times[n + 1]
