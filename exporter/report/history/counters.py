"""From samples of counters to what they stood at at any instant. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.model import Amounts
from exporter.report.history.lives import ROUNDING, resets, strayed
from exporter.report.history.samples import COUNTERS, Samples
from exporter.report.observed import ENERGY, OBSERVED, PLAUSIBLE_WATTS, Floats


@dataclass(frozen=True, slots=True, eq=False)
class CounterCurve:
    """A GPU's counters over time without their resets: 0 at first, and never falling."""

    times: Floats
    """Unix seconds, ascending; shape (n,)."""
    values: Floats
    """In the order of `Amounts`; shape (n, 6)."""

    def at(self, time: float) -> Amounts:
        """Returns what they stood at: on the line between the points around; outside of all, what the nearest says."""
        after = bisect_right(self.times, time)
        if after == 0:
            return Amounts()
        before = self.values[after - 1]
        if after == len(self.times) or self.times[after - 1] == time:
            return Amounts(*before.tolist())
        part = (time - self.times[after - 1]) / (self.times[after] - self.times[after - 1])
        return Amounts(*(before + part * (self.values[after] - before)).tolist())

    def only_at(self, instants: Floats) -> CounterCurve:
        """Returns one that tells the same at some instants, ascending, and needs no more memory than they do."""
        if not len(self.times):
            return self
        after = np.searchsorted(self.times, instants, side="right")
        last = len(self.times) - 1
        one, other = np.clip(after - 1, 0, last), np.clip(after, 0, last)
        apart = self.times[other] - self.times[one]
        part = np.divide(instants - self.times[one], apart, out=np.zeros(len(instants)), where=apart > 0)
        values = self.values[one] + part[:, None] * (self.values[other] - self.values[one])
        values[after == 0] = 0.0
        return CounterCurve(instants, values)

    def at_each(self, times: Floats) -> Floats:
        """Returns the same at many instants; shape (len(times), 6)."""
        if not len(self.times):
            return np.zeros((len(times), COUNTERS))
        return np.column_stack([np.interp(times, self.times, column) for column in self.values.T])


NEVER_SEEN = CounterCurve(np.empty(0), np.empty((0, COUNTERS)))


def lost_or_found(samples: Samples, apart: float) -> NDArray[np.bool_]:
    """Returns whether a GPU was lost to its exporter, or found again, between each sample and the next; shape (n - 1,).

    What it drew meanwhile spreads from the last sample before to the first one after, which may have been left out.
    """
    counters = samples.counters
    elapsed, grown = np.diff(samples.times), np.diff(counters[:, OBSERVED])
    silent = ~_has_new_reading(counters)[1:]
    told_at_once = np.diff(counters[:, ENERGY]) > PLAUSIBLE_WATTS * elapsed
    between = np.concatenate([[False], silent, [False]])
    beside = (between[:-2] | between[2:]) & (grown < elapsed - apart)
    before = np.append(told_at_once[1:], [False])
    edge: NDArray[np.bool_] = ~silent & (elapsed > apart) & (beside | before)
    return edge


def device_curve(samples: Samples, since: float) -> CounterCurve:
    """Joins samples of device counters across resets.

    - After a reset the counters grew from 0, in the last seconds that they say were observed.
    - So they did before the first sample, if that is since `since`; otherwise what was before is not counted: the
      mean of a whole life says nothing of a part of it.
    - No more is observed than time passes: what a sample tells beyond, the one before was late to tell.
    - Energy is not reset with the others, and spreads evenly between two samples; while a GPU cannot be read its
      counters stand still, and what it drew is told at once when it can again: that, too, spreads over all the time.

    Args:
        samples: All of them, or so many that only straight lines are missing.
        since: Unix seconds from which on all samples are known.
    """
    if not len(samples):
        return NEVER_SEEN
    times, is_reset, has_strayed = samples.times, resets(samples), strayed(samples)
    counters = _paced(times, _filled(samples.counters, is_reset | has_strayed), is_reset | has_strayed)
    elapsed, restarted = np.diff(times), counters[1:]
    possible = np.minimum(1.0, elapsed / np.maximum(restarted[:, OBSERVED], elapsed))
    grown = np.where(is_reset[:, None], restarted * possible[:, None], np.diff(counters, axis=0))
    total = _summed(np.where(has_strayed[:, None], 0.0, grown))
    total[:, ENERGY] = _energy(samples)

    last = np.flatnonzero(is_reset)
    starts = np.maximum(times[last + 1] - restarted[last, OBSERVED], times[last])
    bends = total[last].copy()
    bends[:, ENERGY] = np.interp(starts, times, total[:, ENERGY])
    curve_times, curve_values = np.insert(times, last + 1, starts), np.insert(total, last + 1, bends, axis=0)

    began = times[0] - counters[0, OBSERVED]
    if since <= began < times[0]:
        at_first = np.where(np.arange(COUNTERS) == ENERGY, 0.0, counters[0])
        curve_times = np.concatenate([[began], curve_times])
        curve_values = np.concatenate([np.zeros((1, COUNTERS)), curve_values + at_first])
    return CounterCurve(curve_times, curve_values)


def owner_curve(samples: Samples, reset_at: Floats) -> CounterCurve:
    """Joins samples of an owner's counters across the resets of exporters, at which all, energy too, start from 0.

    Args:
        samples: Of one owner's series.
        reset_at: Unix seconds, ascending: when the device counters of the same GPU were reset.
    """
    is_reset = np.diff(np.searchsorted(reset_at, samples.times)) > 0
    counters = _filled(samples.counters, is_reset)
    grown = np.where(is_reset[:, None], counters[1:], np.maximum(np.diff(counters, axis=0), 0.0))
    return CounterCurve(samples.times, _summed(grown))


def _summed(grown: Floats) -> Floats:
    """Returns what counters gained since the first row, from what they gained since the row before."""
    return np.concatenate([np.zeros((1, COUNTERS)), np.cumsum(grown, axis=0)])


def _lives(ends_after: NDArray[np.bool_]) -> Iterator[slice]:
    edges = [0, *(np.flatnonzero(ends_after) + 1).tolist(), len(ends_after) + 1]
    yield from map(slice, edges[:-1], edges[1:])


def _paced(times: Floats, counters: Floats, ends_after: NDArray[np.bool_]) -> Floats:
    """Returns counters of which none observed more than time passed: a later sample tells what an earlier one lacks.

    A scrape tells of the last reading, which was up to an interval of readings ago.

    Args:
        times: Unix seconds of the rows.
        counters: In each life none falls.
        ends_after: Whether a life ends between each row and the next.
    """
    paced = counters.copy()
    for life in _lives(ends_after):
        observed = counters[life, OBSERVED]
        ahead = observed - times[life]
        due = np.maximum.accumulate(ahead[::-1])[::-1] + times[life]
        for column in range(COUNTERS):
            paced[life, column] = np.interp(due, observed, counters[life, column])
    return paced


def _energy(samples: Samples) -> Floats:
    """Returns what the accumulator gained since the first sample; a reset of the hardware starts it from 0."""
    times, counters = samples.times, samples.counters
    told = _has_new_reading(counters) & ~np.isnan(counters[:, ENERGY])
    if not told.any():
        return np.zeros(len(times))
    joules = counters[told, ENERGY]
    grown = np.diff(joules)
    grown = np.where(grown < 0, joules[1:], grown)
    grown = np.where(grown <= PLAUSIBLE_WATTS * np.diff(times[told]), grown, 0.0)
    total: Floats = np.interp(times, times[told], np.concatenate([[0.0], np.cumsum(grown)]))
    return total


def _has_new_reading(counters: Floats) -> NDArray[np.bool_]:
    """Returns which rows hold a reading that the row before had not: observed time or energy moved. The first does."""
    told = counters[:, [OBSERVED, ENERGY]]
    moved = (np.abs(np.diff(told, axis=0)) > ROUNDING * np.abs(told[:-1])).any(axis=1)
    return np.concatenate([[True], moved])


def _filled(counters: Floats, ends_after: NDArray[np.bool_]) -> Floats:
    """Returns counters whose absent values grow with what was observed; before and after all known ones they stand.

    A column of which nothing is known is 0.

    Args:
        counters: NaN where a value is absent, but for observed seconds.
        ends_after: Whether a life ends between each row and the next.
    """
    if not np.isnan(counters).any():
        return counters
    filled = counters.copy()
    for life in _lives(ends_after):
        for column in filled[life].T:
            known = ~np.isnan(column)
            if known.any():
                column[:] = np.interp(counters[life, OBSERVED], counters[life, OBSERVED][known], column[known])
            else:
                column[:] = 0.0
    return filled
