"""The answers of Prometheus' HTTP API, read fast: nearly all of them is samples, which never become Python lists.

https://prometheus.io/docs/prometheus/latest/querying/api/#expression-query-result-formats
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Neither can stand within a JSON string, where the quotes would be escaped, nor a bracket of samples end elsewhere.
_SAMPLES_START = b'"values":[['
_SAMPLES_END = b"]]"
_PUNCTUATION = b'[]"'


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The samples of one label set."""

    labels: Mapping[str, str]
    times: Floats
    """Unix seconds, ascending."""
    values: Floats
    """Without staleness markers and other NaNs."""


def parsed(body: bytes) -> dict[str, Any] | None:
    """The JSON object it is, if any; `values` are arrays of (time, value).

    Raises:
        ValueError: Samples that are not pairs of numbers.
    """
    texts, samples, position = [], [], 0
    while (start := body.find(_SAMPLES_START, position)) >= 0:
        end = body.find(_SAMPLES_END, start)
        if end < 0:
            return None
        first = start + len(_SAMPLES_START)
        numbers = body[first:end].translate(None, _PUNCTUATION).split(b",")
        samples.append(np.array(list(map(float, numbers))).reshape(-1, 2))
        texts.append(body[position : first - 2] + b"%d" % (len(samples) - 1))
        position = end + len(_SAMPLES_END)
    texts.append(body[position:])
    try:
        document = json.loads(b"".join(texts))
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    if samples:
        for one in document["data"]["result"]:
            one["values"] = samples[one["values"]]
    return document


def all_series(data: Mapping[str, Any]) -> list[Series]:
    """Of a vector or a matrix.

    Raises:
        AttributeError, IndexError, KeyError, TypeError, ValueError: It is neither.
    """
    if data["resultType"] not in {"vector", "matrix"}:
        raise ValueError(data["resultType"])
    return [_series(one["metric"], one["values"] if "values" in one else (one["value"],)) for one in data["result"]]


def join(parts: Sequence[Sequence[Series]]) -> list[Series]:
    """The series of consecutive stretches of time as one."""
    by_labels: dict[frozenset[tuple[str, str]], list[Series]] = {}
    for part in parts:
        for series in part:
            by_labels.setdefault(frozenset(series.labels.items()), []).append(series)
    return [
        Series(
            pieces[0].labels,
            *(np.concatenate(arrays) for arrays in ([p.times for p in pieces], [p.values for p in pieces])),
        )
        for pieces in by_labels.values()
    ]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without it the garbage collector walks the growing document again and again: twice the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _series(labels: Mapping[str, str], pairs: Floats | Sequence[Sequence[Any]]) -> Series:
    samples = np.array(pairs, dtype=np.float64)
    times, values = samples[:, 0], samples[:, 1]
    missing = np.isnan(values)
    if missing.any():
        times, values = times[~missing], values[~missing]
    return Series(labels, times, values)
