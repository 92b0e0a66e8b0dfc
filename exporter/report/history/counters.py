"""From samples of counters to what they stood at at any instant. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.model import Amounts
from exporter.report.history.samples import COUNTERS, Samples
from exporter.report.observed import ENERGY, OBSERVED, Floats

_CLOCK_SLACK = 60.0
"""Seconds by which a scrape's timestamp may be off. A counter that fell to a value that needs more time than passed
was not reset: two servers' clocks differ."""
_ROUNDING = 1e-9
"""VictoriaMetrics keeps decimals: a value that stands still may differ in its last bits."""
_PLAUSIBLE_WATTS = 2000.0
"""As in the meter: an accumulator that grew faster did not count energy."""


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
        if after == len(self.times):
            return Amounts(*before.tolist())
        part = (time - self.times[after - 1]) / (self.times[after] - self.times[after - 1])
        return Amounts(*(before + part * (self.values[after] - before)).tolist())

    def at_each(self, times: Floats) -> Floats:
        """Returns the same at many instants; shape (len(times), 6)."""
        if not len(self.times):
            return np.zeros((len(times), COUNTERS))
        return np.column_stack([np.interp(times, self.times, column) for column in self.values.T])


NEVER_SEEN = CounterCurve(np.empty(0), np.empty((0, COUNTERS)))


def resets(samples: Samples, apart: float) -> NDArray[np.bool_]:
    """Returns whether device counters were reset between each sample and the next; shape (n - 1,).

    Args:
        samples: Of device counters.
        apart: Seconds; above the interval between scrapes.
    """
    return _fell_back(samples) | _overtook(samples, apart)


def reset_times(samples: Samples, apart: float) -> Floats:
    """Returns when device counters were reset: as many seconds ago as they say were observed since."""
    times, observed = samples.times, samples.counters[:, OBSERVED]
    began: Floats = np.maximum(times[1:] - observed[1:], times[:-1])[resets(samples, apart)]
    return began


def _fell_back(samples: Samples) -> NDArray[np.bool_]:
    counters = _filled(samples.counters)
    reset_with_exporter = np.delete(counters, ENERGY, axis=1)
    fell = (np.diff(reset_with_exporter, axis=0) < -_ROUNDING * reset_with_exporter[:-1]).any(axis=1)
    fell_to_possible: NDArray[np.bool_] = fell & (counters[1:, OBSERVED] <= np.diff(samples.times) + _CLOCK_SLACK)
    return fell_to_possible


def _overtook(samples: Samples, apart: float) -> NDArray[np.bool_]:
    """Returns whether counters that were reset have passed their old values since.

    They are no older than the time that passed, then, and grew less than it. Without a reset that takes an exporter
    that was scraped no more just as it lost a GPU, for longer than it had run.
    """
    observed = samples.counters[:, OBSERVED]
    elapsed, grown = np.diff(samples.times), np.diff(observed)
    young = observed[1:] <= elapsed
    overtook: NDArray[np.bool_] = (elapsed > apart) & young & (grown != 0) & (grown < elapsed - apart)
    return overtook


def lost_or_found(samples: Samples, apart: float) -> NDArray[np.bool_]:
    """Returns whether a GPU was lost to its exporter, or found again, between each sample and the next; shape (n - 1,).

    What it drew meanwhile spreads from the last sample before to the first one after, which may have been left out.
    """
    counters = samples.counters
    elapsed, grown = np.diff(samples.times), np.diff(counters[:, OBSERVED])
    silent = ~_has_new_reading(counters)[1:]
    told_at_once = np.diff(counters[:, ENERGY]) > _PLAUSIBLE_WATTS * elapsed
    between = np.concatenate([[False], silent, [False]])
    beside = (between[:-2] | between[2:]) & (grown < elapsed - apart)
    before = np.append(told_at_once[1:], [False])
    edge: NDArray[np.bool_] = ~silent & (elapsed > apart) & (beside | before)
    return edge


def device_curve(samples: Samples, apart: float, since: float) -> CounterCurve:
    """Joins samples of device counters across resets.

    - After a reset the counters grew from 0, in the last seconds that they say were observed.
    - So they did before the first sample, if that is since `since`; otherwise what was before is not counted: the
      mean of a whole life says nothing of a part of it.
    - Energy is not reset with the others, and spreads evenly between two samples; while a GPU cannot be read its
      counters stand still, and what it drew is told at once when it can again: that, too, spreads over all the time.

    Args:
        samples: All of them, or so many that only straight lines are missing.
        apart: Seconds; above the interval between scrapes.
        since: Unix seconds from which on all samples are known.
    """
    if not len(samples):
        return NEVER_SEEN
    times, counters = samples.times, _filled(samples.counters)
    is_reset = resets(samples, apart)
    total = _summed(counters, is_reset)
    total[:, ENERGY] = _energy(times, counters)

    starts, last = reset_times(samples, apart), np.flatnonzero(is_reset)
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
    return CounterCurve(samples.times, _summed(_filled(samples.counters), is_reset))


def _summed(counters: Floats, is_reset: NDArray[np.bool_]) -> Floats:
    """Returns what counters gained since the first row."""
    grown = np.where(is_reset[:, None], counters[1:], np.maximum(np.diff(counters, axis=0), 0.0))
    return np.concatenate([np.zeros((min(1, len(counters)), COUNTERS)), np.cumsum(grown, axis=0)])


def _energy(times: Floats, counters: Floats) -> Floats:
    """Returns what the accumulator gained since the first sample; a reset of the hardware starts it from 0."""
    told = _has_new_reading(counters)
    joules = counters[told, ENERGY]
    grown = np.diff(joules)
    grown = np.where(grown < 0, joules[1:], grown)
    grown = np.where(grown <= _PLAUSIBLE_WATTS * np.diff(times[told]), grown, 0.0)
    total: Floats = np.interp(times, times[told], np.concatenate([[0.0], np.cumsum(grown)]))
    return total


def _has_new_reading(counters: Floats) -> NDArray[np.bool_]:
    """Returns which rows hold a reading that the row before had not: observed time or energy moved. The first does."""
    told = counters[:, [OBSERVED, ENERGY]]
    moved = (np.abs(np.diff(told, axis=0)) > _ROUNDING * np.abs(told[:-1])).any(axis=1)
    return np.concatenate([[True], moved])


def _filled(counters: Floats) -> Floats:
    """Returns counters whose absent values stand still; those absent from the first on begin with their first, or 0."""
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
