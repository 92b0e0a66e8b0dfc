"""What the report divides and sums: the parts of GPUs, and when each was held. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import NamedTuple

import numpy as np

from exporter.model import Amounts, Ownership, Task
from exporter.report.accounting.prices import Held, Holder, Prices
from exporter.report.observed import Cells, Floats, Place

HOUR = 3600.0
JOULES_PER_KWH = 3.6e6
_OWNED = (Ownership.OWNED, Ownership.SHARED)
_NO_PRICES = Prices()


@dataclass(frozen=True, slots=True, eq=False)
class ReportGpu:
    """One GPU of the report."""

    hostname: str
    index: int | None
    uuid: str | None
    gpu_id: str | None
    """The consumption API's cluster-wide number."""
    model: str | None
    card: str | None
    cells: Cells | None
    """None if it was not observed at all."""
    places: tuple[Place, ...] = ()
    """Where it was in and around the window, in the order of time; none if it was not observed there."""

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"GPU {self.uuid} of {self.hostname}"


@dataclass(frozen=True, slots=True, eq=False)
class HeldCells:
    """When something was held, by ten-minute cells of the window. Most tasks are short: only those around are kept."""

    first: int
    """The first cell."""
    seconds: Floats
    """GPU-seconds of it and of those after; of all others 0."""

    @classmethod
    def within(cls, edges: Sequence[float], starts: Sequence[float], ends: Sequence[float]) -> list[HeldCells]:
        """Returns how much of each cell lies in each stretch of time.

        Args:
            edges: Of the cells, in Unix seconds.
            starts: When each stretch begins, not before the first edge.
            ends: When each ends, later than it begins and not after the last edge.
        """
        edge, start, end = np.array(edges), np.array(starts), np.array(ends)
        first = np.searchsorted(edge, start, side="right") - 1
        counts = np.searchsorted(edge, end, side="left") - first
        stops = np.cumsum(counts)
        cells = np.arange(stops[-1]) + np.repeat(first - stops + counts, counts)
        seconds = np.minimum(np.repeat(end, counts), edge[cells + 1]) - np.maximum(
            np.repeat(start, counts), edge[cells]
        )
        return [
            cls(cell, seconds[stop - count : stop])
            for cell, count, stop in zip(first.tolist(), counts.tolist(), stops.tolist(), strict=True)
        ]

    @classmethod
    def together(cls, held: Sequence[HeldCells]) -> HeldCells:
        """Returns the sum of some, one or more."""
        if len(held) == 1:
            return held[0]
        first = min(one.first for one in held)
        seconds = np.zeros(max(one.place.stop for one in held) - first)
        for one in held:
            seconds[one.first - first : one.place.stop - first] += one.seconds
        return cls(first, seconds)

    @property
    def place(self) -> slice:
        """Where these cells stand among all of the window."""
        return slice(self.first, self.first + len(self.seconds))


class Part(NamedTuple):
    """What of one GPU falls to one task, owner or nobody in the window."""

    gpu: ReportGpu
    username: str
    task_type: str
    ownership: Ownership
    task: Task | None
    """None for nobody's and unknown time, and where labels alone tell the owner."""
    seconds: float
    """GPU-seconds held, observed or not."""
    amounts: Amounts
    held: HeldCells | None
    """None where it cannot be told when."""

    @property
    def cells(self) -> Cells | None:
        """The GPU's; None if it was not observed at all."""
        return self.gpu.cells

    @property
    def is_owned(self) -> bool:
        """Whether a user, or several, held it."""
        return self.ownership in _OWNED

    @property
    def holder(self) -> Holder:
        """What its price depends on."""
        project = self.task.project_uuid if self.task else ""
        return Holder(self.username, self.task_type, project, self.gpu.hostname)


@dataclass(frozen=True, slots=True)
class Tariff:
    """What energy and time cost."""

    prices: Prices = _NO_PRICES
    pue: float = 1.0


@dataclass(frozen=True, slots=True)
class Total:
    """Some parts together."""

    seconds: float
    amounts: Amounts

    @classmethod
    def of(cls, parts: Sequence[Held]) -> Total:
        """Returns the sum."""
        if len(parts) == 1:  # as most tasks have one GPU, and a busy day 100,000 tasks
            return cls(parts[0].seconds, parts[0].amounts)
        columns = zip(*(part.amounts for part in parts), strict=True)
        return cls(fsum(part.seconds for part in parts), Amounts(*map(fsum, columns)))


def ratio(numerator: float, denominator: float) -> float | None:
    """Returns one number divided by another; None where there is nothing to divide by."""
    return numerator / denominator if denominator > 0 else None


def longest_idle(part: Part) -> float:
    """Seconds of the longest run of ten-minute cells that the part held and in which its GPU was idle.

    Never more than the part was idle at all, though cells count as a whole.
    """
    if part.held is None or part.cells is None or not part.amounts.idle_seconds:
        return 0.0
    longest = run = 0.0
    for held in np.where(part.cells.is_idle[part.held.place], part.held.seconds, 0.0).tolist():
        run = run + held if held else 0.0
        longest = max(longest, run)
    return min(longest, part.amounts.idle_seconds)
