"""Reads counters as tables of true samples: a coarse grid of all, and everything within chosen spans."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from exporter.report.history.client import PrometheusClient
from exporter.report.history.counters import WIDTH, Labels, Tables, merge, union
from exporter.report.history.queries import QUESTION_GPUS, Family, any_of
from exporter.report.history.responses import Series
from exporter.report.history.scrape_times import ScrapeTimes
from exporter.report.observed import Floats
from exporter.report.window import CELL_SECONDS

Span = tuple[float, float]
"""Unix seconds."""

_ANSWER_SAMPLES = 60_000
"""In one answer: some 12 MB while it is decoded. Prometheus refuses more than 50 million."""
_JITTER = 0.25
"""Seconds by which scrapes are late now and then."""
_NEIGHBOURS = 1.5
_MINUTE = 60.0
_INSTANT = 0.001
"""Seconds: a sample at the start of a span is in its range, whichever edges the engine counts."""
_QUERY_SAMPLES = 1700
"""Samples that cost both sides what a query does."""
_T = TypeVar("_T")
_U = TypeVar("_U")
_K = TypeVar("_K")


class Sampler:
    """Reads one stretch of time.

    Args:
        client: The server.
        start: Unix seconds.
        end: Unix seconds.
        interval: Seconds between scrapes.
        speakers: GPUs, one or more of each node, that tell when it was scraped.
    """

    def __init__(
        self, client: PrometheusClient, start: float, end: float, interval: float, speakers: Collection[str]
    ) -> None:
        self.start = start
        self.end = end
        self.interval = interval
        self.apart = _NEIGHBOURS * interval
        """Seconds: samples closer than this have none between them."""
        self._client = client
        self._times = ScrapeTimes(client, start, end, speakers)

    async def grid(self, family: Family, uuids: Collection[str], *, bracketed: bool) -> Tables:
        """The last sample before every tenth minute from the start; bracketed, the first after it, too."""
        offsets = (0.0, self.interval + _JITTER) if bracketed else (0.0,)
        for offset in offsets:
            await self._times.load(offset)
        groups = batches(uuids, (self.end - self.start) / CELL_SECONDS * (WIDTH - 1))
        return joined(await together(self._read_grid(family, some, offset) for some in groups for offset in offsets))

    async def within(self, family: Family, wanted: Mapping[str, Iterable[Span]]) -> Tables:
        """All samples within spans, rounded outward to minutes so that GPUs can be asked for together.

        Args:
            family: Which counters.
            wanted: The spans by GPU.
        """
        by_span: dict[Span, set[str]] = {}
        for uuid, spans in wanted.items():
            for start, end in spans:
                minutes = math.floor((start - _INSTANT) / _MINUTE) * _MINUTE, math.ceil(end / _MINUTE) * _MINUTE
                by_span.setdefault(minutes, set()).add(uuid)
        return await self._read_spans(family, by_span)

    async def near(self, family: Family, instants: Mapping[str, Collection[float]]) -> Tables:
        """The samples on either side of instants, where no scrape was missed, and a few beside them.

        Args:
            family: Which counters.
            instants: Unix seconds, by GPU.
        """
        slot = self._slot(sum(map(len, instants.values())))
        by_span: dict[Span, set[str]] = {}
        for uuid, each in instants.items():
            for instant in each:
                start = math.floor(instant / slot) * slot
                by_span.setdefault((start - self.apart, start + slot + self.apart), set()).add(uuid)
        return await self._read_spans(family, by_span)

    def _slot(self, instants: int) -> float:
        """Seconds whose instants one query asks for: the more there are, the more samples of others it would bring."""
        seconds_each = (self.end - self.start) / max(1, instants)
        slot = math.sqrt(_QUERY_SAMPLES * seconds_each * self.interval / (WIDTH - 1))
        return min(CELL_SECONDS, _MINUTE * math.ceil(slot / _MINUTE))

    async def _read_spans(self, family: Family, by_span: Mapping[Span, Collection[str]]) -> Tables:
        return joined(
            await together(
                self._read_span(family, some, span)
                for span, uuids in by_span.items()
                for some in batches(uuids, self._samples_in(span))
            )
        )

    def _samples_in(self, span: Span) -> float:
        """At most, of one GPU: whatever is wider than the grid is a gap, with samples around its ends only."""
        start, end = span
        return min(end - start, 5 * CELL_SECONDS) / self.interval * (WIDTH - 1)

    async def _read_grid(self, family: Family, uuids: Collection[str], offset: float) -> Tables:
        question = family.values.ask(self._client.scope(any_of("gpu_uuid", uuids)), offset_seconds=offset)
        values = await self._client.range(question, self.start, self.end, CELL_SECONDS)
        return await self._times.stamp(_tabulated(family, values), offset)

    async def _read_span(self, family: Family, uuids: Collection[str], span: Span) -> Tables:
        start, end = span
        question = family.samples.ask(self._client.scope(any_of("gpu_uuid", uuids)), range_seconds=end - start)
        return _tabulated(family, await self._client.instant(question, end))


async def both(one: Coroutine[Any, Any, _T], other: Coroutine[Any, Any, _U]) -> tuple[_T, _U]:
    """Both answers; the first failure ends the other."""
    first, second = asyncio.ensure_future(one), asyncio.ensure_future(other)
    await together((first, second))
    return first.result(), second.result()


async def together(asked: Iterable[Awaitable[_T]]) -> list[_T]:
    """All answers, in order; the first failure ends the rest."""
    tasks = [asyncio.ensure_future(one) for one in asked]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def batches(uuids: Collection[str], samples_each: float) -> list[list[str]]:
    """GPUs in groups whose ids fit one question and whose samples one answer."""
    size = min(QUESTION_GPUS, max(1, int(_ANSWER_SAMPLES / max(1.0, samples_each))))
    ordered = sorted(uuids)
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]


def joined(parts: Iterable[Tables]) -> Tables:
    """All samples of each label set."""
    tables: dict[Labels, list[Floats]] = {}
    for part in parts:
        for labels, table in part.items():
            tables.setdefault(labels, []).append(table)
    return {labels: pieces[0] if len(pieces) == 1 else union(pieces) for labels, pieces in tables.items()}


def merged(tables: Tables, key_of: Callable[[Mapping[str, str]], _K | None], apart: float) -> dict[_K, Floats]:
    """One table for each key, whatever other labels its series differ in.

    Args:
        tables: By label set.
        key_of: What a label set belongs to; None: to nothing.
        apart: As in `merge`; the fullest table is preferred, then the first by its labels.
    """
    ranked: dict[_K, list[tuple[int, list[tuple[str, str]], Floats]]] = {}
    for labels, rows in tables.items():
        key = key_of(dict(labels))
        if key is not None and len(rows):
            ranked.setdefault(key, []).append((-len(rows), sorted(labels), rows))
    return {
        key: merge([rows for *_, rows in sorted(each, key=lambda one: one[:2])], apart) for key, each in ranked.items()
    }


def _tabulated(family: Family, values: Iterable[Series]) -> Tables:
    """One table for each label set, with the instants of the answer as times."""
    column_of = {metric: column for column, metric in enumerate(family.metrics, start=1) if metric}
    by_labels: dict[Labels, dict[int, Series]] = {}
    for series in values:
        labels = frozenset(item for item in series.labels.items() if item[0] != "__name__")
        by_labels.setdefault(labels, {})[column_of[series.labels["__name__"]]] = series
    return {labels: _table(columns) for labels, columns in by_labels.items() if 1 in columns}


def _table(columns: Mapping[int, Series]) -> Floats:
    """Rows at the instants of the first metric, which speaks for the family."""
    instants = columns[1].times
    rows = np.full((len(instants), WIDTH), np.nan)
    rows[:, 0] = instants
    for column, series in columns.items():
        if len(series.times) == len(instants) and (series.times == instants).all():
            rows[:, column] = series.values
        else:
            _, ours, theirs = np.intersect1d(instants, series.times, assume_unique=True, return_indices=True)
            rows[ours, column] = series.values[theirs]
    return rows
