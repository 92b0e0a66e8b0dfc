"""The answers of Prometheus' HTTP API. Nearly all of each is samples, which are read all at once: that is fast.

https://prometheus.io/docs/prometheus/latest/querying/api/#expression-query-result-formats
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from pydantic_core import from_json

from exporter.report.observed import Floats

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


@dataclass(frozen=True, slots=True)
class Remark:
    """What the server says beside an answer, as it put it."""

    text: str
    lacks_data: bool
    """Whether some answer is not all that was asked for."""


def parsed(body: bytes) -> dict[str, Any] | None:
    """Returns the JSON object it is, if any; `values` are arrays of (time, value).

    Raises:
        ValueError: Samples that are not pairs of numbers.
    """
    texts: list[bytes] = []
    samples: list[bytes] = []
    position = 0
    while (start := body.find(_SAMPLES_START, position)) >= 0:
        end = body.find(_SAMPLES_END, start)
        if end < 0:
            return None
        first = start + len(_SAMPLES_START)
        texts.append(body[position : first - 2] + b"%d" % len(samples))
        samples.append(body[first:end])
        position = end + len(_SAMPLES_END)
    texts.append(body[position:])
    try:
        document = json.loads(b"".join(texts))
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    if samples:
        pairs = _pairs(samples)
        for one in document["data"]["result"]:
            one["values"] = pairs[one["values"]]
    return document


def _pairs(samples: Sequence[bytes]) -> list[Floats]:
    """Returns times and values of each series, shape (n, 2); all are read at once, as most series have but a few."""
    plain = b",".join(samples).translate(None, _PUNCTUATION)
    try:
        numbers = from_json(b"[%b]" % plain)  # a third of the time that float() of each takes
    except ValueError:  # JSON has no "+Inf"
        numbers = [float(number) for number in plain.split(b",")]
    pairs = np.array(numbers, dtype=np.float64).reshape(-1, 2)
    ends = list(accumulate(text.count(b"]") + 1 for text in samples))
    if ends[-1] != len(pairs):
        raise ValueError("samples that are not pairs")
    return [pairs[start:end] for start, end in pairwise([0, *ends])]


def all_series(data: Mapping[str, Any]) -> list[Series]:
    """Returns the series of a vector or a matrix.

    Raises:
        AttributeError, IndexError, KeyError, TypeError, ValueError: It is neither.
    """
    if data["resultType"] not in {"vector", "matrix"}:
        raise ValueError(data["resultType"])
    return [_series(one["metric"], one["values"] if "values" in one else (one["value"],)) for one in data["result"]]


def concatenated(parts: Sequence[Sequence[Series]]) -> list[Series]:
    """Returns the series of consecutive stretches of time as one each."""
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


def _series(labels: Mapping[str, str], pairs: Floats | Sequence[Sequence[Any]]) -> Series:
    samples = np.asarray(pairs, dtype=np.float64)
    times, values = samples.T
    missing = np.isnan(values)
    if missing.any():
        times, values = times[~missing], values[~missing]
    return Series(labels, times, values)
