"""What the figures of a table are computed from: a column for each sum, with an element for each row. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import fsum
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from exporter.report.accounting.usage import HOUR, JOULES_PER_KWH, Tariff, Total
from exporter.report.observed import Floats

Places = NDArray[np.intp]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Which parts make up each row of a table."""

    parts: Places
    """Their places among all parts: those of the first row, then those of the second …"""
    counts: Places
    """How many each row has."""

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Self:
        """Returns rows that consist of the parts at these places."""
        counts = np.array([len(row) for row in rows], dtype=np.intp)
        return cls(np.fromiter(chain.from_iterable(rows), np.intp, counts.sum()), counts)

    @property
    def numbers(self) -> Places:
        """For each of the parts the number of its row, from 0."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def only(self, wanted: Flags) -> Rows:
        """Returns the same rows with no other parts than these.

        Args:
            wanted: Of all parts, by their places.
        """
        kept = wanted[self.parts]
        return Rows(self.parts[kept], np.bincount(self.numbers[kept], minlength=len(self.counts)))

    def fsums(self, values: Floats) -> Floats:
        """Returns exact sums of what the parts have, rounded once; shape (rows, columns).

        Args:
            values: Of all parts, by their places; shape (parts, columns).
        """
        ends = np.cumsum(self.counts)
        sums = np.zeros((len(self.counts), values.shape[1]))
        alone = self.counts == 1  # as most tasks have one GPU, and a busy day 100,000 tasks
        sums[alone] = values[self.parts[ends[alone] - 1]]
        for row in np.flatnonzero(self.counts > 1).tolist():
            mine = values[self.parts[ends[row] - self.counts[row] : ends[row]]]
            sums[row] = [fsum(column) for column in mine.T.tolist()]
        return sums

    def running_sums(self, values: Floats) -> Floats:
        """Returns what one value of each part comes to, added in their order.

        Args:
            values: Of `parts`, in their order.
        """
        sums: Floats = np.bincount(self.numbers, values, len(self.counts)).astype(np.float64)
        return sums


class Totals(NamedTuple):
    """GPU-seconds held, and what accrued in them, as `Amounts` has it."""

    seconds: Floats
    observed_seconds: Floats
    busy_seconds: Floats
    idle_seconds: Floats
    idle_vram_held_seconds: Floats
    vram_used_byte_seconds: Floats
    energy_joules: Floats

    @classmethod
    def of(cls, totals: Sequence[Total]) -> Self:
        """Returns a row for each."""
        return cls(*np.array([(total.seconds, *total.amounts) for total in totals]).T)


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """What the figures of some rows are computed from; NaN is what cannot be told."""

    whole: Totals
    owned: Totals
    free: Totals
    """Held by nobody."""
    unknown_seconds: Floats
    vram_used_byte_seconds: Floats
    """On GPUs whose VRAM is known."""
    vram_total_byte_seconds: Floats
    """What there was of it, over observed time."""
    p95_utilization: Floats
    """Of the ten-minute means, weighted by time held."""
    peak_utilization: Floats
    p95_vram_used: Floats
    """0 to 1."""
    peak_vram_bytes: Floats
    """Of any one GPU."""
    is_timed: Flags
    """Whether it is known when all that is owned was held."""
    cost: Floats
    """Of all that is owned."""
    tariff: Tariff

    @property
    def is_seen(self) -> Flags:
        """Whether any of it was observed."""
        seen: Flags = self.whole.observed_seconds > 0
        return seen

    def hours(self, seconds: Floats) -> Floats:
        """Returns what observation alone tells, in hours."""
        return np.where(self.is_seen, seconds / HOUR, np.nan)

    def timed_hours(self, seconds: Floats) -> Floats:
        """Returns what observation tells where it is known when the GPUs were held, in hours."""
        return np.where(self.is_timed, self.hours(seconds), np.nan)

    @property
    def energy_kwh(self) -> Floats:
        """NaN also where it is 0: nothing that is observed draws nothing, so that hardware cannot tell."""
        joules = self.whole.energy_joules
        return np.where(self.is_seen & (joules > 0), joules / JOULES_PER_KWH, np.nan)


def ratios(numerators: Floats, denominators: Floats) -> Floats:
    """Returns numbers divided by others; NaN where there is nothing to divide by."""
    divided: Floats = np.divide(numerators, denominators, out=np.full(len(numerators), np.nan), where=denominators > 0)
    return divided
