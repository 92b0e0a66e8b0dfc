"""The lives of an exporter, as its samples tell them: when its counters started anew, and which samples are late. Pure.

A life ends at a restart, from which on all but energy counts from 0. What is observed grows no faster than time passes:

    observed          A B   two servers scrape one exporter into one series; by B's clock it is later than by A's, and
        |          A .     so each of its samples tells less than the one of A before
        |       A .B
        |    A .B           a restart is a counter that fell below the seconds since the last sample: it can have
        |   .B       A      counted them all
        |          .
        +-----------------
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from exporter.report.history.samples import Samples
from exporter.report.observed import ENERGY, OBSERVED, Floats

_CLOCKS_OFF = 60.0
"""Seconds by which the clocks of two servers may differ at most."""
_READING = 1.0
"""Seconds between an exporter's readings: so much less than passed may a counter have grown."""
ROUNDING = 1e-9
"""VictoriaMetrics keeps decimals: a value that stands still may differ in its last bits."""


def resets(samples: Samples) -> NDArray[np.bool_]:
    """Returns whether the counters were reset between each sample and the next; shape (n - 1,)."""
    return _fell_to_possible(samples) | _overtook(samples)


def reset_times(samples: Samples) -> Floats:
    """Returns when device counters were reset: as many seconds ago as they say were observed since."""
    times, observed = samples.times, samples.counters[:, OBSERVED]
    began: Floats = np.maximum(times[1:] - observed[1:], times[:-1])[resets(samples)]
    return began


def strayed(samples: Samples) -> NDArray[np.bool_]:
    """Returns whether two neighbouring samples cannot be of one life, nor the second of a new one; shape (n - 1,).

    So it is where two exporters of one GPU take turns in one series: what either counted meanwhile is not known.
    """
    elapsed, grown = np.diff(samples.times), np.diff(samples.counters[:, OBSERVED])
    impossible: NDArray[np.bool_] = (grown > elapsed + _CLOCKS_OFF) | (grown < -_CLOCKS_OFF)
    return impossible & ~resets(samples) if impossible.any() else impossible


def in_order(samples: Samples) -> Samples:
    """Returns the samples without those that tell less than one before of the same life: a later one knows better."""
    observed = samples.counters[:, OBSERVED]
    if not (np.diff(observed) < -ROUNDING * observed[:-1]).any():
        return samples
    highest = np.concatenate([np.maximum.accumulate(observed[life]) for life in lives(samples)])
    return samples[observed >= highest * (1 - ROUNDING)]


def lives(samples: Samples) -> Iterator[slice]:
    """Yields the rows of each life, one after the other."""
    ends = np.flatnonzero(resets(samples) | strayed(samples)) + 1
    edges = [0, *ends.tolist(), len(samples)]
    yield from map(slice, edges[:-1], edges[1:])


def _fell_to_possible(samples: Samples) -> NDArray[np.bool_]:
    """Returns whether a counter fell to what it can have counted since the last sample.

    By clocks that differ less time seems to have passed. Then the fall must be larger than clocks alone can make one.
    """
    observed, elapsed = samples.counters[:, OBSERVED], np.diff(samples.times)
    far = np.diff(observed) < -_CLOCKS_OFF
    possible: NDArray[np.bool_] = observed[1:] <= elapsed + np.where(far, _CLOCKS_OFF, 0.0)
    if not possible.any():  # as nearly always: the rest costs most
        return possible
    reset_with_exporter = samples.counters[:, :ENERGY]
    fell = (np.diff(reset_with_exporter, axis=0) < -ROUNDING * reset_with_exporter[:-1]).any(axis=1)
    fell_to_possible: NDArray[np.bool_] = fell & possible
    return fell_to_possible


def _overtook(samples: Samples) -> NDArray[np.bool_]:
    """Returns whether counters that were reset have passed their old values since.

    They are no older than the time that passed, then, and grew less than it. Without a reset that takes an exporter
    that lost a GPU for longer than it had run.
    """
    observed = samples.counters[:, OBSERVED]
    elapsed, grown = np.diff(samples.times), np.diff(observed)
    moved = np.abs(grown) > ROUNDING * observed[:-1]
    overtook: NDArray[np.bool_] = (observed[1:] <= elapsed) & moved & (grown < elapsed - _READING)
    return overtook
