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
from exporter.report.observed import OBSERVED, Floats
from exporter.report.window import CELL_SECONDS, Window

_REMEMBERED = 7 * 86400.0
"""Seconds for which the last sample of a series that was dropped is looked for."""


async def owner_gains(
    sampler: Sampler, window: Window, devices: Mapping[str, Samples]
) -> dict[str, dict[Owner, Amounts]]:
    """Returns what each owner's series of each GPU gained in a window.

    A series is served flat before it grows, and goes on for an hour after: so its first sample is where it starts
    from, be it 0 or, if the owner had been there before, what it was then. If scrapes failed before that sample, it may
    have grown unseen: it then starts from what the same life of the exporter had shown of it last, or from 0.

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
    merged = replicas_merged_by(owner_of_series, tables, sampler.apart)
    scraped: dict[str, Floats] = {}
    for (uuid, _), samples in merged.items():
        scraped[uuid] = np.union1d(scraped.get(uuid, ()), samples.times)
    gains: dict[str, dict[Owner, Amounts]] = {}
    for (uuid, owner), samples in merged.items():
        known = samples
        if before := _last_scrape_before(samples.times[0], scraped[uuid], sampler.least_gap):
            shown = await last_shown(sampler, devices[uuid], uuid, before)
            known = _from(before, shown.get(owner, Amounts()), samples)
        curve = owner_curve(known, reset_times(devices[uuid]))
        gains.setdefault(uuid, {})[owner] = curve.at(window.end).minus(curve.at(window.start))
    return gains


async def last_shown(sampler: Sampler, devices: Samples, uuid: str, until: float) -> dict[Owner, Amounts]:
    """Returns what all owner series that a GPU had in one life of its exporter showed last, be they dropped since.

    An exporter is at least as old as the seconds that it observed.

    Args:
        sampler: Asks for them.
        devices: The samples of the GPU's device counters.
        uuid: The GPU.
        until: Unix seconds, of a scrape in that life.
    """
    row = max(0, int(np.searchsorted(devices.times, until, side="right")) - 1)
    age = float(devices.counters[row, OBSERVED])
    shown: dict[Owner, Amounts] = {}
    for labels, latest in (await sampler.latest(OWNERS, uuid, until, min(age, _REMEMBERED))).items():
        if key := owner_of_series(dict(labels)):
            amounts = Amounts(*np.nan_to_num(latest.counters[-1]).tolist())
            shown[key[1]] = max(amounts, shown.get(key[1], amounts))
    return shown


def owner_of_series(labels: Mapping[str, str]) -> tuple[str, Owner] | None:
    """Returns the GPU and the owner of an owner series; Prometheus drops labels that are empty."""
    if labels.get("ownership") not in set(Ownership):
        return None
    owner = Owner(labels.get("username", ""), labels.get("task_type", ""), Ownership(labels["ownership"]))
    return labels["gpu_uuid"], owner


def _last_scrape_before(first: float, scraped: Floats, least_gap: float) -> float | None:
    """Returns the last scrape of a GPU before a series' first sample, if scrapes failed between the two."""
    row = int(np.searchsorted(scraped, first))
    return float(scraped[row - 1]) if row and first - scraped[row - 1] > least_gap else None


def _from(before: float, amounts: Amounts, samples: Samples) -> Samples:
    return Samples(np.insert(samples.times, 0, before), np.insert(samples.counters, 0, amounts, axis=0))


def _beginnings(samples: Samples, start: float) -> Iterator[Span]:
    """Returns where the series appeared or came back between two instants of the grid."""
    times = samples.times
    if times[0] - CELL_SECONDS > start:
        yield times[0] - CELL_SECONDS, times[0]
    absent = np.diff(times) > 1.5 * CELL_SECONDS
    for n in np.flatnonzero(absent):
        yield max(times[n], times[n + 1] - CELL_SECONDS), times[n + 1]
