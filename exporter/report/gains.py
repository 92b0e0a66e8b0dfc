"""What owners had according to the exporter's own owner series.

They are the report's only source of owners without the API, and with it tell what happened in gaps of the scrapes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.model import Amounts, Owner, Ownership
from exporter.report.gaps import Booked, Gap
from exporter.report.queries import OWNERS, UNBOOKED
from exporter.report.sampling import Sampler, Span, joined, merged
from exporter.report.tracks import OBSERVED, Floats, Track, accumulate_booked, births, restarts
from exporter.report.window import CELL_SECONDS, Window

_INSTANT = 0.001


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
    for (uuid, _), rows in merged(coarse, _key, sampler.apart).items():
        wanted[uuid].update(_unclear(rows, sampler.start))
    tables = joined((await sampler.within(OWNERS, wanted), coarse))
    gains: dict[str, dict[Owner, Amounts]] = {}
    for (uuid, owner), rows in merged(tables, _key, sampler.apart).items():
        track = accumulate_booked(rows, births(devices[uuid], sampler.apart))
        gains.setdefault(uuid, {})[owner] = track.at(window.end).minus(track.at(window.start))
    return gains


async def bookings(
    sampler: Sampler, tracks: Mapping[str, Track], found: Mapping[str, Sequence[Gap]]
) -> dict[tuple[str, Gap], tuple[Booked, Booked]]:
    """What the owner series showed at the last scrape before a gap, and at the first that tells of all of it.

    Args:
        sampler: Reads the surroundings.
        tracks: The device counters by GPU.
        found: The gaps by GPU.

    Returns:
        By GPU and gap; those of which the one or the other was not scraped are left out.
    """
    spans = {uuid: [span for gap in each for span in _beside(gap, sampler.apart)] for uuid, each in found.items()}
    unbooked = merged(await sampler.within(UNBOOKED, spans), lambda labels: labels.get("gpu_uuid"), sampler.apart)
    series: defaultdict[str, dict[Owner, Floats]] = defaultdict(dict)
    for (uuid, owner), rows in merged(await sampler.within(OWNERS, spans), _key, sampler.apart).items():
        series[uuid][owner] = rows
    around = {}
    for uuid, waiting in unbooked.items():
        books = _Books(tracks[uuid], waiting, series[uuid], sampler.apart)
        for gap in found[uuid]:
            before, after = books.before(gap), books.after(gap)
            if before and after:
                around[uuid, gap] = before, after
    return around


def _beside(gap: Gap, apart: float) -> Iterator[Span]:
    if not gap.is_birth:
        yield gap.start - apart, gap.start
    yield gap.end, gap.known_until


@dataclass(frozen=True, slots=True, eq=False)
class _Books:
    """Of one GPU."""

    track: Track
    unbooked: Floats
    """Samples of the seconds that were observed and no owner's yet."""
    owners: Mapping[Owner, Floats]
    apart: float

    def before(self, gap: Gap) -> Booked | None:
        if gap.is_birth:
            return Booked(gap.start, {})
        last = int(np.searchsorted(self.unbooked[:, 0], gap.start + _INSTANT)) - 1
        if last < 0 or self.unbooked[last, 0] <= gap.start - self.apart:
            return None
        booked = self._at(last)
        return Booked(min(booked.until, gap.start), booked.amounts)

    def after(self, gap: Gap) -> Booked | None:
        first, end = np.searchsorted(self.unbooked[:, 0], (gap.end - _INSTANT, gap.known_until))
        each = (self._at(n) for n in range(first, end))
        return next((booked for booked in each if booked.until >= gap.end), None)

    def _at(self, scrape: int) -> Booked:
        """What one scrape showed, and up to when: as much as was observed and is not waiting."""
        time, waiting = self.unbooked[scrape, :2]
        shown = self.track.at(time).observed_seconds - waiting
        amounts = {}
        for owner, rows in self.owners.items():
            last = np.searchsorted(rows[:, 0], time + _INSTANT) - 1
            if last >= 0 and rows[last, 0] > time - self.apart:
                amounts[owner] = Amounts(*np.nan_to_num(rows[last, 1:]).tolist())
        return Booked(float(np.interp(shown, self.track.values[:, OBSERVED], self.track.times)), amounts)


def _unclear(rows: Floats, start: float) -> Iterator[Span]:
    """Where the series was born or came back between two instants of the grid."""
    times = rows[:, 0]
    if times[0] - CELL_SECONDS > start:
        yield times[0] - CELL_SECONDS, times[0]
    absent = np.diff(times) > 1.5 * CELL_SECONDS
    for n in np.flatnonzero(absent):
        yield max(times[n], times[n + 1] - CELL_SECONDS), times[n + 1]


def _key(labels: Mapping[str, str]) -> tuple[str, Owner] | None:
    """The GPU and the owner; Prometheus drops labels that are empty."""
    if labels.get("ownership") not in set(Ownership):
        return None
    owner = Owner(labels.get("username", ""), labels.get("task_type", ""), Ownership(labels["ownership"]))
    return labels["gpu_uuid"], owner
