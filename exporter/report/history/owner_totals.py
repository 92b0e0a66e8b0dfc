"""What the exporter's owner series showed on either side of gaps of the scrapes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from exporter.model import Amounts, Owner
from exporter.report.history.counters import CounterCurve
from exporter.report.history.gap_division import Gap, OwnerTotals
from exporter.report.history.owner_series import last_shown, owner_of_series
from exporter.report.history.queries import OWNERS, UNBOOKED
from exporter.report.history.sampler import Sampler, Span
from exporter.report.history.samples import Labels, Samples
from exporter.report.observed import OBSERVED

_INSTANT = 0.001
"""Seconds: all that one scrape tells has one time."""


async def owner_totals(
    sampler: Sampler,
    devices: Mapping[str, Samples],
    curves: Mapping[str, CounterCurve],
    gaps: Mapping[str, Sequence[Gap]],
) -> dict[tuple[str, Gap], tuple[OwnerTotals, OwnerTotals]]:
    """Asks what the owner series showed at the last scrape before each gap, and at the first that tells of all of it.

    A series that comes back in the gap went on from where it was when it was dropped.

    Args:
        sampler: Reads the surroundings.
        devices: The samples of the device counters by GPU.
        curves: The same, joined across resets.
        gaps: By GPU.

    Returns:
        By GPU and gap; those of which the one or the other was not scraped are left out.
    """
    spans = {uuid: [span for gap in each for span in _beside(gap, sampler.apart)] for uuid, each in gaps.items()}
    scraped_of = await _scraped(sampler, curves, spans)
    around = {}
    for uuid, each in gaps.items():
        for gap in each:
            before = [totals for one in scraped_of[uuid] if (totals := one.before(gap, sampler.apart))]
            after = [totals for one in scraped_of[uuid] if (totals := one.after(gap))]
            if before and after:
                first, last = max(before, key=attrgetter("until")), min(after, key=attrgetter("until"))
                if not gap.starts_at_reset and last.amounts.keys() - first.amounts.keys():
                    dropped = await last_shown(sampler, devices[uuid], uuid, gap.start)
                    first = OwnerTotals(first.until, {**dropped, **first.amounts})
                around[uuid, gap] = first, last
    return around


async def _scraped(
    sampler: Sampler, curves: Mapping[str, CounterCurve], spans: Mapping[str, Sequence[Span]]
) -> defaultdict[str, list[_Scraped]]:
    """Returns, by GPU, what each server scraped of it."""
    owners: defaultdict[Labels, dict[Owner, Samples]] = defaultdict(dict)
    for labels, samples in (await sampler.within(OWNERS, spans)).items():
        if key := owner_of_series(dict(labels)):
            _, owner = key
            owners[frozenset(label for label in labels if label[0] not in Owner._fields)][owner] = samples
    scraped: defaultdict[str, list[_Scraped]] = defaultdict(list)
    for labels, unbooked in (await sampler.within(UNBOOKED, spans)).items():
        uuid = dict(labels)["gpu_uuid"]
        scraped[uuid].append(_Scraped(curves[uuid], unbooked, owners[labels]))
    return scraped


def _beside(gap: Gap, apart: float) -> Iterator[Span]:
    if not gap.starts_at_reset:
        yield gap.start - apart, gap.start
    yield gap.end, gap.known_until


@dataclass(frozen=True, slots=True, eq=False)
class _Scraped:
    """What one server scraped of one GPU's owners."""

    curve: CounterCurve
    unbooked: Samples
    """Under OBSERVED the seconds that were observed and are in no owner's series yet."""
    owners: Mapping[Owner, Samples]

    def before(self, gap: Gap, apart: float) -> OwnerTotals | None:
        if gap.starts_at_reset:
            return OwnerTotals(gap.start, {})
        last = int(np.searchsorted(self.unbooked.times, gap.start + _INSTANT)) - 1
        if last < 0 or self.unbooked.times[last] <= gap.start - apart:
            return None
        totals = self._at(last)
        return OwnerTotals(min(totals.until, gap.start), totals.amounts)

    def after(self, gap: Gap) -> OwnerTotals | None:
        first, end = np.searchsorted(self.unbooked.times, (gap.end - _INSTANT, gap.known_until))
        each = (self._at(n) for n in range(first, end))
        return next((totals for totals in each if totals.until >= gap.end), None)

    def _at(self, scrape: int) -> OwnerTotals:
        """Returns what one scrape showed, and up to when: as much as was observed and is not waiting."""
        time = self.unbooked.times[scrape]
        shown = self.curve.at(time).observed_seconds - self.unbooked.counters[scrape, OBSERVED]
        amounts = {
            owner: Amounts(*np.nan_to_num(counters).tolist())
            for owner, samples in self.owners.items()
            for counters in samples.counters[np.abs(samples.times - time) < _INSTANT]
        }
        return OwnerTotals(float(np.interp(shown, self.curve.values[:, OBSERVED], self.curve.times)), amounts)
