"""The arithmetic of the report: parts of GPUs are summed to the figures of a row. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray

from exporter.errors import ConservationError
from exporter.model import Amounts, Ownership, Task
from exporter.report.accounting.rows import Usage
from exporter.report.observed import Cells, Floats

HOUR = 3600.0
JOULES_PER_KWH = 3.6e6
_OWNED = (Ownership.OWNED, Ownership.SHARED)
_TOLERANCE = 1e-9


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
    held: Floats | None
    """GPU-seconds held in each cell; None where it cannot be told when."""

    @property
    def cells(self) -> Cells | None:
        """The GPU's; None if it was not observed at all."""
        return self.gpu.cells

    @property
    def is_owned(self) -> bool:
        """Whether a user, or several, held it."""
        return self.ownership in _OWNED


@dataclass(frozen=True, slots=True)
class Tariff:
    """What energy and time cost."""

    price_per_gpu_hour: float | None = None
    pue: float = 1.0


def summed(parts: Sequence[Part], tariff: Tariff) -> Usage:
    """The figures of a row that consists of these parts."""
    whole = _total(parts)
    owned = _total([part for part in parts if part.is_owned])
    free = _total([part for part in parts if part.ownership is Ownership.UNALLOCATED])
    unknown = sum(part.seconds for part in parts if part.ownership is Ownership.UNKNOWN)
    observed = whole.amounts.observed_seconds
    sized = [
        (part.amounts, part.cells.vram_total_bytes) for part in parts if part.cells and part.cells.vram_total_bytes
    ]
    vram_capacity = sum(amounts.observed_seconds * total_bytes for amounts, total_bytes in sized)
    vram_used = sum(amounts.vram_used_byte_seconds for amounts, _ in sized)
    timed = all(part.held is not None for part in parts if part.is_owned)
    gpus = _held(parts)
    utilization = _Distribution.of((gpu.cells.utilization[gpu.touched], gpu.seconds) for gpu in gpus)
    vram = _Distribution.of((gpu.cells.vram_used[gpu.touched], gpu.seconds) for gpu in gpus)
    seen = observed > 0
    # Nothing that is observed draws nothing: hardware that gives no energy shows as 0 here.
    energy = whole.amounts.energy_joules / JOULES_PER_KWH if seen and whole.amounts.energy_joules > 0 else None
    idle = owned.amounts.idle_seconds
    held_idle = owned.amounts.idle_vram_held_seconds
    return Usage(
        capacity_gpu_hours=whole.seconds / HOUR,
        observed_gpu_hours=observed / HOUR,
        coverage_ratio=_divided(observed, whole.seconds),
        owned_gpu_hours=owned.seconds / HOUR,
        unallocated_gpu_hours=free.seconds / HOUR,
        unknown_gpu_hours=unknown / HOUR,
        owned_observed_gpu_hours=owned.amounts.observed_seconds / HOUR,
        owned_unobserved_gpu_hours=max(0.0, owned.seconds - owned.amounts.observed_seconds) / HOUR,
        busy_gpu_hours=_hours(whole.amounts.busy_seconds, known=seen),
        owned_busy_gpu_hours=_hours(owned.amounts.busy_seconds, known=seen),
        unallocated_busy_gpu_hours=_hours(free.amounts.busy_seconds, known=seen),
        active_gpu_hours=_hours(owned.amounts.observed_seconds - idle, known=seen),
        idle_gpu_hours=_hours(idle, known=seen),
        idle_vram_held_gpu_hours=_hours(held_idle, known=seen and timed),
        idle_empty_gpu_hours=_hours(max(0.0, idle - held_idle), known=seen and timed),
        efficiency_ratio=_divided(owned.amounts.busy_seconds, owned.amounts.observed_seconds),
        mean_utilization_ratio=_divided(whole.amounts.busy_seconds, observed),
        p95_utilization_ratio=utilization.percentile(0.95),
        peak_utilization_ratio=utilization.percentile(1.0),
        mean_vram_used_ratio=_divided(vram_used, vram_capacity),
        p95_vram_used_ratio=vram.percentile(0.95),
        peak_vram_used_bytes=_peak_vram(gpus),
        energy_kwh=energy,
        facility_energy_kwh=energy * tariff.pue if energy is not None else None,
        kwh_per_busy_gpu_hour=_divided(energy, whole.amounts.busy_seconds / HOUR) if energy is not None else None,
        cost=owned.seconds / HOUR * tariff.price_per_gpu_hour if tariff.price_per_gpu_hour is not None else None,
    )


def longest_idle(part: Part) -> float:
    """Seconds of the longest run of ten-minute cells that the part held and in which its GPU was idle.

    Never more than the part was idle at all, though cells count as a whole.
    """
    if part.held is None or part.cells is None:
        return 0.0
    longest = run = 0.0
    for held in np.where(part.cells.is_idle, part.held, 0.0).tolist():
        run = run + held if held else 0.0
        longest = max(longest, run)
    return min(longest, part.amounts.idle_seconds)


def check_conservation(parts: Sequence[Part], seconds: float, accrued: Amounts, *, where: str) -> None:
    """Checks that the parts of one GPU make up its window and its counters.

    Raises:
        ConservationError: They do not, by more than 1e-9 of the whole.
    """
    total = _total(parts)
    pairs = {"time": (total.seconds, seconds)}
    pairs |= {name: (getattr(total.amounts, name), getattr(accrued, name)) for name in Amounts._fields}
    for name, (found, expected) in pairs.items():
        if abs(found - expected) > _TOLERANCE * max(1.0, abs(expected)):
            raise ConservationError(f"{where}: the shares sum to {found!r} of {name}, the whole is {expected!r}")


@dataclass(frozen=True, slots=True)
class _Total:
    seconds: float
    amounts: Amounts


def _total(parts: Sequence[Part]) -> _Total:
    columns = zip(*(part.amounts for part in parts), strict=True)
    return _Total(fsum(part.seconds for part in parts), Amounts(*map(fsum, columns)))


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
        seconds = _held_of(cells, mine)
        if seconds is None:
            return []
        touched = np.flatnonzero(seconds)
        found.append(_HeldGpu(cells, touched, seconds[touched]))
    return found


def _held_of(cells: Cells, parts: Sequence[Part]) -> Floats | None:
    """GPU-seconds that the parts of one GPU hold of each cell. Parts that make up all of it need not tell when."""
    timed = [part.held for part in parts if part.held is not None]
    if len(timed) == len(parts):
        return sum(timed[1:], start=timed[0])
    is_whole = sum(part.seconds for part in parts) >= cells.seconds.sum() * (1 - _TOLERANCE)
    return cells.seconds if is_whole else None


@dataclass(frozen=True, slots=True, eq=False)
class _Distribution:
    """Cell means, ascending, and the time up to each."""

    values: Floats
    seconds: Floats

    @classmethod
    def of(cls, cells: Iterable[tuple[Floats, Floats]]) -> _Distribution:
        """From cell means, NaN where unobserved, and the seconds held of each."""
        found = list(cells)
        if not found:
            return cls(np.empty(0), np.empty(0))
        values, seconds = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]  # NaNs come last
        return cls(values[order], np.cumsum(seconds[order]))

    def percentile(self, part: float) -> float | None:
        """The lowest value that at least this part of the time does not exceed."""
        if not self.values.size:
            return None
        place = np.searchsorted(self.seconds, self.seconds[-1] * part * (1 - _TOLERANCE))
        return float(self.values[min(int(place), self.values.size - 1)])


def _peak_vram(gpus: Iterable[_HeldGpu]) -> int | None:
    """The highest of any one GPU, from the cells that are wholly held where it has such cells."""
    peaks: list[float] = []
    for gpu in gpus:
        peak = gpu.cells.peak_vram_bytes[gpu.touched]
        seen = ~np.isnan(peak)
        whole = seen & (gpu.seconds >= gpu.cells.seconds[gpu.touched] * (1 - _TOLERANCE))
        chosen = peak[whole if whole.any() else seen]
        if chosen.size:
            peaks.append(float(chosen.max()))
    return int(max(peaks)) if peaks else None


def _divided(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator > 0 else None


def _hours(seconds: float, *, known: bool) -> float | None:
    return seconds / HOUR if known else None
