"""The node exporter: what a sweep, a scrape and an hour of it cost.

The service runs as a process, with the real bindings over the simulated library: a driver's own time is not in it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import floor, sweep
from benchmarks.bare import bare_server
from benchmarks.figures import Figure
from benchmarks.node import Node, busy_library, node
from benchmarks.procfs import children, cpu_seconds, family_cpu_seconds, memory
from benchmarks.scrapes import PLAIN, PROMETHEUS, Client, Scrapes, cpu, p50, p99, surprise, take_turns
from tests.support.amdsmi import Call, build

_PACE = 1.03
"""Of scrapes, in intervals of sweeps: as with Prometheus each is the first after a sweep, some time or other after."""
_SURPRISES = 20
_WAYS = {"OpenMetrics, gzip": PROMETHEUS, "text": PLAIN}
_MEASURED_SECONDS = 75
"""Of an hour."""
_SCRAPE_INTERVAL_SECONDS = 15
_WARM_UP_SECONDS = 5
_TASKS = 30
_AIMS = {8: "≤ 0.35 %", 64: "≤ 1.6 %"}
"""For service and worker together, of a core, by GPUs."""


async def figures() -> AsyncIterator[Figure]:
    """The whole section, in about eight minutes."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        build(directory / "rocm")
        for figure in await _sweep(directory):
            yield figure
        for setting, interval, count, hangs in (
            ("8 GPUs each 1 s", 1.0, 200, False),
            ("8 GPUs each 0.1 s", 0.1, 500, False),
            ("8 GPUs each 1 s, one begins to hang", 1.0, 100, True),
        ):
            for figure in await _scrapes(directory, setting, interval, count, hangs=hangs):
                yield figure
        nodes = (
            _hour(directory, "8 GPUs each 1 s, no tasks", gpus=8, tasks=0),
            _hour(directory, f"8 GPUs each 1 s, {_TASKS} tasks", gpus=8, tasks=_TASKS),
            _hour(directory, f"8 GPUs each 1 s, {_TASKS} tasks, one begins to hang", gpus=8, tasks=_TASKS, hangs=True),
            _hour(directory, f"64 GPUs each 1 s, {_TASKS} tasks", gpus=64, tasks=_TASKS),
        )
        for of_node in await asyncio.gather(*nodes):
            for figure in of_node:
                yield figure


async def _sweep(directory: Path) -> list[Figure]:
    found = await sweep.measure(busy_library(directory / "rocm", directory / "control").env)
    ours, bare = found.cpu_seconds, found.bare_cpu_seconds
    what = "CPU of a sweep: worker, and who hears it"
    return [Figure("8 GPUs", what, f"{_ms(ours)} ms", beside=f"bare calls {_ms(bare)} ms, × {ours / bare:.2f}")]


async def _scrapes(directory: Path, setting: str, interval: float, count: int, *, hangs: bool) -> list[Figure]:
    """How long scrapes take, and the CPU of the service, beside a bare server of the same bytes."""
    where = directory / setting
    async with node(where, directory / "rocm", interval=f"{interval}s", tasks=_TASKS) as served:
        bodies = [_body(served, way) for way in _WAYS.values()]
        series = sum(not line.startswith(b"#") for line in bodies[-1].splitlines())
        files = [where / str(n) for n in range(len(bodies))]
        for file, body in zip(files, bodies, strict=True):
            file.write_bytes(body)
        async with bare_server(files) as bare:
            if hangs:
                served.library[0].fault(Call.METRICS, hang=True)
            ways = list(_WAYS.values())
            pace = _PACE * interval
            found = await asyncio.to_thread(take_turns, count, pace, served.service, bare, ways)
            await asyncio.to_thread(surprise, found, _SURPRISES, pace, served.service, ways)
    rows: list[Figure] = []
    for way, scrapes in zip(_WAYS, found, strict=True):
        rows += _latency(setting, way, scrapes), _per_series(setting, way, series, scrapes)
    return rows


def _body(served: Node, way: str) -> bytes:
    with Client(served.service.port, headers=way) as client:
        return client.scrape()


def _latency(setting: str, way: str, scrapes: Scrapes) -> Figure:
    steady, bare, encoded = scrapes.steady, scrapes.bare, scrapes.encoded
    return Figure(
        setting,
        f"{way}: scrapes ({len(steady)}), p50 / p99",
        f"{_ms(p50(steady))} / {_ms(p99(steady))} ms",
        "< 3 / < 10 ms, p99 ≤ × 4",
        f"bare aiohttp {_ms(p50(bare))} / {_ms(p99(bare))} ms, "
        f"× {p50(steady) / p50(bare):.1f} / × {p99(steady) / p99(bare):.1f}; "
        f"prometheus_client {_ms(p50(encoded))} / {_ms(p99(encoded))} ms, "
        f"× {p50(steady) / p50(encoded):.2f} / × {p99(steady) / p99(encoded):.2f}",
    )


def _per_series(setting: str, way: str, series: int, scrapes: Scrapes) -> Figure:
    ours, bare, encoded = cpu(scrapes.unforeseen), cpu(scrapes.bare), cpu(scrapes.encoded)
    return Figure(
        setting,
        f"{way}: CPU of one that nobody foresaw, per series",
        f"{_ms(ours)} ms / {series} = {ours / series * 1e6:.1f} µs",
        "≤ 5 µs",
        f"bare aiohttp {bare / series * 1e6:.1f} µs, × {ours / bare:.1f}; "
        f"prometheus_client {encoded / series * 1e6:.1f} µs, × {ours / encoded:.2f}",
    )


@dataclass(frozen=True, slots=True)
class _Spent:
    """CPU seconds up to an instant."""

    at: float
    service: float
    family: float

    @classmethod
    def by(cls, pid: int) -> _Spent:
        return cls(time.monotonic(), cpu_seconds(pid), family_cpu_seconds(pid))


async def _hour(directory: Path, setting: str, *, gpus: int, tasks: int, hangs: bool = False) -> list[Figure]:
    """CPU and memory of a service that is scraped as usual."""
    async with node(directory / f"hour: {setting}", directory / "rocm", gpus=gpus, tasks=tasks) as served:
        pid = served.service.pid
        await asyncio.sleep(_WARM_UP_SECONDS)
        if hangs:
            served.library[0].fault(Call.METRICS, hang=True)
        before = _Spent.by(pid)
        bare = None if hangs else asyncio.create_task(_floor(served))
        with Client(served.service.port) as client:
            for _ in range(0, _MEASURED_SECONDS, _SCRAPE_INTERVAL_SECONDS):
                await asyncio.to_thread(client.scrape)
                await asyncio.sleep(_SCRAPE_INTERVAL_SECONDS)
        after = _Spent.by(pid)
        of_service, of_workers = memory(pid), [memory(worker) for worker in children(pid)]
        beside = "" if bare is None else f"the same calls and nothing else {await bare:.2%}"
    seconds = after.at - before.at
    service, family = (after.service - before.service) / seconds, (after.family - before.family) / seconds
    is_aimed_at = gpus == 8
    return [
        Figure(
            setting,
            f"CPU over {seconds:.0f} s: service + worker",
            f"{service:.2%} + {family - service:.2%} = {family:.2%} of a core, {family * 3600:.0f} s per hour",
            _AIMS[gpus],
            beside,
        ),
        Figure(
            setting,
            "RSS (PSS) of the service",
            f"{of_service.rss:.1f} ({of_service.pss:.1f}) MiB",
            "< 60 MiB" if is_aimed_at else "",
        ),
        Figure(
            setting,
            "RSS (PSS) of the worker",
            " + ".join(f"{one.rss:.1f} ({one.pss:.1f})" for one in of_workers) + " MiB",
            "< 30 MiB" if is_aimed_at else "",
        ),
    ]


async def _floor(served: Node) -> float:
    """Returns the part of a core that a process takes which makes the same calls, and nothing else."""
    command = (sys.executable, "-m", "benchmarks.floor", str(_MEASURED_SECONDS), "calls")
    return await floor.measure(command, {**os.environ, **served.library.env})


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f}"
