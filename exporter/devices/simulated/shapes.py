"""How utilization and VRAM move in the course of one phase of each kind.

Knots lie on multiples of `GRID` only: readings taken every 1, 3, 5 or 15 s on that grid, joined by straight lines,
lose nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from enum import StrEnum

from exporter.devices.simulated.chance import between

GRID = 15
"""Seconds between two possible knots."""

DAY = 86400

Knot = tuple[int, float, float]
"""Seconds, utilization 0 to 1, and VRAM as a part of the whole."""


class Kind(StrEnum):
    """What a GPU does for a while."""

    IDLE = "idle"
    """Nothing."""
    TRAINING = "training"
    """Full load, with a dip at each checkpoint."""
    INFERENCE = "inference"
    """Waves that follow the time of day, over a model that stays loaded."""
    NOTEBOOK = "notebook"
    """Bursts with long pauses, while VRAM stays held."""
    FORGOTTEN = "forgotten"
    """Loaded once, then nothing, while VRAM stays held."""
    JOBS = "jobs"
    """A queue of short runs."""


def knots(kind: Kind, key: int, first: int, last: int, day: int) -> Iterator[Knot]:
    """The knots of a phase strictly between `first` and `last`, at which the GPU is at rest.

    Args:
        kind: what runs.
        key: of the phase; the same key gives the same load.
        first: seconds, a multiple of `GRID`.
        last: seconds, a multiple of `GRID`.
        day: seconds in which the load goes through what a real one does in a day.
    """
    latest = first
    for time, utilization, vram in _SHAPES[kind](key, first, last, day):
        if latest < time < last:
            latest = time
            yield time, utilization, vram


def _idle(_key: int, _first: int, _last: int, _day: int) -> Iterator[Knot]:
    yield from ()


def _training(key: int, first: int, last: int, day: int) -> Iterator[Knot]:
    level, vram = between(0.9, 1.0, key, "level"), between(0.55, 0.95, key, "vram")
    checkpoint = _steps(1800, day, at_least=4)
    yield first + GRID, level, vram
    for time in range(first + checkpoint, last - 3 * GRID, checkpoint):
        yield time, level, vram
        yield time + GRID, between(0.02, 0.3, key, "dip", time), vram
        yield time + 2 * GRID, level, vram
    yield last - GRID, level, vram


def _inference(key: int, first: int, last: int, day: int) -> Iterator[Knot]:
    vram = between(0.2, 0.9, key, "vram")
    step = _steps(900, day)
    for time in range(first + GRID, last - GRID, step):
        demand = 0.5 + 0.5 * math.cos(math.tau * (time / day - 0.25))
        yield time, (0.02 + 0.75 * demand) * between(0.7, 1.2, key, "wave", time), vram
    yield last - GRID, 0.02, vram


def _notebook(key: int, first: int, last: int, day: int) -> Iterator[Knot]:
    vram = between(0.05, 0.5, key, "vram")
    begins = first + GRID
    yield begins, 0.0, vram
    while True:
        begins += _steps(between(300, 2400, key, "pause", begins), day)
        ends = begins + _steps(between(30, 600, key, "burst", begins), day) + GRID
        if ends + 2 * GRID > last:
            break
        peak = between(0.2, 0.95, key, "peak", begins)
        yield begins, 0.0, vram
        yield begins + GRID, peak, vram
        yield ends, peak, vram
        begins = ends + GRID
        yield begins, 0.0, vram
    yield last - GRID, 0.0, vram


def _forgotten(key: int, first: int, last: int, _day: int) -> Iterator[Knot]:
    vram = between(0.1, 0.8, key, "vram")
    yield first + GRID, 0.4, vram
    yield first + 2 * GRID, 0.0, vram
    yield last - GRID, 0.0, vram


def _jobs(key: int, first: int, last: int, _day: int) -> Iterator[Knot]:
    for time in range(first + GRID, last, GRID):
        yield time, between(0.0, 0.9, key, "run", time), 0.1


def _steps(seconds: float, day: int, at_least: int = 1) -> int:
    """A duration of a real day, scaled to `day` and rounded to the grid."""
    return GRID * max(at_least, round(seconds * day / DAY / GRID))


_SHAPES: dict[Kind, Callable[[int, int, int, int], Iterator[Knot]]] = {
    Kind.IDLE: _idle,
    Kind.TRAINING: _training,
    Kind.INFERENCE: _inference,
    Kind.NOTEBOOK: _notebook,
    Kind.FORGOTTEN: _forgotten,
    Kind.JOBS: _jobs,
}
