"""The example for a fleet beyond one Prometheus, run as it stands: agents, both stores, their rules, a report."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import numpy as np
import pytest
import yaml
from aiohttp import web

from exporter.config import Prometheus
from exporter.demo.process import ServerProcess
from exporter.demo.prometheus import PrometheusServer
from exporter.model import Task, TaskGpu
from exporter.report.history.client import PrometheusClient
from exporter.report.history.queries import DEVICES, Question
from exporter.report.make import Made
from exporter.report.window import Window, window
from tests.support.closed_form import HOUR, RATES, UUID, VRAM_TOTAL, reported
from tests.support.engines import flushed, free_port

FLEET = Path(__file__).parents[2] / "deploy/fleet"
RULES = FLEET.parent / "prometheus"
PATIENCE_SECONDS = 300.0
OFTEN = "1s"
RECORDED = "cluster:amdgpu_up:count"


@dataclass
class Node:
    """A node of one GPU, half busy at 400 W since it was born, that stamps its samples itself."""

    born: float = field(default_factory=time.time)
    port: int = 0

    async def answer(self, _: web.BaseRequest) -> web.Response:
        now = round(time.time(), 3)
        values = dict(zip(map(str, DEVICES.metrics), np.multiply(now - self.born, RATES), strict=True))
        values |= {"amdgpu_up": 1.0, "amdgpu_info": 1.0, "amdgpu_vram_total_bytes": VRAM_TOTAL}
        labels = f'hostname="node1",gpu="0",gpu_uuid="{UUID}"'
        lines = (f"{name}{{{labels}}} {float(value)!r} {int(now * 1000)}\n" for name, value in values.items())
        return web.Response(text="".join(lines), headers={"Content-Type": "text/plain; version=0.0.4"})


@asynccontextmanager
async def node() -> AsyncIterator[Node]:
    served = Node()
    runner = web.ServerRunner(web.Server(served.answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    served.port = runner.addresses[0][1]
    try:
        yield served
    finally:
        await runner.cleanup()


def example(name: str) -> Any:
    return yaml.safe_load((FLEET / name).read_text(encoding="utf-8"))


def command(program: str) -> list[str]:
    """How the page says a program is started."""
    page = (FLEET / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.search(rf"^{program} .*$", page, re.MULTILINE)
    assert found is not None
    return shlex.split(found[0])


def moved(arguments: list[str], **changed: str) -> list[str]:
    """The arguments with other values of these flags, which must be among them."""
    flags = {f"-{name}": value for name, value in changed.items()}
    assert flags.keys() <= {argument.partition("=")[0] for argument in arguments}
    return [f"{name}={flags.get(name, value)}" if is_set else name for name, is_set, value in map(parts, arguments)]


def parts(argument: str) -> tuple[str, str, str]:
    return argument.partition("=")


@asynccontextmanager
async def agent(directory: Path, replica: str, target: int, stores: list[str]) -> AsyncIterator[None]:
    """One that writes to both stores, as the two examples say; the scrape interval and the addresses are the test's."""
    config, other = example("agent.yml"), example("agent.victoria-metrics.yml")
    assert {**config, "remote_write": []} == {**other, "remote_write": []}
    config["remote_write"] += other["remote_write"]
    for write, url in zip(config["remote_write"], stores, strict=True):
        assert write["url"].endswith("/api/v1/write")
        write["url"] = f"{url}/api/v1/write"
    config["global"]["scrape_interval"] = OFTEN
    config["global"]["external_labels"]["replica"] = replica
    (directory / "targets").mkdir(parents=True)
    (directory / "targets/nodes.yml").write_text(json.dumps([{"targets": [f"127.0.0.1:{target}"]}]))
    (directory / "agent.yml").write_text(yaml.safe_dump(config))
    mode = "--agent" if await is_prometheus_3() else "--enable-feature=agent"
    arguments = (
        "prometheus",
        mode,
        f"--config.file={directory / 'agent.yml'}",
        f"--storage.agent.path={directory / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    )
    ready = re.compile(r"Server is ready to receive web requests")
    async with ServerProcess(arguments, package="prometheus", milestones=(ready,)):
        yield


async def is_prometheus_3() -> bool:
    asked = await asyncio.create_subprocess_exec(
        "prometheus", "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asked.communicate()
    return b"version 3" in said


@asynccontextmanager
async def prometheus_store(directory: Path) -> AsyncIterator[str]:
    config = example("store.yml")
    config["global"]["evaluation_interval"] = OFTEN
    directory.mkdir()
    for rules in config["rule_files"]:
        shutil.copy(RULES / rules, directory)
    async with PrometheusServer(directory, yaml.safe_dump(config)) as server:
        yield server.url


@asynccontextmanager
async def victoria_metrics_store(directory: Path) -> AsyncIterator[str]:
    directory.mkdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    store = moved(command("victoria-metrics"), **{"dedup.minScrapeInterval": OFTEN})
    rules = moved(
        command("vmalert"),
        evaluationInterval=OFTEN,
        **{f"{end}.url": url for end in ("datasource", "remoteWrite", "remoteRead")},
    )
    rules = [argument.replace("-rule=", f"-rule={RULES}/") for argument in rules]
    async with AsyncExitStack() as stack:
        for arguments, milestone in (
            ((*store, f"-storageDataPath={directory}", f"-httpListenAddr=127.0.0.1:{port}"), "started VictoriaMetrics"),
            ((*rules, f"-httpListenAddr=127.0.0.1:{free_port()}"), "started|Starting|starting"),
        ):
            process = ServerProcess(arguments, package="victoria-metrics", milestones=(re.compile(milestone),))
            await stack.enter_async_context(process)
        yield url


async def ask(url: str, promql: str) -> list[Any]:
    async with PrometheusClient(Prometheus(url=url)) as client:
        return list(await client.instant(Question("test", promql), time.time()))


async def until(url: str, promql: str) -> list[Any]:
    """What is answered, once something is."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                if found := await ask(url, promql):
                    return found
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.5)


async def first_sample(url: str) -> float:
    """When the store first has the accumulator's energy, which tells nothing of the time before."""
    query = {"query": "amdgpu_energy_joules_total[1h]"}
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v1/query", params=query) as found:
        series = (await found.json())["data"]["result"]
    return min(float(one["values"][0][0]) for one in series)


async def today(stores: list[str]) -> Window:
    """Today up to a whole minute, with samples in both stores from before and after it."""
    zone = f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"  # where it is about noon, and no day ends
    day = datetime.now(ZoneInfo(zone)).date().isoformat()
    for url in stores:
        await until(url, "amdgpu_energy_joules_total")
    began = max([await first_sample(url) for url in stores])
    while (span := window(day, None, zone, time.time())).end < began + 2:
        await asyncio.sleep(0.5)
    for url in stores:
        await until(url, f"timestamp(amdgpu_up) > {span.end + 2}")
    return span


async def test_agents_of_a_rack_fill_both_stores_and_reports_are_right(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(node())
        stores = [
            await stack.enter_async_context(prometheus_store(tmp_path / "prometheus")),
            await stack.enter_async_context(victoria_metrics_store(tmp_path / "victoria-metrics")),
        ]
        for replica in ("a", "b"):
            await stack.enter_async_context(agent(tmp_path / replica, replica, served.port, stores))
        span = await today(stores)
        for url in stores:
            await flushed(url)
        replicas = [{one.labels.get("replica") for one in await ask(url, "amdgpu_up")} for url in stores]
        counted = [[float(one.values[-1]) for one in await until(url, RECORDED)] for url in stores]
        gpu = TaskGpu(UUID, "0", "AMD Instinct MI300X", 196592)
        tasks = [Task("task-0", "anna", "LAB", (gpu,), span.start, span.end + 3600, "node1")]
        made = [await reported(url, tmp_path, tasks, span=span) for url in stores]
        firsts = [await first_sample(url) for url in stores]
    assert replicas == [{"a", "b"}, {None}]
    assert counted == [[1.0], [1.0]]
    for report, first in zip(made, firsts, strict=True):
        hold_to_the_closed_form(report, span.end - served.born, span)
        # Which sample of its first interval a store keeps of two is its own affair.
        assert report.report.totals.energy_kwh == pytest.approx(0.4 * (span.end - first) / HOUR, abs=0.4 / HOUR)


def hold_to_the_closed_form(made: Made, seconds: float, span: Window) -> None:
    """All that the GPU was observed for counts, and it was anna's, half busy, at 400 W."""
    totals = made.report.totals
    assert totals.capacity_gpu_hours * HOUR == pytest.approx(span.seconds)
    assert totals.owned_gpu_hours * HOUR == pytest.approx(span.seconds)
    assert totals.observed_gpu_hours * HOUR == pytest.approx(seconds, abs=0.01)
    assert totals.owned_busy_gpu_hours is not None
    assert totals.owned_busy_gpu_hours * HOUR == pytest.approx(seconds / 2, abs=0.01)
    assert totals.efficiency_ratio == pytest.approx(0.5, rel=1e-6)
    assert {row.username: row.usage.energy_kwh for row in made.report.users} == {"anna": totals.energy_kwh}
