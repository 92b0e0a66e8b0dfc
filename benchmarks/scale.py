"""Many nodes: what they add up to in Prometheus, and what they ask of the consumption API."""

from __future__ import annotations

import asyncio
import gzip
import heapq
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import aiohttp

from benchmarks.figures import Figure
from benchmarks.procfs import cpu_seconds, memory
from benchmarks.prompt import PROGRAM, cpu_seconds_of
from exporter.config import Prometheus, Tasks
from exporter.demo.api import StandInApi
from exporter.demo.cluster import Cluster
from exporter.demo.history import history
from exporter.demo.prometheus import PrometheusServer
from exporter.demo.remote_write import Column, write_series
from exporter.model import Task
from exporter.report.history.client import PrometheusClient
from exporter.report.history.queries import Question
from exporter.tasks.refresher import pause
from tests.support.caching_proxy import caching_proxy
from tests.support.fleet import GPUS, discovered, fleet, task_gpus

_NODES = 200
_SCRAPE_SECONDS = 15
_DAY = 86400
_ROUNDS = 4
"""Of rules, or of scrapes, that are measured."""
_LOOKED_AT = 1024
"""GPUs."""
_LOOKS = 9
_LIBRARIES = "import aiohttp, click, numpy, pydantic, yaml; pydantic.BaseModel"
_RULES = Path(__file__).parents[1] / "deploy/prometheus"
_SCRAPES = f"""\
global: {{scrape_interval: {_SCRAPE_SECONDS}s}}
scrape_configs: [{{job_name: mi300x, file_sd_configs: [{{files: [targets.json]}}]}}]
"""
_RULES_ONLY = f"""\
global: {{evaluation_interval: {_SCRAPE_SECONDS}s}}
rule_files: [{_RULES}/recording.rules.yml, {_RULES}/alerts.rules.yml]
"""


async def figures() -> AsyncIterator[Figure]:
    """The whole section, in about seven minutes."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for figure in await _kept(directory / "kept"):
            yield figure
        for figure in await _held(directory / "held"):
            yield figure
        for figure in await _looked_at(directory / "looked"):
            yield figure
        for figure in await _asked(directory / "direct", cached=False):
            yield figure
        for figure in await _asked(directory / "cached", cached=True):
            yield figure
    for figure in _spread():
        yield figure


async def _kept(directory: Path) -> list[Figure]:
    """A day of one node's scrapes, as they lie on disk."""
    midnight = int(time.time() // _DAY - 1) * _DAY
    columns = history(Cluster(1), "colab-gpu1", midnight, midnight + _DAY, scrape_seconds=_SCRAPE_SECONDS)
    samples = sum(len(column.values) for column in columns)
    async with PrometheusServer(directory) as server:
        await write_series(server.url, columns)
    whole, chunks = _bytes_per_sample(directory / "data")
    setting = f"one node, 8 GPUs, a day at {_SCRAPE_SECONDS} s"
    return [
        Figure(setting, "samples in a scrape, mean", f"{samples / (_DAY / _SCRAPE_SECONDS):.0f}"),
        Figure(setting, "series in the day", f"{len(columns)}"),
        Figure(setting, "on disk", f"{whole:.2f} B/sample"),
        Figure(setting, "on disk, without the index", f"{chunks:.2f} B/sample"),
    ]


def _bytes_per_sample(data: Path) -> tuple[float, float]:
    """Of all blocks of a Prometheus that has ended: with their indexes, and without."""
    metas = list(data.glob("*/meta.json"))
    samples = sum(json.loads(meta.read_text(encoding="utf-8"))["stats"]["numSamples"] for meta in metas)
    chunks = sum(file.stat().st_size for meta in metas for file in (meta.parent / "chunks").iterdir())
    indexes = sum((meta.parent / "index").stat().st_size for meta in metas)
    return (chunks + indexes) / samples, chunks / samples


async def _held(directory: Path) -> list[Figure]:
    """Prometheus with all nodes in memory, at work on our rules."""
    now = int(time.time())
    one = history(Cluster(1), "colab-gpu1", now - 1200, now + 240, scrape_seconds=_SCRAPE_SECONDS)
    async with PrometheusServer(directory, _RULES_ONLY) as server:
        before = memory(server.pid).rss
        for number in range(_NODES):
            await write_series(server.url, _copied(one, number))
        spent = cpu_seconds(server.pid)
        await asyncio.sleep(_ROUNDS * _SCRAPE_SECONDS)
        spent = cpu_seconds(server.pid) - spent
        series = int((await _ask(server.url, "count({__name__!=''})"))[0])
        grown = memory(server.pid).rss - before
    setting = f"Prometheus, {_NODES} nodes, {series} series, our rules"
    return [
        Figure(setting, "memory (RSS)", f"{grown:.0f} MiB, {grown * 1024 / series:.1f} KiB a series"),
        Figure(setting, "CPU of one round of all rules", f"{spent / _ROUNDS:.2f} s"),
    ]


async def _looked_at(directory: Path) -> list[Figure]:
    """`exporter status`, beside the libraries that it cannot do without and what its questions cost Prometheus."""
    now = int(time.time())
    one = history(Cluster(1), "colab-gpu1", now - 1200, now + 240, scrape_seconds=_SCRAPE_SECONDS)
    config = directory / "config.yaml"
    costs, floors = [], []
    async with PrometheusServer(directory) as server:
        for number in range(_LOOKED_AT // GPUS):
            await write_series(server.url, _copied(one, number))
        config.write_text(f"prometheus: {{url: '{server.url}'}}\n", encoding="utf-8")
        for _ in range(_LOOKS):
            before, began = cpu_seconds(server.pid), time.monotonic()
            spent = cpu_seconds_of([*PROGRAM, "status", "--config", str(config)], {})
            costs.append((time.monotonic() - began, spent, cpu_seconds(server.pid) - before))
            floors.append(cpu_seconds_of([sys.executable, "-c", _LIBRARIES], {}))
    wall, own, asked = (median(cost) for cost in zip(*costs, strict=True))
    setting, floor = f"exporter status, {_LOOKED_AT:,} GPUs, 20 min of history", median(floors)
    return [
        Figure(setting, "until it is printed", f"{wall:.2f} s", "< 1 s", f"CPU of Prometheus {asked:.2f} s"),
        Figure(setting, "CPU", f"{own:.2f} s", "", f"its libraries imported {floor:.2f} s, × {own / floor:.1f}"),
    ]


def _copied(columns: Sequence[Column], number: int) -> list[Column]:
    """One node's series as another's."""
    device = {gpu.gpu_id: gpu.uuid for gpu in task_gpus(0)}
    copies = []
    for column in columns:
        labels = dict(column.labels)
        labels["instance"] = f"node{number}:9942"
        if "hostname" in labels:
            labels["hostname"] = f"node{number}"
        if "gpu_uuid" in labels:
            labels["gpu_uuid"] = f"{number + 1:08x}" + device[labels["gpu"]][8:]
        copies.append(replace(column, labels=labels))
    return copies


async def _asked(directory: Path, *, cached: bool) -> list[Figure]:
    """All nodes live, each process' part of a minute's work, and what reaches the API."""
    tasks = [
        Task(f"{node}-{first}", f"user{(node + first) % 50}", "LAB", tuple(task_gpus(node)[first : first + 2]), 1e9)
        for node in range(_NODES)
        for first in range(0, 8, 2)
    ]
    token = directory / "token"  # its directory is made for Prometheus
    async with StandInApi(tasks) as api, PrometheusServer(directory / "prometheus", _SCRAPES) as server:
        token.touch(mode=0o600)
        token.write_text(api.token, encoding="utf-8")
        if not cached:
            settings = {"url": api.url, "token_file": str(token), "timeout": "30s"}
            return await _minute(directory, api, server, settings, "without a cache")
        async with caching_proxy(directory / "nginx", api.url, api.token) as url:
            return await _minute(directory, api, server, {"url": url, "timeout": "30s"}, "through the cache")


async def _minute(
    directory: Path, api: StandInApi, server: PrometheusServer, tasks: dict[str, str], how: str
) -> list[Figure]:
    settings = {"devices": {"source": "simulated", "interval": "15s"}, "tasks": tasks}
    async with fleet(_NODES, settings) as nodes:
        (directory / "prometheus" / "targets.json").write_text(discovered(nodes), encoding="utf-8")
        while len(await _ask(server.url, "up == 1")) < _NODES:  # noqa: ASYNC110  Prometheus has no event to await
            await asyncio.sleep(1)
        asked, spent, own = api.count, cpu_seconds(server.pid), time.process_time()
        await asyncio.sleep(_ROUNDS * _SCRAPE_SECONDS)
        asked, spent, own = api.count - asked, cpu_seconds(server.pid) - spent, time.process_time() - own
        samples = await _ask(server.url, "avg(scrape_samples_scraped)")
        headers = {"Accept-Encoding": "identity"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{nodes[0].web.url}metrics", headers=headers) as got,
        ):
            body = await got.read()
    setting = f"{_NODES} nodes live, {how}"
    return [
        Figure(setting, f"requests to the API in {_ROUNDS * _SCRAPE_SECONDS} s", f"{asked}"),
        Figure(setting, "series of a node", f"{samples[0]:.0f}"),
        Figure(setting, "bytes of a scrape", f"{len(body)}, gzip {len(gzip.compress(body, 1))}"),
        Figure(setting, "CPU of Prometheus, one round of scrapes", f"{spent / _ROUNDS:.2f} s"),
        Figure(setting, "CPU of all nodes, each 15 s", f"{own / _ROUNDS:.2f} s, the API's answers included"),
    ]


async def _ask(url: str, promql: str) -> list[float]:
    async with PrometheusClient(Prometheus(url=url)) as client:
        return [float(one.values[-1]) for one in await client.instant(Question("benchmark", promql), time.time())]


def _spread() -> list[Figure]:
    """How nodes that start in the same instant drift apart: pauses drawn, no node run."""
    nodes, settings = 1000, Tasks()
    turns = [(0.0, node) for node in range(nodes)]
    seconds: Counter[int] = Counter()
    while turns[0][0] < 3660:
        instant, node = heapq.heappop(turns)
        seconds[int(instant)] += 1
        heapq.heappush(turns, (instant + pause(settings, 0), node))
    setting = f"{nodes} nodes started at once, refresh 30 s"
    return [
        Figure(
            setting,
            f"requests in the busiest second, {minute} min later",
            f"{max(seconds[60 * minute + second] for second in range(60))}",
            aim=f"even: {nodes / settings.refresh:.0f}",
        )
        for minute in (0, 1, 10, 60)
    ]
