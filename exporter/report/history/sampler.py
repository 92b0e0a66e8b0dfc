"""Reads counters as true samples: a coarse grid of all, and everything within chosen spans."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from exporter.report.history.client import PrometheusClient
from exporter.report.history.concurrency import together
from exporter.report.history.gpus import Inventory, reference_gpus
from exporter.report.history.queries import CounterGroup, any_of, batches, pieces
from exporter.report.history.responses import Series
from exporter.report.history.samples import COUNTERS, Labels, Samples, SamplesBySeries, united_by_series
from exporter.report.history.scrape_times import ScrapeTimes
from exporter.report.observed import Floats
from exporter.report.window import CELL_SECONDS

Span = tuple[float, float]
"""Unix seconds."""

_JITTER = 0.25
"""Seconds by which scrapes are late now and then."""
_NEIGHBOURS = 1.5
"""Scrape intervals: samples closer than this have none between them."""
_MISSED_TWO = 2.5
"""Scrape intervals: samples further apart than this miss at least two between them."""
_MINUTE = 60.0
_INSTANT = 0.001
"""Seconds: a sample at the start of a span is in its range, whichever edges the engine counts."""
_QUERY_SAMPLES = 1700
"""Samples that cost both sides what a query does."""
_SERIES_SAMPLES = 130
"""Samples that cost both sides what a series does, however few it has."""
_SLOTS = tuple(_MINUTE * n for n in (1, 2, 3, 5, 10, 20, 45))
"""Seconds of instants that one query may ask for."""
_SPEAKS = 0
"""The column of a group's first metric, at whose instants all the group has samples."""


class Sampler:
    """Reads one stretch of time.

    Args:
        client: The server.
        start: Unix seconds.
        end: Unix seconds.
        interval: Seconds between scrapes.
        known: The GPUs. The series of one that exporters tell of by several ids come as if they told of it by one.
    """

    def __init__(self, client: PrometheusClient, start: float, end: float, interval: float, known: Inventory) -> None:
        self.start = start
        self.end = end
        self.interval = interval
        self.apart = _NEIGHBOURS * interval
        """Seconds: samples closer than this have none between them."""
        self.least_gap = _MISSED_TWO * interval
        """Seconds: samples further apart than this are the two sides of a gap of the scrapes."""
        self._client = client
        self._known = known
        self._times = ScrapeTimes(client, start, end, reference_gpus(known.identities))

    async def grid(self, group: CounterGroup, uuids: Collection[str], *, bracketed: bool) -> SamplesBySeries:
        """Returns the last sample before every tenth minute from the start; bracketed, the first after it, too."""
        offsets = (0.0, self.interval + _JITTER) if bracketed else (0.0,)
        for offset in offsets:
            await self._times.load(offset)
        batched = batches(self._known.known_as(uuids), (self.end - self.start) / CELL_SECONDS * COUNTERS)
        return united_by_series(
            await together(self._read_grid(group, some, offset) for some in batched for offset in offsets)
        )

    async def within(self, group: CounterGroup, wanted: Mapping[str, Iterable[Span]]) -> SamplesBySeries:
        """Returns all samples within spans, rounded outward to minutes so that GPUs can be asked for together.

        Args:
            group: Which counters.
            wanted: The spans by GPU.
        """
        by_span: dict[Span, set[str]] = {}
        for uuid, spans in wanted.items():
            for start, end in spans:
                minutes = math.floor((start - _INSTANT) / _MINUTE) * _MINUTE, math.ceil(end / _MINUTE) * _MINUTE
                for piece in pieces(*minutes):
                    by_span.setdefault(piece, set()).add(uuid)
        return await self._read_spans(group, by_span)

    async def near(self, group: CounterGroup, instants: Mapping[str, Floats], slot: float) -> SamplesBySeries:
        """Returns the samples on either side of instants, where no scrape was missed, and those around them.

        Args:
            group: Which counters.
            instants: Unix seconds, by GPU.
            slot: The seconds whose instants one query asks for.
        """
        by_span: dict[Span, set[str]] = {}
        for uuid, some in instants.items():
            for start in (np.unique(some // slot) * slot).tolist():
                by_span.setdefault((start - self.apart, start + slot + self.apart), set()).add(uuid)
        return await self._read_spans(group, by_span)

    def rows_near(self, instants: Floats, slot: float) -> float:
        """Returns how many scrapes `near` reads of one GPU."""
        return len(np.unique(instants // slot)) * self._rows_in(slot)

    async def latest(self, group: CounterGroup, uuid: str, until: float, seconds: float) -> SamplesBySeries:
        """Returns the last sample of each series of a GPU, be it gone since, with `until` for its time.

        Args:
            group: Which counters.
            uuid: The GPU.
            until: Unix seconds.
            seconds: How long before that it may be.
        """
        names = self._known.known_as([uuid])
        scope = self._client.scope(any_of("gpu_uuid", names))
        found = await self._client.instant(group.latest.ask(scope, range_seconds=seconds), until)
        return self._by_key(_samples_by_series(group, names, found))

    def slot(self, instants: Sequence[Floats], on_grid: float, most_rows: int) -> float:
        """Returns the seconds whose instants one query should ask for, such that all queries cost least.

        Long slots bring samples between instants, short ones the samples at their edges, and the series, again and
        again; and the more rows there are the fewer GPUs are asked for together.

        Args:
            instants: Unix seconds, of each GPU.
            on_grid: The scrapes of a GPU that are read in any case.
            most_rows: Scrapes of GPUs that are read together.
        """
        gpus = np.repeat(np.arange(len(instants)), [len(some) for some in instants])
        everything = np.concatenate([*map(np.sort, instants), []])

        def cost(slot: float) -> float:
            slots = everything // slot
            spans = 1 + np.count_nonzero((np.diff(slots) != 0) | (np.diff(gpus) != 0))
            parts = max(1.0, (spans * self._rows_in(slot) + len(instants) * on_grid) / most_rows)
            queries: float = min(float(spans), float(parts) * len(np.unique(slots)))
            return float(spans * (self._rows_in(slot) + _SERIES_SAMPLES) * COUNTERS + queries * _QUERY_SAMPLES)

        return min(_SLOTS, key=cost)

    def _rows_in(self, slot: float) -> float:
        return (slot + 2 * self.apart) / self.interval

    async def _read_spans(self, group: CounterGroup, by_span: Mapping[Span, Collection[str]]) -> SamplesBySeries:
        return united_by_series(
            await together(
                self._read_span(group, some, span)
                for span, uuids in by_span.items()
                for some in batches(self._known.known_as(uuids), self._samples_in(span))
            )
        )

    def _samples_in(self, span: Span) -> float:
        """Returns the most samples that one GPU can have in a span.

        Whatever is wider than the grid is a gap, with samples around its ends only.
        """
        start, end = span
        return min(end - start, 5 * CELL_SECONDS) / self.interval * COUNTERS

    async def _read_grid(self, group: CounterGroup, uuids: Collection[str], offset: float) -> SamplesBySeries:
        question = group.values.ask(self._client.scope(any_of("gpu_uuid", uuids)), offset_seconds=offset)
        values = await self._client.range(question, self.start, self.end, CELL_SECONDS)
        return self._by_key(await self._times.stamp(_samples_by_series(group, uuids, values), offset))

    async def _read_span(self, group: CounterGroup, uuids: Collection[str], span: Span) -> SamplesBySeries:
        start, end = span
        question = group.samples.ask(self._client.scope(any_of("gpu_uuid", uuids)), range_seconds=end - start)
        return self._by_key(_samples_by_series(group, uuids, await self._client.instant(question, end)))

    def _by_key(self, tables: SamplesBySeries) -> SamplesBySeries:
        """Returns the same, each GPU under the one id by which the report tells of it."""
        return {self._with_key(labels): samples for labels, samples in tables.items()}

    def _with_key(self, labels: Labels) -> Labels:
        uuid = dict(labels)["gpu_uuid"]
        key = self._known.names.key(uuid)
        return labels if key == uuid else labels - {("gpu_uuid", uuid)} | {("gpu_uuid", key), ("alias", uuid)}


def _samples_by_series(group: CounterGroup, uuids: Collection[str], answer: Iterable[Series]) -> SamplesBySeries:
    """Returns the counters of each label set side by side, with the instants of the answer as times.

    Args:
        group: Which counters.
        uuids: The GPUs asked for; whatever else is told does not count.
        answer: The series.
    """
    column_of = {metric: column for column, metric in enumerate(group.metrics) if metric}
    asked = frozenset(uuids)
    by_labels: dict[Labels, dict[int, Series]] = {}
    for series in answer:
        labels = dict(series.labels)
        column = column_of.get(labels.pop("__name__"))
        if column is not None and labels["gpu_uuid"] in asked:
            by_labels.setdefault(frozenset(labels.items()), {})[column] = series
    return {labels: _side_by_side(columns) for labels, columns in by_labels.items() if _SPEAKS in columns}


def _side_by_side(columns: Mapping[int, Series]) -> Samples:
    instants = columns[_SPEAKS].times.copy()  # a view would keep the whole answer in memory
    counters = np.full((len(instants), COUNTERS), np.nan)
    if all(len(series.times) == len(instants) for series in columns.values()):
        times = np.concatenate([series.times for series in columns.values()])
        if (times.reshape(-1, len(instants)) == instants).all():
            for column, series in columns.items():
                counters[:, column] = series.values
            return Samples(instants, counters)
    for column, series in columns.items():
        _, ours, theirs = np.intersect1d(instants, series.times, assume_unique=True, return_indices=True)
        counters[ours, column] = series.values[theirs]
    return Samples(instants, counters)
