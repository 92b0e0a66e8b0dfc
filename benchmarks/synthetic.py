"""Scrape histories of any size made up in seconds, with the exact counters behind them.

Load is constant between the instants at which tasks start and end, so the true counters are straight lines between
known points. Exporters restart, are down, lose a GPU, and scrapes are missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from exporter.demo.remote_write import STALE, Column
from exporter.report.history.queries import DEVICES
from exporter.report.history.samples import NO_SAMPLES, Samples
from exporter.report.observed import ENERGY, VRAM, Floats

_VRAM = 191.98 * 2**30
_HARDWARE_JOULES = 5e9
"""What the energy accumulator shows before anything."""
_LOAD_SECONDS = 600.0
"""Seconds between changes of load that are no task's."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong on a node, in Unix seconds."""

    down: tuple[tuple[float, float], ...] = ()
    """The exporter does not run: nothing is observed, and its counters start anew."""
    unscraped: tuple[tuple[float, float], ...] = ()
    """The exporter runs, but no scrape arrives."""
    hung: tuple[tuple[float, float], ...] = ()
    """Its GPUs cannot be read: their counters stand still."""


@dataclass(frozen=True, slots=True)
class SyntheticGpu:
    """One GPU: the truth, and what was scraped of it."""

    hostname: str
    index: int
    uuid: str
    instants: tuple[float, ...]
    """When its tasks start and end."""
    truth_times: Floats
    truth: Floats
    """What accrued by each, as long as the exporter could read it; energy always. Shape (n, 6)."""
    scrapes: Samples
    """Of its device counters."""
    vram_used: Floats
    """At each scrape."""
    interval: float = 15.0
    """Seconds between scrapes."""

    def at(self, times: Floats) -> Floats:
        """The true counters; shape (len(times), 6)."""
        return np.column_stack([np.interp(times, self.truth_times, column) for column in self.truth.T])


@dataclass(frozen=True, slots=True)
class Cluster:
    """Made-up nodes with eight GPUs each.

    Args:
        gpus: How many.
        start: Unix seconds of the first scrape, about.
        end: Unix seconds.
        interval: Seconds between scrapes.
        tasks_per_day: Tasks of one GPU.
        faults: By hostname (node1, node2 …).
        seed: The same gives the same.
    """

    gpus: int
    start: float
    end: float
    interval: float = 15.0
    tasks_per_day: float = 4.0
    faults: Mapping[str, Faults] = field(default_factory=dict)
    seed: int = 0

    def make(self) -> list[SyntheticGpu]:
        """All GPUs."""
        return [self._gpu(number) for number in range(self.gpus)]

    def _gpu(self, number: int) -> SyntheticGpu:
        chance = np.random.default_rng((self.seed, number))
        node = number // 8
        hostname = f"node{node + 1}"
        faults = self.faults.get(hostname, Faults())
        instants = self._instants(chance)
        times, rates = _load(chance, instants, self.start - 3600, self.end, faults)
        truth = np.concatenate([np.zeros((1, rates.shape[1])), np.cumsum(rates * np.diff(times)[:, None], axis=0)])
        gpu = SyntheticGpu(
            hostname, number % 8, f"{0xA1000000 + number:016x}", instants, times, truth, NO_SAMPLES, np.empty(0)
        )
        scraped = self._scrape_times(node, faults)
        counters = gpu.at(scraped)
        for _, back in sorted(faults.down):  # the latest restart before each scrape counts
            base = gpu.at(np.array([back]))[0]
            base[ENERGY] = 0.0
            counters[scraped >= back] = gpu.at(scraped[scraped >= back]) - base
        counters[:, ENERGY] += _HARDWARE_JOULES
        vram = rates[np.clip(np.searchsorted(times, scraped, side="right") - 1, 0, len(rates) - 1), VRAM]
        return SyntheticGpu(
            hostname,
            gpu.index,
            gpu.uuid,
            instants,
            times,
            truth,
            Samples(scraped, counters),
            np.where(vram > 0, vram, np.nan),
            self.interval,
        )

    def _instants(self, chance: np.random.Generator) -> tuple[float, ...]:
        count = round((self.end - self.start) / 86400 * self.tasks_per_day * 2)
        return tuple(np.sort(np.round(chance.uniform(self.start, self.end, count))).tolist())

    def _scrape_times(self, node: int, faults: Faults) -> Floats:
        """Prometheus scrapes each target in a phase of its own, some milliseconds early or late."""
        chance = np.random.default_rng((self.seed, node, 1))
        count = int((self.end - self.start) / self.interval)
        phase = self.start + chance.uniform(0, self.interval)
        times: Floats = np.round(phase + self.interval * np.arange(count) + chance.normal(0, 0.002, count), 3)
        scraped = np.ones(count, dtype=np.bool_)
        for start, end in (*faults.down, *faults.unscraped):
            scraped &= (times < start) | (times >= end)
        return times[scraped]


def _load(
    chance: np.random.Generator, instants: tuple[float, ...], start: float, end: float, faults: Faults
) -> tuple[Floats, Floats]:
    """The points at which the load changes, and the rates of all counters between them."""
    blind = (*faults.down, *faults.hung)
    changes = np.concatenate([np.arange(start, end, _LOAD_SECONDS) + chance.uniform(0, _LOAD_SECONDS), instants])
    times = np.unique(np.concatenate([[start, end], changes, np.ravel(blind) if blind else []]))
    times = times[(times >= start) & (times <= end)]
    count = len(times) - 1
    utilization = chance.choice([0.0, 0.02, 0.6, 1.0], count) * chance.uniform(0.5, 1.0, count)
    vram = chance.choice([0.2e9, 60e9, 0.95 * _VRAM], count)
    idle = (utilization < 0.05).astype(float)
    rates = np.column_stack([np.ones(count), utilization, idle, idle * (vram > 2**30), vram, 140 + 600 * utilization])
    for since, until in blind:
        rates[(times[:-1] >= since) & (times[:-1] < until), :ENERGY] = 0.0
    return times, rates


def columns(gpus: list[SyntheticGpu], labels: Mapping[str, str] | None = None) -> list[Column]:
    """The series of GPUs, with further labels, and with staleness markers where scrapes ended for a while."""
    return [column for gpu in gpus for column in _columns(gpu, labels or {})]


def _columns(gpu: SyntheticGpu, labels: Mapping[str, str]) -> list[Column]:
    device = {"hostname": gpu.hostname, "gpu": str(gpu.index), "gpu_uuid": gpu.uuid, **labels}
    times = gpu.scrapes.times
    ones = np.ones(len(times))
    found = [({"__name__": str(metric)}, gpu.scrapes.counters[:, n]) for n, metric in enumerate(DEVICES.metrics)]
    found += [
        ({"__name__": "amdgpu_info", "model": "AMD Instinct MI300X", "card": f"card{1 + 8 * gpu.index}"}, ones),
        ({"__name__": "amdgpu_up"}, (~np.isnan(gpu.vram_used)).astype(float)),
        ({"__name__": "amdgpu_vram_total_bytes"}, ones * _VRAM),
        ({"__name__": "amdgpu_vram_used_bytes", "ownership": "unknown"}, gpu.vram_used),
    ]
    return [_with_markers({**device, **names}, times, values, gpu.interval) for names, values in found]


def _with_markers(labels: Mapping[str, str], times: Floats, values: Floats, interval: float) -> Column:
    """A failed scrape, or one without the series, leaves one marker after the last sample."""
    shown = ~np.isnan(values)
    times, values = times[shown], values[shown]
    ends = np.flatnonzero(np.diff(times) > 4 / 3 * interval)
    times = np.insert(times, ends + 1, times[ends] + interval)
    return Column(labels, np.rint(times * 1000).astype(np.int64), np.insert(values, ends + 1, STALE))
