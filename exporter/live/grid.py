"""Samples of many GPUs at the same instants: a row each. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from exporter.report.history.responses import Series
from exporter.report.observed import Floats

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Instants:
    """Instants one step apart."""

    first: float
    """Unix seconds."""
    step: float
    """Seconds."""
    count: int

    @classmethod
    def until(cls, last: float, span: float, step: float) -> Instants:
        """Returns those of so many seconds before the last."""
        steps = int(span // step)
        return cls(last - steps * step, step, steps + 1)

    @property
    def last(self) -> float:
        """In Unix seconds."""
        return self.first + (self.count - 1) * self.step


def rows(found: Iterable[tuple[_Key, Series]], keys: Collection[_Key], at: Instants) -> Floats:
    """Returns the values of series at instants, shape (keys, instants); NaN where there is none.

    Args:
        found: Series and the key of each. Several of one key are replicas of a scrape: the highest value counts.
        keys: A row each; what has another one is left out.
        at: The instants. VictoriaMetrics moves those asked for to multiples of the step.
    """
    row_of = {key: row for row, key in enumerate(keys)}
    replicas: defaultdict[int, dict[int, Series]] = defaultdict(dict)
    told_of = [0] * len(keys)
    for key, series in found:
        if (row := row_of.get(key)) is not None:
            replicas[told_of[row]][row] = series
            told_of[row] += 1
    grid = np.full((len(keys), at.count), np.nan)
    for one in replicas.values():
        np.fmax(grid, _laid_out(list(one), list(one.values()), at, len(keys)), out=grid)
    return grid


def _laid_out(at_row: Sequence[int], series: Sequence[Series], at: Instants, height: int) -> Floats:
    """Returns series as rows; all at once, as most have but a few samples."""
    times = np.concatenate([one.times for one in series])
    places = np.rint((times - at.first) / at.step).astype(int).clip(0, at.count - 1)
    grid = np.full((height, at.count), np.nan)
    grid[np.repeat(at_row, [len(one.times) for one in series]), places] = np.concatenate([one.values for one in series])
    return grid
