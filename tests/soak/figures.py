"""What a process holds of the machine, sampled for a while, and whether it came to hold more."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.procfs import children, memory

SAMPLE_SECONDS = 1.0


@dataclass(slots=True)
class Curve:
    """One figure over time."""

    name: str
    unit: str
    slack: float
    """How much more is still flat."""
    values: list[float] = field(default_factory=list)

    @property
    def before(self) -> float:
        """The floor of the second quarter: the first is the warm-up."""
        return min(self._quarter(1))

    @property
    def after(self) -> float:
        """The floor of the last quarter. What passes lifts no floor, and what leaks does."""
        return min(self._quarter(3))

    @property
    def is_flat(self) -> bool:
        return self.after - self.before <= self.slack

    def __str__(self) -> str:
        told = f"{self.before:.1f} → {self.after:.1f} {self.unit} (highest {max(self.values):.1f})"
        return f"{self.name:<28} {told:<48} {'flat' if self.is_flat else 'GROWS'}"

    def _quarter(self, number: int) -> list[float]:
        size = len(self.values) // 4
        return self.values[number * size : (number + 1) * size]


class Watch:
    """Samples a process and its children."""

    def __init__(self, pid: int) -> None:
        self._looks: list[tuple[Curve, Callable[[], float]]] = [
            (Curve("worker processes", "", slack=0.0), lambda: len(children(pid)))
        ]
        for name, each in (("service", pid), *((f"worker {n}", child) for n, child in enumerate(children(pid), 1))):
            folder = Path(f"/proc/{each}")
            self._looks += [
                (Curve(f"{name}: resident memory", "MiB", slack=1.0), partial(_resident_mib, each)),
                (Curve(f"{name}: descriptors", "", slack=0.0), partial(_entries, folder / "fd")),
                (Curve(f"{name}: threads", "", slack=0.0), partial(_entries, folder / "task")),
            ]

    @property
    def curves(self) -> list[Curve]:
        return [curve for curve, _ in self._looks]

    async def run(self, seconds: float) -> None:
        """Samples for so long."""
        for _ in range(round(seconds / SAMPLE_SECONDS)):
            for curve, look in self._looks:
                curve.values.append(look())
            await asyncio.sleep(SAMPLE_SECONDS)


def _resident_mib(pid: int) -> float:
    return memory(pid).rss


def _entries(folder: Path) -> float:
    return len(os.listdir(folder))  # noqa: PTH208  only their number is wanted
