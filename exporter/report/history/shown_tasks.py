"""Reads what exporters showed of tasks: which there were, from when to when, and how far that can be relied on."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from exporter.aliases import GpuNames
from exporter.errors import HistoryTasksError
from exporter.report.history.client import PrometheusClient
from exporter.report.history.concurrency import both
from exporter.report.history.queries import (
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
    SHOWN_SECONDS,
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
    known = await _known(client, names, uuids, first, last)
    runs: Runs = {}
    for begin, finish in _pieces(first, last):
        for some in batches(uuids, _SAMPLES_A_DAY):
            for key, shown in (await _runs(client, names, some, known, (begin, finish))).items():
                runs[key] = runs[key].joined(shown) if key in runs else shown
    if not runs:
        raise HistoryTasksError("the scrape history tells of no tasks")
    if tells_no_ends(runs, known):
        raise HistoryTasksError("the scrape history does not tell when tasks ended: its exporters are older")
    runs |= await _lost(client, names, runs, known)
    return told(runs, known, start, end, is_over=is_over)


async def _known(
    client: PrometheusClient, names: GpuNames, uuids: Collection[str], first: float, last: float
) -> dict[str, Known]:
    """Returns which refreshes were scraped of each GPU; where exporters tell none, when it was scraped."""
    refreshes: dict[_Target, dict[float, set[float]]] = {}
    for query in (TASKS_KNOWN_FIRST, TASKS_KNOWN_LAST):
        question = query.ask(client.scope(), range_seconds=_CELL)
        for series in await client.range(question, first + _CELL, last, _CELL):
            cells = refreshes.setdefault(_target(series.labels), {})
            for time, value in zip(series.times.tolist(), series.values.tolist(), strict=True):
                cells.setdefault(time, set()).add(value)
    instants: defaultdict[str, set[float]] = defaultdict(set)
    steps = (last - first) / _CELL
    for some in batches(uuids, steps):
        question = SCRAPED_CELLS.ask(client.scope(any_of("gpu_uuid", some)), range_seconds=_CELL)
        for series in await client.range(question, first + _CELL, last, _CELL):
            cells, told = refreshes.get(_target(series.labels), {}), instants[names.key(series.labels["gpu_uuid"])]
            for time in series.times.tolist():
                told |= cells.get(time, set()) if cells else {time - _CELL, time}
    return {uuid: Known(np.array(sorted(each))) for uuid, each in instants.items()}


async def _runs(
    client: PrometheusClient,
    names: GpuNames,
    uuids: Collection[str],
    known: Mapping[str, Known],
    piece: tuple[float, float],
) -> Runs:
    """Returns the runs that some GPUs were shown with in a piece of time."""
    first, last = piece
    scope = client.scope(any_of("gpu_uuid", uuids))

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
            infos[_pair(each, names)].add(Who.of(each))
    ended = {_pair(one.labels, names): float(one.values[-1]) for one in ends}
    unclear = {_pair(one.labels, names) for one in again} | {pair for pair, each in infos.items() if len(each) > 1}
    runs: Runs = {}
    for series in starts:
        pair = _pair(series.labels, names)
        if pair not in infos or pair in unclear:
            continue
        start, end = float(series.values[-1]), ended.get(pair)
        key = RunKey(*pair, start)
        shown = Shown(next(iter(infos[pair])), float(series.times[-1]), end if end and end >= start else None)
        runs[key] = runs[key].joined(shown) if key in runs else shown
    shown_again = {pair for pair in (_pair(series.labels, names) for series in starts) if pair in unclear}
    return runs | await _closely(client, names, shown_again, known, piece)


async def _lost(client: PrometheusClient, names: GpuNames, runs: Runs, known: Mapping[str, Known]) -> Runs:
    """Returns the runs that were not shown to their end, with when they were shown last."""
    by_cell: defaultdict[float, list[RunKey]] = defaultdict(list)
    for key in lost(runs, known):
        by_cell[runs[key].last].append(key)
    found: Runs = {}
    for cell, keys in by_cell.items():
        pairs = {(key.gpu_uuid, key.task_id) for key in keys}
        seen = await _closely(client, names, pairs, known, (cell - _CELL, cell + _CELL))
        for key in keys:
            shown = seen.get(key, runs[key])
            gone = shown.gone if shown.gone is not None else known[key.gpu_uuid].gone(shown.last, None)
            found[key] = Shown(runs[key].who, shown.last, shown.end, gone)
    return found


async def _closely(
    client: PrometheusClient,
    names: GpuNames,
    pairs: Collection[_Pair],
    known: Mapping[str, Known],
    piece: tuple[float, float],
) -> Runs:
    """Returns the runs of some ids on some GPUs, from every sample in a piece of time."""
    first, last = piece
    ids_of: defaultdict[str, set[str]] = defaultdict(set)
    for uuid, task_id in sorted(pairs):
        ids_of[uuid].add(task_id)
    runs: Runs = {}
    for uuid, ids in ids_of.items():
        for some in (sorted(ids)[n : n + _IDS] for n in range(0, len(ids), _IDS)):
            scope = client.scope(any_of("gpu_uuid", names.known_as(uuid) or {uuid}), any_of("task_id", ["", *some]))
            samples = _Samples()
            for begin, finish in _pieces(first, last):
                question = TASK_SAMPLES.ask(scope, range_seconds=finish - begin)
                samples.take(await client.instant(question, finish))
            for task_id in some:
                runs |= samples.runs(uuid, task_id, known.get(uuid, Known(np.empty(0))))
    return runs


class _Samples:
    """All samples of one GPU and some tasks in a stretch of time."""

    def __init__(self) -> None:
        self._scrapes: list[Floats] = []
        self._values: defaultdict[tuple[str, str], list[Series]] = defaultdict(list)

    def take(self, answer: Iterable[Series]) -> None:
        for series in answer:
            name, task_id = series.labels[_NAME], series.labels.get("task_id", "")
            if name == "amdgpu_up":
                self._scrapes.append(series.times)
            elif task_id:
                self._values[name, task_id].append(series)

    def runs(self, gpu_uuid: str, task_id: str, known: Known) -> Runs:
        infos: defaultdict[Who, list[Floats]] = defaultdict(list)
        for series in self._values["amdgpu_task_info", task_id]:
            infos[Who.of(series.labels)].append(series.times)
        samples = TaskSamples(
            self._in_order("amdgpu_task_start_timestamp_seconds", task_id),
            self._in_order("amdgpu_task_end_timestamp_seconds", task_id),
            {who: np.concatenate(times) for who, times in infos.items()},
            np.unique(np.concatenate([np.empty(0), *self._scrapes])),
        )
        return runs_of_samples(gpu_uuid, task_id, samples, known)

    def _in_order(self, name: str, task_id: str) -> Sequence[tuple[float, float]]:
        told = self._values[name, task_id]
        return sorted(
            pair for series in told for pair in zip(series.times.tolist(), series.values.tolist(), strict=True)
        )


def _pair(labels: Mapping[str, str], names: GpuNames) -> _Pair:
    return names.key(labels["gpu_uuid"]), labels["task_id"]


def _target(labels: Mapping[str, str]) -> _Target:
    return frozenset(label for label in labels.items() if label[0] not in _DEVICE)


def _pieces(first: float, last: float) -> Iterator[tuple[float, float]]:
    begin = first
    while begin < last:
        yield begin, min(begin + _PIECE, last)
        begin += _PIECE
