"""The answers of Prometheus' HTTP API. Nearly all of each is samples, which are read all at once: that is fast.

https://prometheus.io/docs/prometheus/latest/querying/api/#expression-query-result-formats
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from pydantic import ConfigDict, TypeAdapter
from pydantic_core import from_json

from exporter.report.observed import Floats

# Neither can stand within a JSON string, where the quotes would be escaped, nor a bracket of samples end elsewhere.
_SAMPLES_START = b'"values":[['
_SAMPLES_END = b"]]"
_PUNCTUATION = b'[]"'


_LABEL_SETS: TypeAdapter[list[dict[str, str]]] = TypeAdapter(list[dict[str, str]], config=ConfigDict(strict=True))
_LARGEST = 1e24
"""No counter of seconds, joules or byte-seconds comes near: with all VRAM in use that takes 100,000 years."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The samples of one label set; there is at least one."""

    labels: Mapping[str, str]
    times: Floats
    """Unix seconds, ascending, each once."""
    values: Floats
    """Without staleness markers and other NaNs."""


@dataclass(frozen=True, slots=True)
class Remark:
    """What the server says beside an answer, as it put it."""

    text: str
    lacks_data: bool
    """Whether some answer is not all that was asked for."""


class Unsound(Enum):
    """What is wrong with samples of an answer that can be used all the same."""

    IMPOSSIBLE = "impossible"
    """Infinite, negative or absurdly large: left out."""
    TWICE = "twice"
    """A series, or an instant in one, is told twice: the first counts."""


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
    except (ValueError, RecursionError):
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


def all_series(data: Mapping[str, Any]) -> tuple[list[Series], set[Unsound]]:
    """Returns the series of a vector or a matrix that have samples, and what is wrong with those that were left out.

    Raises:
        AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError: It is neither.
    """
    if data["resultType"] not in {"vector", "matrix"}:
        raise ValueError(data["resultType"])
    unsound: set[Unsound] = set()
    found: dict[frozenset[tuple[str, str]], Series] = {}
    told = _told(data["result"])
    are_sound = _are_sound(told)  # nearly always: looking at each costs more than all else that is done with it
    for labels, (times, values) in zip(label_sets([one["metric"] for one in data["result"]]), told, strict=True):
        series = Series(labels, times, values) if are_sound else _series(labels, times, values, unsound)
        if found.setdefault(frozenset(labels.items()), series) is not series:
            unsound.add(Unsound.TWICE)
    return [series for series in found.values() if len(series.times)], unsound


def _told(result: Sequence[Mapping[str, Any]]) -> list[tuple[Floats, Floats]]:
    """Returns the times and values of each series; those of a vector, one each, are made numbers all at once."""
    if not result or any("values" in one for one in result):
        told = (one["values"] if "values" in one else (one["value"],) for one in result)
        return [(times, values) for times, values in (np.asarray(pairs, dtype=np.float64).T for pairs in told)]
    times, values = np.asarray([one["value"] for one in result], dtype=np.float64).T
    return list(zip(times[:, np.newaxis], values[:, np.newaxis], strict=True))


def label_sets(found: object) -> list[dict[str, str]]:
    """Returns a list of label sets as it is.

    Raises:
        ValueError: It is something else.
    """
    return _LABEL_SETS.validate_python(found)


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


def _series(labels: Mapping[str, str], times: Floats, values: Floats, unsound: set[Unsound]) -> Series:
    """Returns the samples that can be used, and adds what is wrong with the others."""
    if not np.isfinite(times).all():
        raise ValueError("times that are none")
    told = ~np.isnan(values)
    possible = told & (values >= 0) & (values < _LARGEST)
    if (told & ~possible).any():
        unsound.add(Unsound.IMPOSSIBLE)
    alone, first = np.unique(times[possible], return_index=True)
    if len(alone) < possible.sum():
        unsound.add(Unsound.TWICE)
    return Series(labels, alone, values[possible][first])


def _are_sound(told: Sequence[tuple[Floats, Floats]]) -> bool:
    """Returns whether the samples of all series are as they should be; one that is NaN is in no order."""
    if not told:
        return True
    times, values = (np.concatenate(arrays) for arrays in zip(*told, strict=True))
    in_order = times[1:] > times[:-1]
    in_order[np.cumsum([len(each) for each, _ in told[:-1]], dtype=np.intp) - 1] = True  # from one series to the next
    return bool(in_order.all() and values.min() >= 0 and values.max() < _LARGEST and np.isfinite(times).all())
