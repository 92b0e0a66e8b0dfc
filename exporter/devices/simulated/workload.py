"""What runs on the GPUs of one simulated node, at any instant: a pure function of seed, GPU and Unix time.

Time is cut into plans of about two days, and the rectangle of GPUs and time in each plan into phases: split again and
again, either its GPUs in halves or its time in two, as chance has it. So a phase is one GPU for minutes, or eight
in step for a day, and any plan can be drawn without those before it. After `_PLANS` plans all begins anew, which
lets ∫ utilization dt since the epoch, and with it the energy counter, be known without adding up the years.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate

from exporter.devices.simulated.chance import between, fraction, number
from exporter.devices.simulated.curve import Curve, Load
from exporter.devices.simulated.shapes import DAY, GRID, Kind, knots
from exporter.model import Amounts

EPOCH = 1704067200
"""Monday 2024-01-01 00:00 UTC, a multiple of `GRID`; counters are 0 here."""

VRAM_TOTAL_BYTES = 196592 * 2**20
"""What the consumption API and amd-smi give for an MI300X."""

VRAM_AT_REST_BYTES = 297 * 2**20
"""What the driver keeps for itself."""

_PLANS = 14
_DAYS_PER_PLAN = 2
_TEAM = 8
"""No phase spans more GPUs."""
_DECK = 4 * [Kind.TRAINING] + 3 * [Kind.INFERENCE] + 3 * [Kind.NOTEBOOK] + 2 * [Kind.FORGOTTEN] + 3 * [Kind.IDLE]


@dataclass(frozen=True, slots=True)
class Phase:
    """What some GPUs do, in step, in [start, end)."""

    start: int
    """Unix seconds."""
    end: int
    gpus: tuple[int, ...]
    """Indices on the node."""
    kind: Kind = Kind.IDLE
    nth: int = 0
    """How many of its kind its plan began before it."""


class Workload:
    """The load of one node.

    Args:
        seed: another seed, another history.
        gpus: how many the node has.
        pace: how many times faster than life phases follow each other; ramps still take `GRID` seconds.
    """

    def __init__(self, seed: int, gpus: int = 8, pace: float = 1.0) -> None:
        self.seed = seed
        self.gpus = gpus
        self._day = GRID * max(1, round(DAY / pace / GRID))
        self._span = _DAYS_PER_PLAN * self._day
        self._cycle = _PLANS * self._span
        starts = [int(self._span * (n + between(0.25, 0.75, seed, "plan", n))) for n in range(_PLANS)]
        self._starts = (*starts, self._cycle + starts[0])
        self._plan = lru_cache(maxsize=_PLANS)(self._draw_plan)
        self._curve = lru_cache(maxsize=2 * gpus)(self._draw_curve)
        self._busy_before = lru_cache(maxsize=gpus)(self._add_up_busy)

    def phases(self, start: float, end: float) -> Iterator[Phase]:
        """The phases of all GPUs that overlap [start, end), plan by plan, each once however many GPUs it is on."""
        for plan, origin in self._plans(start, end):
            for phase in self._plan(plan):
                if phase.start + origin < end and phase.end + origin > start:
                    yield replace(phase, start=phase.start + origin, end=phase.end + origin)

    def load(self, index: int, time: float) -> Load:
        """One GPU at a Unix time; its busy seconds are those since the epoch."""
        cycle, plan = self._locate(time)
        load = self._curve(index, plan).at(time - EPOCH - cycle * self._cycle)
        before = self._busy_before(index)
        return load._replace(busy_seconds=cycle * before[-1] + before[plan] + load.busy_seconds)

    def amounts(self, index: int, start: float, end: float, idle_threshold: float, vram_held: float) -> Amounts:
        """The exact integrals of one GPU over [start, end), all but energy."""
        total = Amounts()
        for plan, origin in self._plans(start, end):
            first = max(start - origin, self._starts[plan])
            last = min(end - origin, self._starts[plan + 1])
            total = total.plus(self._curve(index, plan).amounts(first, last, idle_threshold, vram_held))
        return total

    def _locate(self, time: float) -> tuple[int, int]:
        """The cycle and the plan within it of a Unix time."""
        since = time - EPOCH
        cycle, place = int(since // self._cycle), since % self._cycle
        plan = int(place // self._span)
        if place < self._starts[plan]:
            plan -= 1
        return (cycle, plan) if plan >= 0 else (cycle - 1, _PLANS - 1)

    def _plans(self, start: float, end: float) -> Iterator[tuple[int, int]]:
        """The plans that overlap [start, end): each one's number in its cycle, and the Unix time of that cycle's 0."""
        cycle, plan = self._locate(start)
        while (origin := EPOCH + cycle * self._cycle) + self._starts[plan] < end:
            yield plan, origin
            cycle, plan = (cycle, plan + 1) if plan + 1 < _PLANS else (cycle + 1, 0)

    def _draw_plan(self, plan: int) -> tuple[Phase, ...]:
        """The phases of a plan in order of start, in seconds of its cycle.

        Kinds are dealt like cards, not diced, so that a plan lacks none; the shortest phases are queues of jobs.
        """
        rectangles = self._divide(tuple(range(self.gpus)), self._starts[plan], self._starts[plan + 1])
        deck = sorted(range(len(_DECK)), key=lambda card: number(self.seed, "deck", plan, card))
        dealt: Counter[Kind] = Counter()
        phases = []
        for n, phase in enumerate(sorted(rectangles, key=lambda phase: (phase.start, phase.gpus))):
            short = phase.end - phase.start < self._day / 32
            kind = Kind.JOBS if short else _DECK[deck[n % len(deck)]]
            phases.append(replace(phase, kind=kind, nth=dealt[kind]))
            dealt[kind] += 1
        return tuple(phases)

    def _divide(self, gpus: tuple[int, ...], start: int, end: int) -> Iterator[Phase]:
        key = (self.seed, "divide", gpus[0], gpus[-1], start, end)
        # A phase of less than two minutes would be all ramps.
        longest = max(120.0, self._day * between(0.02, 0.8, *key, "longest"))
        if len(gpus) > _TEAM or (len(gpus) > 1 and fraction(*key, "split") < 0.5):
            half = len(gpus) // 2
            yield from self._divide(gpus[:half], start, end)
            yield from self._divide(gpus[half:], start, end)
        elif end - start > longest:
            cut = start + int((end - start) * between(0.02, 0.98, *key, "cut"))
            yield from self._divide(gpus, start, cut)
            yield from self._divide(gpus, cut, end)
        else:
            yield Phase(start, end, gpus)

    def _draw_curve(self, index: int, plan: int) -> Curve:
        return Curve(self._knots(index, plan))

    def _knots(self, index: int, plan: int) -> Iterator[tuple[float, float, float]]:
        """A GPU's knots in one plan; each phase begins and ends at rest, on the grid."""
        pull = between(0.97, 1.0, self.seed, "pull", index)
        at_rest = (0.0, float(VRAM_AT_REST_BYTES))
        yield self._starts[plan], *at_rest
        for phase in self._plan(plan):
            first, last = -(-phase.start // GRID) * GRID, phase.end // GRID * GRID
            if index not in phase.gpus or last - first < 2 * GRID:
                continue
            key = number(self.seed, "phase", phase.start, phase.gpus[0])
            yield first, *at_rest
            for time, utilization, vram in knots(phase.kind, key, first, last, self._day):
                yield time, utilization * pull, VRAM_AT_REST_BYTES + vram * (VRAM_TOTAL_BYTES - VRAM_AT_REST_BYTES)
            yield last, *at_rest
        # One step further, so that the plan's end, too, lies before a knot.
        yield self._starts[plan + 1] + GRID, *at_rest

    def _add_up_busy(self, index: int) -> tuple[float, ...]:
        """∫ utilization dt from a cycle's first plan to each plan's start, and at last over the whole cycle."""
        # Uncached: a cycle's curves would push out those that are in use.
        curves = (self._draw_curve(index, plan) for plan in range(_PLANS))
        return tuple(accumulate((curve.busy_seconds for curve in curves), initial=0.0))
