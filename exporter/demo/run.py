"""The demo: a simulated cluster in one process, scraped by a real Prometheus that already remembers yesterday."""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from time import time as unix_time

from exporter import config
from exporter.config import Config
from exporter.demo.api import StandInApi
from exporter.demo.cluster import Cluster
from exporter.demo.history import history
from exporter.demo.prometheus import PrometheusServer
from exporter.demo.remote_write import write_series
from exporter.devices.simulated import SimulatedSource
from exporter.model import Task
from exporter.report.history.client import PrometheusClient
from exporter.report.history.queries import Question
from exporter.service import Service

NODES = 4
PACE = 120.0
"""Tasks come and go a hundred times faster than in life, so that something happens while one looks."""
SCRAPE_SECONDS = 2
HISTORY_SCRAPE_SECONDS = 60
_LEAD = timedelta(hours=1)
"""Of history before yesterday and after it, so that both its edges lie between scrapes."""

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
    pages: tuple[str, ...]
    """Of each node."""
    settings: Config
    """To report from both sources."""

    async def ask(self, promql: str) -> list[tuple[dict[str, str], float]]:
        """Returns what Prometheus answers now."""
        async with PrometheusClient(self.settings.prometheus) as client:
            found = await client.instant(Question("demo", promql), unix_time())
        return [(dict(series.labels), float(series.values[-1])) for series in found]


@asynccontextmanager
async def running(language: str, say: Callable[[str], None]) -> AsyncIterator[Demo]:
    """Brings the cluster up, yesterday's history first, and takes all of it down again.

    Args:
        language: Of the report.
        say: Told in words what is going on.

    Raises:
        ExporterError: Prometheus is not installed or does not start.
    """
    began = unix_time()
    past, present = Cluster(NODES), Cluster(NODES, pace=PACE)
    today = datetime.combine(datetime.fromtimestamp(began, UTC).date(), time(), UTC)
    start, end = today - timedelta(days=1) - _LEAD, min(today + _LEAD, datetime.fromtimestamp(began - 300, UTC))
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mi300x-demo-")))
        targets = directory / "targets.json"
        targets.write_text("[]", encoding="utf-8")
        prometheus = await stack.enter_async_context(PrometheusServer(directory, _PROMETHEUS_YML))
        say("living through yesterday on a virtual clock")
        await _remember(past, prometheus.url, start.timestamp(), end.timestamp())
        api = await stack.enter_async_context(StandInApi(partial(_tasks, past, present, began)))
        token = directory / "token"
        token.touch(mode=0o600)
        token.write_text(api.token, encoding="utf-8")
        services = [Service(_node_config(name, api.url, token), source) for name, source in _sources(present)]
        for service in services:
            await stack.enter_async_context(service.running())
        listening = [f"127.0.0.1:{service.web.port}" for service in services]
        targets.write_text(json.dumps([{"targets": listening}]), encoding="utf-8")
        settings = {
            "tasks": {"url": api.url, "token_file": str(token)},
            "prometheus": {"url": prometheus.url},
            "report": {
                "language": language,
                "nodes": {name: len(hardware.gpus) for name, hardware in past.nodes.items()},
            },
        }
        pages = tuple(service.web.url for service in services)
        yield Demo(prometheus.url, api.url, pages, config.parse(settings, where="demo"))


async def scraped(demo: Demo, seconds: int) -> None:
    """Returns once Prometheus has scraped every node for so long."""
    promql = f"count(count_over_time(amdgpu_exporter_build_info[1h]) >= {seconds // SCRAPE_SECONDS})"
    while not any(value == NODES for _, value in await demo.ask(promql)):  # noqa: ASYNC110  Prometheus has no event to await
        await asyncio.sleep(SCRAPE_SECONDS / 2)


async def _remember(cluster: Cluster, prometheus: str, start: float, end: float) -> None:
    """Writes the scrapes of all nodes, lived through in a process each, into Prometheus."""
    live = partial(history, start=start, end=end, scrape_seconds=HISTORY_SCRAPE_SECONDS)
    with ProcessPoolExecutor(initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)) as pool:
        loop = asyncio.get_running_loop()
        nodes = [loop.run_in_executor(pool, live, cluster, hostname) for hostname in cluster.nodes]
        await write_series(prometheus, list(chain.from_iterable(await asyncio.gather(*nodes))))


def _tasks(past: Cluster, present: Cluster, began: float, start: float, end: float, _now: float) -> Iterator[Task]:
    """Returns the past's tasks until the demo began, the present's from then on."""
    for task in past.tasks(start, min(end, began)):
        yield replace(task, end=min(task.end, began))
    for task in present.tasks(max(start, began), max(end, began) + 1):
        yield replace(task, start=max(task.start, int(began)))


def _sources(cluster: Cluster) -> Iterator[tuple[str, SimulatedSource]]:
    for name, hardware in cluster.nodes.items():
        yield name, SimulatedSource(config.Devices(), hardware)


def _node_config(hostname: str, api: str, token: Path) -> Config:
    settings = {
        "hostname": hostname,
        "listen": {"host": "127.0.0.1", "port": 0},
        "devices": {"source": "simulated", "expected": 8},
        "metering": {"birth": f"{3 * SCRAPE_SECONDS}s"},
        "tasks": {"url": api, "token_file": str(token), "refresh": "3s", "settle": "1s"},
    }
    return config.parse(settings, where="demo")
