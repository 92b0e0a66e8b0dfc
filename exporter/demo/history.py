"""Whole days of scrapes, made in seconds: the service's own accounting, lived through on a virtual clock.

Each node is the real `Node`, fed by simulated GPUs and answered by the cluster's tasks, and what its real
metrics would have shown at each scrape is kept as samples, staleness markers included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from exporter import config, metrics
from exporter.demo.cluster import Cluster
from exporter.demo.remote_write import STALE, Column
from exporter.model import Answer
from exporter.node import Node

READ_SECONDS = 15
"""Readings lie on the knots of the simulated load, where the trapezoid rule is exact."""
_API_LATENCY_SECONDS = 0.02
_READ_LATENCY_SECONDS = 0.0004

Stretch = tuple[float, float]
"""[start, end) in Unix seconds."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong, and when."""

    stopped: Sequence[tuple[str, Stretch]] = ()
    """The exporter of a node is down, and starts anew afterwards with all its counters at 0."""
    unscraped: Sequence[tuple[str, Stretch]] = ()
    """Scrapes of a node fail, while it goes on: Prometheus marks its series stale."""
    blind: Sequence[Stretch] = ()
    """Prometheus is down, and leaves no marks."""
    unreadable: Sequence[tuple[str, int, Stretch]] = ()
    """A GPU of a node cannot be read."""
    api_down: Sequence[Stretch] = ()
    """The consumption API does not answer."""
    api_lag: float = 3.0
    """Seconds after its start at which the API first shows a task."""


NO_FAULTS = Faults()


@dataclass(slots=True)
class _Series:
    labels: dict[str, str]
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Recorder:
    """What Prometheus would have stored of one target."""

    target: dict[str, str]
    series: dict[tuple[str, tuple[tuple[str, str], ...]], _Series] = field(default_factory=dict)
    alive: set[tuple[str, tuple[tuple[str, str], ...]]] = field(default_factory=set)

    def scraped(self, time_ms: int, samples: Iterator[tuple[str, dict[str, str], float]]) -> None:
        """Keeps one scrape; a series that was in the last one and is not in this is marked stale."""
        seen = {self._keep(time_ms, name, labels, value) for name, labels, value in samples}
        self._mark_stale(time_ms, self.alive - seen)
        self.alive = seen
        self._keep(time_ms, "up", {}, 1.0)

    def failed(self, time_ms: int) -> None:
        """Keeps a scrape that failed."""
        self._mark_stale(time_ms, self.alive)
        self.alive = set()
        self._keep(time_ms, "up", {}, 0.0)

    def _keep(
        self, time_ms: int, name: str, labels: dict[str, str], value: float
    ) -> tuple[str, tuple[tuple[str, str], ...]]:
        key = (name, tuple(labels.items()))
        series = self.series.get(key)
        if series is None:
            kept = {label: text for label, text in labels.items() if text}
            series = self.series[key] = _Series({"__name__": name, **kept, **self.target})
        series.times.append(time_ms)
        series.values.append(value)
        return key

    def _mark_stale(self, time_ms: int, gone: set[tuple[str, tuple[tuple[str, str], ...]]]) -> None:
        for key in gone:
            self.series[key].times.append(time_ms)
            self.series[key].values.append(STALE)

    def columns(self) -> list[Column]:
        """All series."""
        return [
            Column(series.labels, np.array(series.times, dtype=np.int64), np.array(series.values))
            for series in self.series.values()
        ]


def history(
    cluster: Cluster, hostname: str, start: float, end: float, *, scrape_seconds: int = 15, faults: Faults = NO_FAULTS
) -> list[Column]:
    """The scrapes of one node of a cluster from `start` to `end`.

    Args:
        cluster: The nodes and their tasks.
        hostname: Which node.
        start: Unix seconds; the exporter starts then, with its counters at 0.
        end: Unix seconds.
        scrape_seconds: Between scrapes; a multiple of 15.
        faults: What goes wrong meanwhile.
    """
    recorder = _Recorder({"job": "mi300x", "instance": f"{hostname}:9942"})
    life: _Life | None = None
    for now in range(int(start), int(end) + 1, READ_SECONDS):
        if _hit(faults.stopped, hostname, now):
            life = None
        else:
            life = life or _Life(cluster, hostname, now, faults)
            life.beat(now)
        if (now - int(start)) % scrape_seconds or any(begin <= now < finish for begin, finish in faults.blind):
            continue
        if life is None or _hit(faults.unscraped, hostname, now):
            recorder.failed(now * 1000)
        else:
            recorder.scraped(now * 1000, life.samples())
    return recorder.columns()


def _hit(faults: Sequence[tuple[str, Stretch]], hostname: str, now: float) -> bool:
    return any(host == hostname and begin <= now < end for host, (begin, end) in faults)


class _Life:
    """One run of one node's exporter, from its start until it is stopped."""

    def __init__(self, cluster: Cluster, hostname: str, now: float, faults: Faults) -> None:
        self._cluster = cluster
        self._hostname = hostname
        self._hardware = cluster.nodes[hostname]
        self._faults = faults
        self._now = float(now)
        settings = {
            "hostname": hostname,
            "devices": {"interval": f"{READ_SECONDS}s", "expected": len(self._hardware.gpus)},
            "tasks": {"url": "http://127.0.0.1"},
        }
        self._node = Node(config.parse(settings, where="demo"), lambda: self._now, lambda: self._now)
        self._registry, self._instruments = metrics.registry(self._node.snapshot)
        self._node.found(self._hardware.gpus)
        for gpu in self._hardware.gpus:
            self._instruments.found(gpu)

    def beat(self, now: float) -> None:
        """Reads every GPU, and asks the API every other time."""
        self._now = float(now)
        for gpu in self._hardware.gpus:
            if any(
                (host, index) == (self._hostname, gpu.index) and begin <= now < end
                for host, index, (begin, end) in self._faults.unreadable
            ):
                continue
            self._node.read(gpu.uuid, self._hardware.reading(gpu.index, now, taken=now))
            self._instruments.read_seconds.observe(_READ_LATENCY_SECONDS)
            if now % 60 < READ_SECONDS:
                self._node.inspected(gpu.uuid, self._hardware.health(gpu.index, now))
        if now % (2 * READ_SECONDS) < READ_SECONDS:
            self._refresh(now)

    def _refresh(self, now: float) -> None:
        down = any(begin <= now < end for begin, end in self._faults.api_down)
        self._instruments.refreshes.labels("network" if down else "ok").inc()
        self._instruments.refresh_seconds.observe(_API_LATENCY_SECONDS)
        if down:
            return
        tasks = self._cluster.tasks(self._node.unbooked_since(), now + 60)
        visible = tuple(task for task in tasks if task.start + self._faults.api_lag <= now)
        self._node.answered(Answer(visible, (), as_of=now))

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """What /metrics shows, as name, labels and value."""
        for family in self._registry.collect():
            for sample in family.samples:
                yield sample.name, sample.labels, sample.value
