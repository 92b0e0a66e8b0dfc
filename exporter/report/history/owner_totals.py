"""What the exporter's owner series showed on either side of gaps of the scrapes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from exporter.model import Amounts, Owner
from exporter.report.history.counters import Labels, Track
from exporter.report.history.owner_series import owner_of_series
from exporter.report.history.queries import OWNERS, UNBOOKED
from exporter.report.history.sampler import Sampler, Span
from exporter.report.history.scrape_gaps import Booked, Gap
from exporter.report.observed import OBSERVED, Floats

_INSTANT = 0.001
"""Seconds: all that one scrape tells has one time."""


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
    series: defaultdict[Labels, dict[Owner, Floats]] = defaultdict(dict)
    for labels, rows in (await sampler.within(OWNERS, spans)).items():
        if key := owner_of_series(dict(labels)):
            series[frozenset(label for label in labels if label[0] not in Owner._fields)][key[1]] = rows
    books: defaultdict[str, list[_Books]] = defaultdict(list)
    for labels, waiting in (await sampler.within(UNBOOKED, spans)).items():
        uuid = dict(labels)["gpu_uuid"]
        books[uuid].append(_Books(tracks[uuid], waiting, series[labels]))
    around = {}
    for uuid, each in found.items():
        for gap in each:
            before = [booked for one in books[uuid] if (booked := one.before(gap, sampler.apart))]
            after = [booked for one in books[uuid] if (booked := one.after(gap))]
            if before and after:
                around[uuid, gap] = max(before, key=attrgetter("until")), min(after, key=attrgetter("until"))
    return around


def _beside(gap: Gap, apart: float) -> Iterator[Span]:
    if not gap.is_birth:
        yield gap.start - apart, gap.start
    yield gap.end, gap.known_until


@dataclass(frozen=True, slots=True, eq=False)
class _Books:
    """Of one GPU, as one server scraped them."""

    track: Track
    unbooked: Floats
    """Samples of the seconds that were observed and no owner's yet."""
    owners: Mapping[Owner, Floats]

    def before(self, gap: Gap, apart: float) -> Booked | None:
        if gap.is_birth:
            return Booked(gap.start, {})
        last = int(np.searchsorted(self.unbooked[:, 0], gap.start + _INSTANT)) - 1
        if last < 0 or self.unbooked[last, 0] <= gap.start - apart:
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
        amounts = {
            owner: Amounts(*np.nan_to_num(row[1:]).tolist())
            for owner, rows in self.owners.items()
            for row in rows[np.abs(rows[:, 0] - time) < _INSTANT]
        }
        return Booked(float(np.interp(shown, self.track.values[:, OBSERVED], self.track.times)), amounts)
