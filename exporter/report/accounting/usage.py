"""The arithmetic of the report: parts of GPUs are summed to what the figures of a row are computed from. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from math import fsum, isnan

import numpy as np
from numpy.typing import NDArray

from exporter.model import Amounts, Ownership, Task
from exporter.report.accounting.prices import Held, Holder, Prices
from exporter.report.observed import Cells, Floats, Place

HOUR = 3600.0
JOULES_PER_KWH = 3.6e6
_OWNED = (Ownership.OWNED, Ownership.SHARED)
_TOLERANCE = 1e-9
_FEW_CELLS = 12
"""So many numbers are dealt with faster one by one, and most of 100,000 tasks a day held no more cells."""


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


@dataclass(frozen=True, slots=True)
class Part:
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


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """Cell means, ascending, and the time up to each."""

    values: Floats | list[float]
    seconds: Floats | list[float]

    @classmethod
    def of(cls, cells: Iterable[tuple[Floats, Floats]]) -> Distribution:
        """From cell means, NaN where unobserved, and the seconds held of each."""
        found = list(cells)
        if not found:
            return cls([], [])
        if len(found) == 1 and len(found[0][0]) <= _FEW_CELLS:
            pairs = sorted(
                pair for pair in zip(*(numbers.tolist() for numbers in found[0]), strict=True) if not isnan(pair[0])
            )
            return cls([value for value, _ in pairs], list(accumulate(seconds for _, seconds in pairs)))
        values, seconds = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]  # NaNs come last
        return cls(values[order], np.cumsum(seconds[order]))

    def percentile(self, part: float) -> float | None:
        """The lowest value that at least this part of the time does not exceed."""
        if not len(self.values):
            return None
        place = bisect_left(self.seconds, self.seconds[-1] * part * (1 - _TOLERANCE))
        return float(self.values[min(place, len(self.values) - 1)])


@dataclass(frozen=True, slots=True)
class Sums:
    """What the figures of a row are computed from."""

    whole: Total
    owned: Total
    free: Total
    """Held by nobody."""
    unknown_seconds: float
    vram_used_byte_seconds: float
    """On GPUs whose VRAM is known."""
    vram_total_byte_seconds: float
    """What there was of it, over observed time."""
    utilization: Distribution
    vram: Distribution
    peak_vram_bytes: int | None
    """Of any one GPU."""
    is_timed: bool
    """Whether it is known when all that is owned was held."""
    cost: Decimal | None
    """Of all that is owned; None without a price."""
    tariff: Tariff

    @classmethod
    def of(cls, parts: Sequence[Part], tariff: Tariff) -> Sums:
        """Returns those of a row that consists of these parts."""
        gpus, owned = _held(parts), [part for part in parts if part.is_owned]
        whole = Total.of(parts)
        sized = [
            (part.amounts, part.cells.vram_total_bytes) for part in parts if part.cells and part.cells.vram_total_bytes
        ]
        return cls(
            whole=whole,
            owned=whole if len(owned) == len(parts) else Total.of(owned),
            free=Total.of([part for part in parts if part.ownership is Ownership.UNALLOCATED]),
            unknown_seconds=sum(part.seconds for part in parts if part.ownership is Ownership.UNKNOWN),
            vram_used_byte_seconds=sum(amounts.vram_used_byte_seconds for amounts, _ in sized),
            vram_total_byte_seconds=sum(amounts.observed_seconds * total_bytes for amounts, total_bytes in sized),
            utilization=Distribution.of((gpu.cells.utilization[gpu.touched], gpu.seconds) for gpu in gpus),
            vram=Distribution.of((gpu.cells.vram_used[gpu.touched], gpu.seconds) for gpu in gpus),
            peak_vram_bytes=_peak_vram(gpus),
            is_timed=all(part.held is not None for part in owned),
            cost=tariff.prices.cost(parts),
            tariff=tariff,
        )

    @property
    def is_seen(self) -> bool:
        """Whether any of it was observed."""
        return self.whole.amounts.observed_seconds > 0

    def hours(self, seconds: float) -> float | None:
        """Returns what observation alone tells, in hours."""
        return seconds / HOUR if self.is_seen else None

    def timed_hours(self, seconds: float) -> float | None:
        """Returns what observation tells where it is known when the GPUs were held, in hours."""
        return seconds / HOUR if self.is_seen and self.is_timed else None

    @property
    def energy_kwh(self) -> float | None:
        """None also where it is 0: nothing that is observed draws nothing, so that hardware cannot tell."""
        joules = self.whole.amounts.energy_joules
        return joules / JOULES_PER_KWH if self.is_seen and joules > 0 else None


def ratio(numerator: float, denominator: float) -> float | None:
    """Returns one number divided by another; None where there is nothing to divide by."""
    return numerator / denominator if denominator > 0 else None


def longest_idle(part: Part) -> float:
    """Seconds of the longest run of ten-minute cells that the part held and in which its GPU was idle.

    Never more than the part was idle at all, though cells count as a whole.
    """
    if part.held is None or part.cells is None:
        return 0.0
    longest = run = 0.0
    for held in np.where(part.cells.is_idle[part.held.place], part.held.seconds, 0.0).tolist():
        run = run + held if held else 0.0
        longest = max(longest, run)
    return min(longest, part.amounts.idle_seconds)


@dataclass(frozen=True, slots=True)
class _HeldGpu:
    """What some parts hold of one observed GPU."""

    cells: Cells
    touched: NDArray[np.intp]
    """The cells of which they hold something."""
    seconds: Floats
    """How much of each of these."""


def _held(parts: Iterable[Part]) -> list[_HeldGpu]:
    """What the parts hold of each GPU that was observed; nothing if of one it cannot be told when."""
    by_gpu: dict[int, tuple[Cells, list[Part]]] = {}
    for part in parts:
        if part.cells is not None:
            by_gpu.setdefault(id(part.cells), (part.cells, []))[1].append(part)
    found = []
    for cells, mine in by_gpu.values():
        held = _held_of(cells, mine)
        if held is None:
            return []
        touched = np.flatnonzero(held.seconds)
        found.append(_HeldGpu(cells, held.first + touched, held.seconds[touched]))
    return found


def _held_of(cells: Cells, parts: Sequence[Part]) -> HeldCells | None:
    """What the parts of one GPU hold of it. Parts that make up all of it need not tell when."""
    timed = [part.held for part in parts if part.held is not None]
    if len(timed) < len(parts):
        is_whole = sum(part.seconds for part in parts) >= cells.seconds.sum() * (1 - _TOLERANCE)
        return HeldCells(0, cells.seconds) if is_whole else None
    return HeldCells.together(timed)


def _peak_vram(gpus: Iterable[_HeldGpu]) -> int | None:
    """The highest of any one GPU, from the cells that are wholly held where it has such cells."""
    peaks: list[float] = []
    for gpu in gpus:
        peak = gpu.cells.peak_vram_bytes[gpu.touched]
        least = gpu.cells.seconds[gpu.touched] * (1 - _TOLERANCE)
        if len(peak) <= _FEW_CELLS:
            each = zip(peak.tolist(), gpu.seconds.tolist(), least.tolist(), strict=True)
            seen = [(at, held >= whole) for at, held, whole in each if not isnan(at)]
            if seen:
                peaks.append(max([at for at, is_whole in seen if is_whole] or [at for at, _ in seen]))
            continue
        is_seen = ~np.isnan(peak)
        is_whole = is_seen & (gpu.seconds >= least)
        chosen = peak[is_whole if is_whole.any() else is_seen]
        if chosen.size:
            peaks.append(float(chosen.max()))
    return int(max(peaks)) if peaks else None
