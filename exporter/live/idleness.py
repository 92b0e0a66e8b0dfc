"""For how long GPUs have been idle, from their counters. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exporter.metering.idle_clock import ACTIVE_SHARE
from exporter.report.observed import Floats

_LEAST_OBSERVED = 0.1
"""Of a step: from less, nothing is concluded."""


class Idleness(NamedTuple):
    """What counters say of the time up to their last sample."""

    seconds: float | None
    """0 if the GPU is active; None if it was not observed."""
    may_be_longer: bool
    """Whether it was idle all the time that was looked at."""

    def looked_further(self, found: Idleness) -> Idleness:
        """Returns what this look tells together with one further back, in steps that may be longer.

        Longer steps may take what was idle of late for part of an active one: it was idle for no less than is known.
        """
        if (found.seconds or 0.0) > (self.seconds or 0.0):
            return found
        return self._replace(may_be_longer=found.may_be_longer)


UNTOLD = Idleness(None, may_be_longer=False)


def idleness(observed: Floats, idle: Floats, step: float) -> list[Idleness]:
    """Returns for how long each of some GPUs has been idle.

    Args:
        observed: `amdgpu_observed_seconds_total` at instants `step` apart, shape (GPUs, n); NaN where it is absent.
        idle: `amdgpu_idle_seconds_total` of the same GPUs at the same instants.
        step: Seconds.
    """
    is_anew = np.diff(observed) < 0
    gained, idled = _gains(observed, is_anew), _gains(idle, is_anew)
    seen = gained > _LEAST_OBSERVED * step
    active = seen & (gained - idled > ACTIVE_SHARE * gained)
    steps = np.arange(1, seen.shape[1] + 1)
    last_active = np.max(steps * active, axis=1, initial=0)
    rest = seen & (steps > last_active[:, np.newaxis])
    idle_steps = np.where(rest.any(axis=1), len(steps) - rest.argmax(axis=1), 0)
    is_whole = (idle_steps > 0) & (last_active == 0)
    is_seen = idle_steps + last_active > 0
    return [
        Idleness(count * step, may_be_longer) if told else UNTOLD
        for count, may_be_longer, told in zip(idle_steps.tolist(), is_whole.tolist(), is_seen.tolist(), strict=True)
    ]


def _gains(counter: Floats, is_anew: NDArray[np.bool_]) -> Floats:
    """Returns what a counter gained in each step; where its exporter began anew, it is what the counter shows."""
    return np.nan_to_num(np.where(is_anew, counter[:, 1:], np.diff(counter)))


def total(counters: Floats) -> float:
    """Returns what a counter gained over all its samples, from 0 where it began among them.

    Args:
        counters: At instants in the order of time, shape (n,); NaN where it is absent.
    """
    told = counters[~np.isnan(counters)]
    if not len(told):
        return 0.0
    began = 0.0 if np.isnan(counters[0]) else told[0]
    steps = np.diff(told, prepend=began)
    return float(np.where(steps < 0, told, steps).sum())
