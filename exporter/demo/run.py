"""The demo: a simulated cluster in one process, scraped by a real Prometheus that already remembers weeks."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from time import time as unix_time
from typing import Any

from exporter import config
from exporter.config import Config
from exporter.demo.api import StandInApi
from exporter.demo.cluster import Cluster
from exporter.demo.coarse import coarse_history
from exporter.demo.history import history
from exporter.demo.past import Past
from exporter.demo.progress import step
from exporter.demo.prometheus import PrometheusServer
from exporter.demo.remote_write import write_series
from exporter.demo.settings import demo_settings, write_settings
from exporter.demo.workers import spread, workers
from exporter.devices.simulated import SimulatedSource
from exporter.model import Task
from exporter.portal.app import Portal
from exporter.report.history.client import PrometheusClient
from exporter.report.history.queries import Question
from exporter.service import Service
from exporter.speech import Speech

NODES = 4
PACE = 120.0
"""Tasks come and go a hundred times faster than in life, so that something happens while one looks."""
SCRAPE_SECONDS = 2
HISTORY_SCRAPE_SECONDS = 60
_BLOCK, _SLICE_SECONDS = "24h", 6 * 3600.0

_PROMETHEUS_YML = f"""\
global: {{scrape_interval: {SCRAPE_SECONDS}s, scrape_timeout: {SCRAPE_SECONDS}s}}
scrape_configs:
  - job_name: mi300x
    file_sd_configs: [{{files: [targets.json]}}]
"""


@dataclass(frozen=True, slots=True)
class Demo:
    """A cluster that is up, and where to find its parts."""

    prometheus: str
    api: str
    portal: str
    pages: tuple[str, ...]
    """Of each node."""
    settings: Config
    """To report from both sources."""
    config_file: Path
    """That holds these settings."""
    past: Past
    pool: ProcessPoolExecutor
    """To compute on all cores."""

    async def ask(self, promql: str) -> list[tuple[dict[str, str], float]]:
        """Returns what Prometheus answers now."""
        async with PrometheusClient(self.settings.prometheus) as client:
            found = await client.instant(Question("demo", promql), unix_time())
        return [(dict(series.labels), float(series.values[-1])) for series in found]


@asynccontextmanager
async def running(given: Config | None, folder: Path, words: Speech) -> AsyncIterator[Demo]:
    """Brings the cluster up, its past first, and takes all of it down again but what is in the folder.

    Args:
        given: The user's config, whose `report` is followed; None: he named none.
        folder: For the config of its reports.
        words: For what it says on the way.

    Raises:
        ConfigError: The folder cannot be written.
        ExporterError: Prometheus is not installed or does not start.
    """
    began = unix_time()
    old, present = Cluster(NODES), Cluster(NODES, pace=PACE)
    report = demo_settings(given, old)
    past = Past.before(began, (given or Config()).report.timezone)
    async with AsyncExitStack() as stack:
        pool = stack.enter_context(workers())
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mi300x-demo-")))
        targets = directory / "targets.json"
        targets.write_text("[]", encoding="utf-8")
        prometheus = await stack.enter_async_context(PrometheusServer(directory, _PROMETHEUS_YML, block=_BLOCK))
        await _remember(old, past, prometheus.url, pool, words)
        api = await stack.enter_async_context(StandInApi(partial(_tasks, old, present, began)))
        file, settings = write_settings(folder, prometheus.url, api.url, api.token, report)
        portal = Portal(settings)
        await stack.enter_async_context(portal.running())
        around = {"portal": {"url": portal.web.url}, "report": {"timezone": settings.report.timezone}}
        services = [
            Service(_node_config(name, api.url, folder / "token", around), source) for name, source in _sources(present)
        ]
        for service in services:
            await stack.enter_async_context(service.running())
        listening = [f"127.0.0.1:{service.web.port}" for service in services]
        targets.write_text(json.dumps([{"targets": listening}]), encoding="utf-8")
        pages = tuple(service.web.url for service in services)
        yield Demo(prometheus.url, api.url, portal.web.url, pages, settings, file, past, pool)


async def scraped(demo: Demo, seconds: int) -> None:
    """Returns once Prometheus has scraped every node for so long."""
    promql = f"count(count_over_time(amdgpu_exporter_build_info[1h]) >= {seconds // SCRAPE_SECONDS})"
    while not any(value == NODES for _, value in await demo.ask(promql)):  # noqa: ASYNC110  Prometheus has no event to await
        await asyncio.sleep(SCRAPE_SECONDS / 2)


async def _remember(cluster: Cluster, past: Past, prometheus: str, pool: ProcessPoolExecutor, words: Speech) -> None:
    """Writes the scrapes of all nodes into Prometheus: those of yesterday as they would be, the others in outline."""
    _ = words.gettext
    fine = [
        partial(history, cluster, node, *past.fine, scrape_seconds=HISTORY_SCRAPE_SECONDS) for node in cluster.nodes
    ]
    earlier = [partial(coarse_history, cluster, node, *past.earlier) for node in cluster.nodes]
    later = [partial(coarse_history, cluster, node, *past.later) for node in cluster.nodes if past.later]
    said = _("living through yesterday on a virtual clock, and drawing the outline of {count} days before")
    with step(said.format(count=len(past.days) - 1), len(fine) + len(earlier) + len(later)) as done:
        lived = asyncio.gather(*(spread(pool, jobs, done) for jobs in (fine, earlier, later)))
        at_yesterday, before, since = await lived
    with step(_("writing it into Prometheus"), 1) as done:
        # Prometheus takes each series in the order of time.
        await write_series(prometheus, list(chain(*before, *at_yesterday, *since)), _SLICE_SECONDS)
        done()


def _tasks(past: Cluster, present: Cluster, began: float, start: float, end: float, _now: float) -> Iterator[Task]:
    """Returns the past's tasks until the demo began, the present's from then on."""
    for task in past.tasks(start, min(end, began)):
        yield replace(task, end=min(task.end, began))
    for task in present.tasks(max(start, began), max(end, began) + 1):
        yield replace(task, start=max(task.start, int(began)))


def _sources(cluster: Cluster) -> Iterator[tuple[str, SimulatedSource]]:
    for name, hardware in cluster.nodes.items():
        yield name, SimulatedSource(config.Devices(), hardware)


def _node_config(hostname: str, api: str, token: Path, around: Mapping[str, Any]) -> Config:
    settings = {
        **around,
        "hostname": hostname,
        "listen": {"host": "127.0.0.1", "port": 0},
        "devices": {"source": "simulated", "expected": 8},
        "metering": {"birth": f"{3 * SCRAPE_SECONDS}s"},
        "tasks": {"url": api, "token_file": str(token), "refresh": "3s", "settle": "1s"},
    }
    return config.parse(settings, where="demo")
