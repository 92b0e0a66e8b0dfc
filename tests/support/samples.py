"""Samples of counters for tests of what is made of them."""

from __future__ import annotations

import numpy as np

from exporter.report.history.samples import COUNTERS, Samples
from exporter.report.observed import BUSY, ENERGY, OBSERVED, VRAM

JOULES = 5e9
"""What the energy accumulator shows at 0 s."""


def table(*told: tuple[float, float] | tuple[float, float, float]) -> Samples:
    """Samples from times, observed seconds and, if they are not half of these, busy ones.

    VRAM grows with the observed seconds, energy with time; nothing is idle.
    """
    times = np.array([time for time, *_ in told], dtype=np.float64)
    counters = np.zeros((len(told), COUNTERS))
    for row, (time, observed, *busy) in zip(counters, told, strict=True):
        row[OBSERVED], row[BUSY] = observed, busy[0] if busy else observed / 2
        row[VRAM], row[ENERGY] = observed * 1e9, JOULES + 100 * time
    return Samples(times, counters)
