"""Reads what exporters showed of tasks: which there were, from when to when, and how far that can be relied on."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from exporter.aliases import GpuNames
from exporter.errors import HistoryTasksError
from exporter.model import SHOWN_SECONDS
from exporter.report.history.client import PrometheusClient
from exporter.report.history.concurrency import both
from exporter.report.history.queries import (
    REFRESH_SAMPLES,
    SCRAPED_CELLS,
    TASK_ENDS,
    TASK_SAMPLES,
    TASK_STARTS,
    TASKS_AGAIN,
    TASKS_KNOWN_FIRST,
    TASKS_KNOWN_LAST,
    TASKS_OF_GPUS,
    Query,
    any_of,
    batches,
)
from exporter.report.history.responses import Series
from exporter.report.history.task_runs import (
    Known,
    RunKey,
    Runs,
    Shown,
    TaskSamples,
    Told,
    Who,
    lost,
    runs_of_samples,
    tells_no_ends,
    told,
)
from exporter.report.observed import Floats

_CELL = 1800.0
"""Seconds: what ended is shown for longer, so that a look at each such stretch sees all."""
_PIECE = 86400.0
"""Seconds of which all tasks are in memory as they were answered."""
_SAMPLES_A_DAY = 150.0
"""That a GPU with ten tasks has in one answer."""
_IDS = 100
"""Of tasks in one question."""
_NAME = "__name__"
_DEVICE = frozenset({_NAME, "hostname", "gpu", "gpu_uuid"})

_Pair = tuple[str, str]
"""The ids of a GPU, as the report tells of it, and of a task."""
_Target = frozenset[tuple[str, str]]
"""The labels that all series of an exporter share."""


async def shown_tasks(
    client: PrometheusClient, names: GpuNames, uuids: Collection[str], start: float, end: float, *, is_over: bool
) -> Told:
    """Returns who held what in a window, as exporters showed it in the window and the hour after.

    Args:
        client: The server.
        names: What the report calls GPUs.
        uuids: The ids of all GPUs, under which exporters tell of them.
        start: Unix seconds.
        end: Unix seconds.
        is_over: Whether the window is.

    Raises:
        HistoryTasksError: The history tells of no tasks, or not when they ended.
        HistoryError: As the client raises it.
    """
    first, last = math.floor(start / _CELL) * _CELL, math.ceil((end + SHOWN_SECONDS) / _CELL) * _CELL
    known, targets = await _known(client, names, uuids, first, last)
    reader = _Reader(client, names, targets)
    runs: Runs = {}
    for begin, finish in _pieces(first, last):
        for some in batches(uuids, _SAMPLES_A_DAY):
            for key, shown in (await reader.runs(some, (begin, finish))).items():
                runs[key] = runs[key].joined(shown) if key in runs else shown
    if not runs:
        raise HistoryTasksError("the scrape history tells of no tasks")
    if tells_no_ends(runs, known):
        raise HistoryTasksError("the scrape history does not tell when tasks ended: its exporters are older")
    runs |= await reader.lost(runs, known)
    return told(runs, known, start, end, is_over=is_over)


async def _known(
    client: PrometheusClient, names: GpuNames, uuids: Collection[str], first: float, last: float
) -> tuple[dict[str, Known], dict[str, set[_Target]]]:
    """Returns which refreshes were scraped of each GPU, and its exporters; where these tell none, its scrapes."""
    refreshes: dict[_Target, dict[float, set[float]]] = {}
    for query in (TASKS_KNOWN_FIRST, TASKS_KNOWN_LAST):
        question = query.ask(client.scope(), range_seconds=_CELL)
        for series in await client.range(question, first + _CELL, last, _CELL):
            cells = refreshes.setdefault(_target(series.labels), {})
            for time, value in zip(series.times.tolist(), series.values.tolist(), strict=True):
                cells.setdefault(time, set()).add(value)
    instants: defaultdict[str, set[float]] = defaultdict(set)
    targets: defaultdict[str, set[_Target]] = defaultdict(set)
    for some in batches(uuids, (last - first) / _CELL):
        question = SCRAPED_CELLS.ask(client.scope(any_of("gpu_uuid", some)), range_seconds=_CELL)
        for series in await client.range(question, first + _CELL, last, _CELL):
            uuid, target = names.key(series.labels["gpu_uuid"]), _target(series.labels)
            targets[uuid].add(target)
            cells = refreshes.get(target, {})
            for time in series.times.tolist():
                instants[uuid] |= cells.get(time, set()) if cells else {time - _CELL, time}
    return {uuid: Known(np.array(sorted(each))) for uuid, each in instants.items()}, targets


class _Reader:
    """Reads runs.

    Args:
        client: The server.
        names: What the report calls GPUs.
        targets: The exporters that told of each GPU.
    """

    def __init__(self, client: PrometheusClient, names: GpuNames, targets: Mapping[str, Collection[_Target]]) -> None:
        self._client = client
        self._names = names
        self._targets = targets

    async def runs(self, uuids: Collection[str], piece: tuple[float, float]) -> Runs:
        """Returns the runs that some GPUs were shown with in a piece of time."""
        first, last = piece
        client, scope = self._client, self._client.scope(any_of("gpu_uuid", uuids))

        def ask(query: Query) -> Coroutine[Any, Any, list[Series]]:
            return client.instant(query.ask(scope, range_seconds=last - first), last)

        (labels, starts), (ends, again) = await both(
            both(
                client.label_sets(TASKS_OF_GPUS.ask(scope), first, last),
                client.range(TASK_STARTS.ask(scope, range_seconds=_CELL), first + _CELL, last, _CELL),
            ),
            both(ask(TASK_ENDS), ask(TASKS_AGAIN)),
        )
        infos: defaultdict[_Pair, set[Who]] = defaultdict(set)
        for each in labels:
            if each.get("task_id") and each.get("gpu_uuid"):
                infos[self._pair(each)].add(Who.of(each))
        ended = {self._pair(one.labels): float(one.values[-1]) for one in ends}
        unclear = {self._pair(one.labels) for one in again} | {pair for pair, each in infos.items() if len(each) > 1}
        runs: Runs = {}
        closely: set[_Pair] = set()
        for series in starts:
            pair = self._pair(series.labels)
            if pair in unclear:
                closely.add(pair)
            elif pair in infos:
                start, end = float(series.values[-1]), ended.get(pair)
                key = RunKey(*pair, start)
                shown = Shown(next(iter(infos[pair])), float(series.times[-1]), end if end and end >= start else None)
                runs[key] = runs[key].joined(shown) if key in runs else shown
        return runs | await self._closely(closely, piece)

    async def lost(self, runs: Runs, known: Mapping[str, Known]) -> Runs:
        """Returns the runs that were not shown to their end, with when they were shown last."""
        by_cell: defaultdict[float, list[RunKey]] = defaultdict(list)
        for key in lost(runs, known):
            by_cell[runs[key].last].append(key)
        found: Runs = {}
        for cell, keys in by_cell.items():
            pairs = {(key.gpu_uuid, key.task_id) for key in keys}
            seen = await self._closely(pairs, (cell - _CELL, cell + _CELL))
            for key in keys:
                shown, later = seen.get(key, runs[key]), known[key.gpu_uuid].after(runs[key].last)
                if shown.gone is None and later is not None:
                    shown = replace(shown, gone=max(shown.last, later - SHOWN_SECONDS))
                found[key] = replace(shown, who=runs[key].who)
        return found

    async def _closely(self, pairs: Collection[_Pair], piece: tuple[float, float]) -> Runs:
        """Returns the runs of some ids on some GPUs, from every sample in a piece of time."""
        ids_of: defaultdict[str, set[str]] = defaultdict(set)
        for uuid, task_id in sorted(pairs):
            ids_of[uuid].add(task_id)
        runs: Runs = {}
        for uuid, ids in ids_of.items():
            refreshes = await self._refreshes(uuid, piece)
            for some in (sorted(ids)[n : n + _IDS] for n in range(0, len(ids), _IDS)):
                scope = self._client.scope(
                    any_of("gpu_uuid", self._names.known_as(uuid) or {uuid}), any_of("task_id", some)
                )
                question = TASK_SAMPLES.ask(scope, range_seconds=piece[1] - piece[0])
                answer = await self._client.instant(question, piece[1])
                for task_id in some:
                    runs |= runs_of_samples(uuid, task_id, _samples(task_id, answer, refreshes))
        return runs

    async def _refreshes(self, uuid: str, piece: tuple[float, float]) -> Sequence[tuple[float, float]]:
        """Returns when the exporters of a GPU were scraped, and of when their answers were."""
        found: list[Series] = []
        for target in sorted(self._targets.get(uuid, ()), key=sorted):
            matchers = [any_of(label, [value]) for label, value in sorted(target)]
            question = REFRESH_SAMPLES.ask(self._client.scope(*matchers), range_seconds=piece[1] - piece[0])
            found += await self._client.instant(question, piece[1])
        return _in_order(found)

    def _pair(self, labels: Mapping[str, str]) -> _Pair:
        return self._names.key(labels["gpu_uuid"]), labels["task_id"]


def _samples(task_id: str, answer: Iterable[Series], refreshes: Sequence[tuple[float, float]]) -> TaskSamples:
    told: defaultdict[str, list[Series]] = defaultdict(list)
    for series in answer:
        if series.labels.get("task_id") == task_id:
            told[series.labels[_NAME]].append(series)
    infos: defaultdict[Who, list[Floats]] = defaultdict(list)
    for series in told["amdgpu_task_info"]:
        infos[Who.of(series.labels)].append(series.times)
    return TaskSamples(
        _in_order(told["amdgpu_task_start_timestamp_seconds"]),
        _in_order(told["amdgpu_task_end_timestamp_seconds"]),
        {who: np.concatenate(times) for who, times in infos.items()},
        refreshes,
    )


def _in_order(found: Iterable[Series]) -> Sequence[tuple[float, float]]:
    """Returns the times and values of some series, in the order of time."""
    return sorted(pair for series in found for pair in zip(series.times.tolist(), series.values.tolist(), strict=True))


def _target(labels: Mapping[str, str]) -> _Target:
    return frozenset(label for label in labels.items() if label[0] not in _DEVICE)


def _pieces(first: float, last: float) -> Iterator[tuple[float, float]]:
    begin = first
    while begin < last:
        yield begin, min(begin + _PIECE, last)
        begin += _PIECE
