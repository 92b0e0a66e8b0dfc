"""Whole days of scrapes, made in seconds: the service's own accounting, lived through on a virtual clock.

Each node is the real `Node`, fed by simulated GPUs and answered by the cluster's tasks, and what its real
metrics would have shown at each scrape is kept as samples, staleness markers included.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from prometheus_client import CollectorRegistry

from exporter import config
from exporter.demo.cluster import Cluster
from exporter.demo.remote_write import STALE, Column
from exporter.demo.schedule import NO_FAULTS, READ_SECONDS, Faults, Schedule, within
from exporter.exposition import Instruments
from exporter.metrics import DEVICE, GPU_FAMILIES, NODE_FAMILIES, Labels
from exporter.model import RUNNING, Answer, Task
from exporter.node import Node

_API_LATENCY_SECONDS = 0.02
_READ_LATENCY_SECONDS = 0.0004
REFRESH_SECONDS = 2 * READ_SECONDS
_INSPECTION_SECONDS = 4 * READ_SECONDS

Key = tuple[str, Labels]
"""A metric as it is scraped, and the values of its labels."""
Sample = tuple[Key, Labels, float]
"""With the names of its labels."""


def history(
    cluster: Cluster,
    hostname: str,
    start: float,
    end: float,
    *,
    scrape_seconds: int = 15,
    faults: Faults = NO_FAULTS,
    replica: str = "",
    only: Collection[str] = (),
) -> list[Column]:
    """Returns the scrapes of one node of a cluster from `start` to `end`.

    Args:
        cluster: The nodes and their tasks.
        hostname: Which node.
        start: Unix seconds; the exporter starts then, with its counters at 0.
        end: Unix seconds.
        scrape_seconds: Between scrapes.
        faults: What goes wrong meanwhile.
        replica: Of several servers that scrape the same, the label that tells this one's series.
        only: The metrics to keep, as they are scraped; none given: all.
    """
    schedule = Schedule(hostname, int(start), int(end), scrape_seconds, faults, replica)
    target = {"job": "mi300x", "instance": f"{hostname}:9942"} | ({"replica": replica} if replica else {})
    recorder = _Recorder(target)
    since = schedule.start
    for born, died in schedule.lives():
        _keep_scrapes(schedule, recorder, range(since, born), None)
        life = _Life(cluster, schedule, born, frozenset(only))
        for second in schedule.readings(born, died):
            life.beat(second)
            _keep_scrapes(schedule, recorder, (second,), life)
        since = died
    _keep_scrapes(schedule, recorder, range(since, schedule.end), None)
    return recorder.columns()


def _keep_scrapes(schedule: Schedule, recorder: _Recorder, seconds: Iterable[int], life: _Life | None) -> None:
    for second in seconds:
        if not schedule.is_scraped(second):
            continue
        if life is None or not schedule.is_reachable(second):
            recorder.failed(schedule.scrape_ms(second))
        else:
            recorder.scraped(schedule.scrape_ms(second), life.samples())


@dataclass(slots=True)
class _Series:
    labels: dict[str, str]
    times: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def keep(self, time_ms: int, value: float) -> None:
        self.times.append(time_ms)
        self.values.append(value)


class _Recorder:
    """What Prometheus would have stored of one target."""

    def __init__(self, target: dict[str, str]) -> None:
        self._target = target
        self._series: dict[Key, _Series] = {}
        self._alive: set[Key] = set()

    def scraped(self, time_ms: int, samples: Iterable[Sample]) -> None:
        """Keeps one scrape; a series that was in the last one and is not in this is marked stale."""
        before, self._alive = self._alive, set()
        for key, names, value in samples:
            self._keep(time_ms, key, names, value)
            self._alive.add(key)
        self._mark_stale(time_ms, before - self._alive)
        self._keep(time_ms, ("up", ()), (), 1.0)

    def failed(self, time_ms: int) -> None:
        """Keeps a scrape that failed."""
        self._mark_stale(time_ms, self._alive)
        self._alive = set()
        self._keep(time_ms, ("up", ()), (), 0.0)

    def columns(self) -> list[Column]:
        """Returns all series."""
        return [
            Column(series.labels, np.array(series.times, dtype=np.int64), np.array(series.values))
            for series in self._series.values()
        ]

    def _keep(self, time_ms: int, key: Key, names: Labels, value: float) -> None:
        series = self._series.get(key)
        if series is None:
            name, values = key
            # An empty label is none.
            labels = {label: text for label, text in zip(names, values, strict=True) if text}
            series = self._series[key] = _Series({"__name__": name, **labels, **self._target})
        series.keep(time_ms, value)

    def _mark_stale(self, time_ms: int, gone: set[Key]) -> None:
        for key in gone:
            self._series[key].keep(time_ms, STALE)


class _Life:
    """One run of one node's exporter, from its start until it is stopped."""

    def __init__(self, cluster: Cluster, schedule: Schedule, born: int, only: frozenset[str]) -> None:
        self._cluster = cluster
        self._schedule = schedule
        self._hardware = cluster.nodes[schedule.hostname]
        self._now = float(born)
        self._node = Node(
            schedule.hostname,
            config.Devices.model_validate({"interval": f"{READ_SECONDS}s", "expected": len(self._hardware.gpus)}),
            config.Metering(),
            config.Tasks(url="http://127.0.0.1"),
            monotonic=lambda: self._now,
            wall=lambda: self._now,
        )
        self._registry = CollectorRegistry(auto_describe=False)
        self._instruments = Instruments(self._registry)
        self._of_gpus = [family for family in GPU_FAMILIES if not only or family.scraped_as in only]
        self._of_node = [family for family in NODE_FAMILIES if not only or family.scraped_as in only]
        self._has_own = not only
        self._node.found(self._hardware.gpus)
        for gpu in self._hardware.gpus:
            self._instruments.found(gpu)

    def beat(self, now: int) -> None:
        """Reads every GPU; now and then inspects them, and asks the API."""
        self._now = float(now)
        for gpu in self._hardware.gpus:
            if not self._schedule.is_readable(gpu.index, now):
                continue
            self._node.read(gpu.uuid, self._hardware.reading(gpu.index, now, taken=now))
            self._instruments.read(_READ_LATENCY_SECONDS)
            if now % _INSPECTION_SECONDS == 0:
                self._node.inspected(gpu.uuid, self._hardware.health(gpu.index, now))
        if now % REFRESH_SECONDS == 0:
            self._refresh(now)

    def samples(self) -> Iterator[Sample]:
        """Yields what /metrics shows."""
        snapshot = self._node.snapshot()
        devices = [(state, (snapshot.hostname, str(state.gpu.index), state.gpu.uuid)) for state in snapshot.gpus]
        for of_gpus in self._of_gpus:
            name, names = of_gpus.scraped_as, DEVICE + of_gpus.labels
            for state, device in devices:
                for labels, value in of_gpus.samples(state):
                    yield (name, device + labels), names, value
        for of_node in self._of_node:
            for labels, value in of_node.samples(snapshot):
                yield (of_node.scraped_as, labels), of_node.labels, value
        for metric in self._registry.collect() if self._has_own else ():
            for sample in metric.samples:
                yield (sample.name, tuple(sample.labels.values())), tuple(sample.labels), sample.value

    def _refresh(self, now: int) -> None:
        is_down = within(self._schedule.faults.api_down, now)
        self._instruments.refreshed("network" if is_down else "ok", _API_LATENCY_SECONDS)
        if not is_down:
            tasks = self._cluster.tasks(self._node.wanted_since(), now)
            shown = (_as_known(task, now - self._lag(task)) for task in tasks)
            self._node.answered(Answer(tuple(task for task in shown if task), (), as_of=now))

    def _lag(self, task: Task) -> float:
        faults = self._schedule.faults
        return faults.api_lag + sum(lag for stretch, lag in faults.api_late if within((stretch,), task.start))


def _as_known(task: Task, known: float) -> Task | None:
    """Returns a task as it was known at an instant; None if it was not yet."""
    if task.start > known:
        return None
    return task if task.end <= known else replace(task, end=RUNNING)
