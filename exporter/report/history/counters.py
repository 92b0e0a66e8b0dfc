"""From samples of counters to what they stood at at any instant. Pure.

Samples are tables with one row each: the Unix time, then the counters in the order of `Amounts`, NaN where one is
absent.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.model import Amounts
from exporter.report.observed import ENERGY, OBSERVED, Floats

Labels = frozenset[tuple[str, str]]
"""Of one target's series, without the metric's name."""
Tables = dict[Labels, Floats]

WIDTH = 1 + len(Amounts._fields)
_CLOCK_SLACK = 60.0
"""Seconds by which a scrape's timestamp may be off. A counter that fell to a value that needs more time than passed
was not started anew: two servers' clocks differ."""
_CLOCKS_DIFFER = 1.0
"""Seconds by which the clocks of two servers usually may."""
_ROUNDING = 1e-9
"""VictoriaMetrics keeps decimals: a value that stands still may differ in its last bits."""
_PLAUSIBLE_WATTS = 2000.0
"""As in the meter: an accumulator that grew faster did not count energy."""


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """A GPU's counters without their restarts: 0 at first, and never falling."""

    times: Floats
    """Unix seconds, ascending; shape (n,)."""
    values: Floats
    """In the order of `Amounts`; shape (n, 6)."""

    def at(self, time: float) -> Amounts:
        """What they stood at: on the line between the points around; outside of all, what the nearest says."""
        after = bisect_right(self.times, time)
        if after == 0:
            return Amounts()
        before = self.values[after - 1]
        if after == len(self.times):
            return Amounts(*before.tolist())
        part = (time - self.times[after - 1]) / (self.times[after] - self.times[after - 1])
        return Amounts(*(before + part * (self.values[after] - before)).tolist())

    def at_each(self, times: Floats) -> Floats:
        """The same at many instants; shape (len(times), 6)."""
        if not len(self.times):
            return np.zeros((len(times), len(Amounts._fields)))
        return np.column_stack([np.interp(times, self.times, column) for column in self.values.T])


NEVER_SEEN = Track(np.empty(0), np.empty((0, WIDTH - 1)))


def union(tables: Sequence[Floats]) -> Floats:
    """All samples of one series, each once, by time."""
    rows = np.concatenate([np.empty((0, WIDTH)), *tables])
    _, first = np.unique(np.round(rows[:, 0] * 1000), return_index=True)
    chosen: Floats = rows[first]
    return chosen


def merge(series: Sequence[Floats], apart: float) -> Floats:
    """One table from several of the same counters: replicas of the scrape, or a job that was renamed.

    They overlap or follow each other. A sample counts unless one of an earlier table lies within `apart` seconds,
    so that tables take over from each other only in gaps: their clocks may differ. Where counters started anew, all
    samples count: the last before tells most.

    Args:
        series: The tables, the preferred first.
        apart: Seconds; above the interval between scrapes.
    """
    merged = series[0]
    for table in series[1:]:
        merged = union((merged, table[_nearest(table, merged) > apart]))
    for table in series[1:]:
        lost = np.concatenate([[False], restarts(merged, apart), [False]])[np.searchsorted(merged[:, 0], table[:, 0])]
        merged = union((merged, table[lost & (_nearest(table, merged) > _CLOCKS_DIFFER)]))
    return merged


def _nearest(table: Floats, other: Floats) -> Floats:
    """Seconds from each sample to the nearest of another table."""
    ends = np.concatenate([[-np.inf], other[:, 0], [np.inf]])
    after = np.searchsorted(ends, table[:, 0])
    distance: Floats = np.minimum(table[:, 0] - ends[after - 1], ends[after] - table[:, 0])
    return distance


def restarts(rows: Floats, apart: float) -> NDArray[np.bool_]:
    """Whether device counters started anew between each row and the next; shape (n - 1,).

    Args:
        rows: Samples.
        apart: Seconds; above the interval between scrapes.
    """
    return _fell(rows) | _passed(rows, apart)


def births(rows: Floats, apart: float) -> Floats:
    """When device counters started anew: as many seconds ago as they say were observed since."""
    began: Floats = np.maximum(rows[1:, 0] - rows[1:, 1 + OBSERVED], rows[:-1, 0])[restarts(rows, apart)]
    return began


def _fell(rows: Floats) -> NDArray[np.bool_]:
    counters = _filled(rows[:, 1:])
    mortal = np.delete(counters, ENERGY, axis=1)
    fell = (np.diff(mortal, axis=0) < -_ROUNDING * mortal[:-1]).any(axis=1)
    anew: NDArray[np.bool_] = fell & (counters[1:, OBSERVED] <= np.diff(rows[:, 0]) + _CLOCK_SLACK)
    return anew


def _passed(rows: Floats, apart: float) -> NDArray[np.bool_]:
    """Whether counters that started anew have passed their old values since.

    They are no older than the time that passed, then, and grew less than it. Without a restart that takes an exporter
    that was scraped no more just as it lost a GPU, for longer than it had run.
    """
    elapsed, grown = np.diff(rows[:, 0]), np.diff(rows[:, 1 + OBSERVED])
    young = rows[1:, 1 + OBSERVED] <= elapsed
    passed: NDArray[np.bool_] = (elapsed > apart) & young & (grown != 0) & (grown < elapsed - apart)
    return passed


def fell_silent(rows: Floats, apart: float) -> NDArray[np.bool_]:
    """Whether a GPU was lost to its exporter, or found again, between each row and the next; shape (n - 1,).

    What it drew meanwhile spreads from the last sample before to the first one after, which may have been left out.
    """
    elapsed, grown = np.diff(rows[:, 0]), np.diff(rows[:, 1 + OBSERVED])
    silent = ~_spoke(rows[:, 1:])[1:]
    told_at_once = np.diff(rows[:, 1 + ENERGY]) > _PLAUSIBLE_WATTS * elapsed
    between = np.concatenate([[False], silent, [False]])
    beside = (between[:-2] | between[2:]) & (grown < elapsed - apart)
    before = np.append(told_at_once[1:], [False])
    edge: NDArray[np.bool_] = ~silent & (elapsed > apart) & (beside | before)
    return edge


def accumulate(rows: Floats, apart: float, since: float) -> Track:
    """Joins samples of device counters across restarts.

    - After a restart the counters grew from 0, in the last seconds that they say were observed.
    - So they did before the first sample, if that is since `since`; otherwise what was before is not counted: the
      mean of a whole life says nothing of a part of it.
    - Energy does not restart with the others, and spreads evenly between two samples; while a GPU cannot be read its
      counters stand still, and what it drew is told at once when it can again: that, too, spreads over all the time.

    Args:
        rows: All samples, or so many that only straight lines are missing.
        apart: Seconds; above the interval between scrapes.
        since: Unix seconds from which on all samples are known.
    """
    if not len(rows):
        return NEVER_SEEN
    times, counters = rows[:, 0], _filled(rows[:, 1:])
    anew = restarts(rows, apart)
    total = _summed(counters, anew)
    total[:, ENERGY] = _energy(times, counters)

    starts, last = births(rows, apart), np.flatnonzero(anew)
    bends = total[last].copy()
    bends[:, ENERGY] = np.interp(starts, times, total[:, ENERGY])
    track_times, track_values = np.insert(times, last + 1, starts), np.insert(total, last + 1, bends, axis=0)

    began = times[0] - counters[0, OBSERVED]
    if since <= began < times[0]:
        born = np.where(np.arange(WIDTH - 1) == ENERGY, 0.0, counters[0])
        track_times = np.concatenate([[began], track_times])
        track_values = np.concatenate([np.zeros((1, WIDTH - 1)), track_values + born])
    return Track(track_times, track_values)


def accumulate_booked(rows: Floats, births: Floats) -> Track:
    """Joins samples of an owner's counters across the births of exporters, at which all, energy too, start from 0."""
    anew = np.diff(np.searchsorted(births, rows[:, 0])) > 0
    return Track(rows[:, 0], _summed(_filled(rows[:, 1:]), anew))


def _summed(counters: Floats, anew: NDArray[np.bool_]) -> Floats:
    """What counters gained since the first row."""
    grown = np.where(anew[:, None], counters[1:], np.maximum(np.diff(counters, axis=0), 0.0))
    return np.concatenate([np.zeros((min(1, len(counters)), WIDTH - 1)), np.cumsum(grown, axis=0)])


def _energy(times: Floats, counters: Floats) -> Floats:
    """What the accumulator gained since the first sample; a reset of the hardware starts it from 0."""
    spoke = _spoke(counters)
    joules = counters[spoke, ENERGY]
    grown = np.diff(joules)
    grown = np.where(grown < 0, joules[1:], grown)
    grown = np.where(grown <= _PLAUSIBLE_WATTS * np.diff(times[spoke]), grown, 0.0)
    total: Floats = np.interp(times, times[spoke], np.concatenate([[0.0], np.cumsum(grown)]))
    return total


def _spoke(counters: Floats) -> NDArray[np.bool_]:
    """Rows with a reading that the row before had not: time observed or energy moved; the first has one."""
    told = counters[:, [OBSERVED, ENERGY]]
    moved = (np.abs(np.diff(told, axis=0)) > _ROUNDING * np.abs(told[:-1])).any(axis=1)
    return np.concatenate([[True], moved])


def _filled(counters: Floats) -> Floats:
    """Absent values stand still; those absent from the first on begin with their first value, or 0."""
    if not np.isnan(counters).any():
        return counters
    filled = counters.copy()
    for column in filled.T:
        known = np.flatnonzero(~np.isnan(column))
        if not len(known):
            column[:] = 0.0
            continue
        last = np.maximum(np.searchsorted(known, np.arange(len(column)), side="right") - 1, 0)
        column[:] = column[known[last]]
    return filled
