"""Utilization and VRAM of one GPU as straight lines between knots, with exact integrals."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from exporter.model import Amounts


class Load(NamedTuple):
    """One GPU at one instant."""

    utilization: float
    vram_used_bytes: float
    busy_seconds: float
    """∫ utilization dt since the curve began."""


class Curve:
    """A load from its first knot to its last; knots are (time, utilization, VRAM used in bytes), in order of time."""

    def __init__(self, knots: Iterable[tuple[float, float, float]]) -> None:
        self._times, self._utilization, self._vram = (array("d", values) for values in zip(*knots, strict=True))
        busy = 0.0
        self._busy = array("d", [busy])
        for i in range(len(self._times) - 1):
            span = self._times[i + 1] - self._times[i]
            busy += span * (self._utilization[i] + self._utilization[i + 1]) / 2
            self._busy.append(busy)

    @property
    def busy_seconds(self) -> float:
        """∫ utilization dt over all of it."""
        return self._busy[-1]

    def at(self, time: float) -> Load:
        """The load at an instant, from the first knot on and before the last."""
        i = bisect_right(self._times, time) - 1
        since = time - self._times[i]
        part = since / (self._times[i + 1] - self._times[i])
        began = self._utilization[i]
        utilization = began + part * (self._utilization[i + 1] - began)
        vram = self._vram[i] + part * (self._vram[i + 1] - self._vram[i])
        return Load(utilization, vram, self._busy[i] + since * (began + utilization) / 2)

    def amounts(self, start: float, end: float, idle_threshold: float, vram_held: float) -> Amounts:
        """The integrals over [start, end], which lies before the last knot; energy is not known here."""
        first, last = self.at(start), self.at(end)
        inner = range(bisect_right(self._times, start), bisect_right(self._times, end))
        knots = [
            (start, *first[:2]),
            *((self._times[i], self._utilization[i], self._vram[i]) for i in inner),
            (end, *last[:2]),
        ]
        idle = idle_held = vram_seconds = 0.0
        for (t0, u0, v0), (t1, u1, v1) in pairwise(knots):
            span = t1 - t0
            vram_seconds += span * (v0 + v1) / 2
            is_idle = _part_below(u0, u1, idle_threshold)
            is_held = _part_below(-v0, -v1, -vram_held)
            idle += span * (is_idle[1] - is_idle[0])
            idle_held += span * max(0.0, min(is_idle[1], is_held[1]) - max(is_idle[0], is_held[0]))
        return Amounts(end - start, last.busy_seconds - first.busy_seconds, idle, idle_held, vram_seconds)


def _part_below(began: float, ended: float, limit: float) -> tuple[float, float]:
    """The part of a straight line, from 0 to 1, in which it is below a limit."""
    if began < limit and ended < limit:
        return 0.0, 1.0
    if began >= limit and ended >= limit:
        return 0.0, 0.0
    crossing = (limit - began) / (ended - began)
    return (0.0, crossing) if began < limit else (crossing, 1.0)
