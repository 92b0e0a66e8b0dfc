"""Samples of counters that one scrape tells together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.model import Amounts
from exporter.report.observed import Floats

COUNTERS = len(Amounts._fields)

Labels = frozenset[tuple[str, str]]
"""What the series of one target's counters have in common: all labels but the metric's name."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """What each scrape told of some counters."""

    times: Floats
    """Unix seconds, ascending; shape (n,)."""
    counters: Floats
    """With the columns of `exporter.report.observed`, NaN where one is absent; shape (n, 6)."""

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, rows: slice | NDArray[np.bool_] | NDArray[np.intp]) -> Samples:
        return Samples(self.times[rows], self.counters[rows])


SamplesBySeries = dict[Labels, Samples]

NO_SAMPLES = Samples(np.empty(0), np.empty((0, COUNTERS)))


def united(pieces: Iterable[Samples]) -> Samples:
    """Returns all samples of one series, each once, by time. Those of the same millisecond are the same."""
    everything = [NO_SAMPLES, *pieces]
    times = np.concatenate([piece.times for piece in everything])
    counters = np.concatenate([piece.counters for piece in everything])
    _, first = np.unique(np.round(times * 1000), return_index=True)
    return Samples(times[first], counters[first])


def completed(exact: SamplesBySeries, coarse: SamplesBySeries, closer_than: float) -> SamplesBySeries:
    """Returns all samples of each series, but for coarse ones where the exact ones leave no room.

    A grid looks up each counter by itself: where one lacks a sample, its last one stands beside the others' next.

    Args:
        exact: As they were scraped.
        coarse: From a grid.
        closer_than: Seconds; between exact samples that lie closer there are no others.
    """
    return united_by_series(
        (exact, {labels: _with_room(samples, exact.get(labels), closer_than) for labels, samples in coarse.items()})
    )


def _with_room(coarse: Samples, exact: Samples | None, closer_than: float) -> Samples:
    if exact is None:
        return coarse
    ends = np.concatenate([[-np.inf], exact.times, [np.inf]])
    after = np.searchsorted(ends, coarse.times)
    return coarse[ends[after] - ends[after - 1] >= closer_than]


def united_by_series(parts: Iterable[SamplesBySeries]) -> SamplesBySeries:
    """Returns all samples of each series, whichever part they are in."""
    pieces_of: dict[Labels, list[Samples]] = {}
    for part in parts:
        for labels, samples in part.items():
            pieces_of.setdefault(labels, []).append(samples)
    return {labels: _united_if_several(pieces) for labels, pieces in pieces_of.items()}


def _united_if_several(pieces: Sequence[Samples]) -> Samples:
    return pieces[0] if len(pieces) == 1 else united(pieces)
