"""One series of samples from several of the same counters: replicas of the scrape, or a job that was renamed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from exporter.report.history.lives import in_order, resets
from exporter.report.history.samples import Samples, SamplesBySeries, united
from exporter.report.observed import Floats

_CLOCKS_DIFFER = 1.0
"""Seconds by which the clocks of two servers usually may."""
_K = TypeVar("_K")


def replicas_merged(series: Sequence[Samples], apart: float) -> Samples:
    """Returns one series from several that overlap or follow each other; nothing is added up.

    A sample counts unless one of an earlier series lies within `apart` seconds, so that series take over from each
    other only in gaps: their clocks may differ. Where counters were reset, all samples count: the last before tells
    most. Servers that write into one series are told apart by their clocks alone: no sample counts that steps back.

    Args:
        series: The preferred first.
        apart: Seconds; above the interval between scrapes.
    """
    merged = series[0]
    for other in series[1:]:
        merged = united((merged, other[_nearest(other, merged) > apart]))
    for other in series[1:]:
        is_reset = np.concatenate([[False], resets(merged), [False]])
        beside_reset = is_reset[np.searchsorted(merged.times, other.times)]
        merged = united((merged, other[beside_reset & (_nearest(other, merged) > _CLOCKS_DIFFER)]))
    return in_order(merged)


def replicas_merged_by(
    key_of: Callable[[Mapping[str, str]], _K | None], tables: SamplesBySeries, apart: float
) -> dict[_K, Samples]:
    """Returns one series for each key, whatever other labels those that belong to it differ in.

    Args:
        key_of: What a label set belongs to; None: to nothing.
        tables: By label set; the fullest is preferred, then the first by its labels.
        apart: As in `replicas_merged`.
    """
    ranked: dict[_K, list[tuple[int, list[tuple[str, str]], Samples]]] = {}
    for labels, samples in tables.items():
        key = key_of(dict(labels))
        if key is not None and len(samples):
            ranked.setdefault(key, []).append((-len(samples), sorted(labels), samples))
    return {
        key: replicas_merged([samples for *_, samples in sorted(each, key=lambda one: one[:2])], apart)
        for key, each in ranked.items()
    }


def _nearest(samples: Samples, other: Samples) -> Floats:
    """Returns the seconds from each sample to the nearest of another series."""
    ends = np.concatenate([[-np.inf], other.times, [np.inf]])
    after = np.searchsorted(ends, samples.times)
    distance: Floats = np.minimum(samples.times - ends[after - 1], ends[after] - samples.times)
    return distance
