"""Two hundred nodes with eight GPUs each, all of them real services in this process."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest

from exporter.config import Prometheus
from exporter.demo.api import StandInApi
from exporter.demo.prometheus import PrometheusServer
from exporter.model import Task
from exporter.report.history.client import PrometheusClient
from exporter.report.history.queries import Question
from exporter.service import Service
from tests.support.caching_proxy import caching_proxy
from tests.support.fleet import GPUS, discovered, fleet, task_gpus

NODES = 200
PATIENCE_SECONDS = 300.0
"""For what takes 30 s on a quiet machine."""
DEVICES = {"source": "simulated", "interval": "5s"}
SCRAPE_CONFIG = """\
global: {scrape_interval: 10s, scrape_timeout: 10s}
scrape_configs: [{job_name: mi300x, file_sd_configs: [{files: [targets.json]}]}]
"""
OWNED = "amdgpu_owner_seconds_total"
BY_GPU = "sum by (hostname, gpu)"

SECONDS = {
    'gpu="0",username="alice",ownership="owned"': 6,
    'gpu="1",username="alice",ownership="owned"': 4,
    'gpu="1",username="alice",ownership="shared"': 1,
    'gpu="1",username="bob",ownership="shared"': 1,
}
"""What has to be booked by owner, once both have left."""


def on_every_node(username: str, gpus: slice, start: float, end: float) -> Task:
    """One task that holds these GPUs of each node."""
    held = tuple(gpu for node in range(NODES) for gpu in task_gpus(node)[gpus])
    return Task(f"{username}s", username, "TRAIN", held, start, end)


async def answered(nodes: list[Service], since: float) -> None:
    """Returns once the API has answered each node after this time."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while any((node.node.snapshot().tasks.last_success or 0.0) <= since for node in nodes):
            await asyncio.sleep(0.1)


async def test_one_prometheus_sees_every_owners_second_of_two_hundred_nodes(tmp_path: Path) -> None:
    tasks: list[Task] = []
    token = tmp_path / "token"
    async with StandInApi(tasks) as api, PrometheusServer(tmp_path / "prometheus", SCRAPE_CONFIG) as prometheus:
        token.write_text(api.token)
        token.chmod(0o600)
        asked = {"url": api.url, "token_file": str(token), "refresh": "8s", "timeout": "30s", "settle": "1s"}
        # No series is held flat at first: one that waits for its birth would not show all that is booked.
        settings = {"devices": DEVICES, "metering": {"birth": "0s"}, "tasks": asked}
        async with fleet(NODES, settings) as nodes, PrometheusClient(Prometheus(url=prometheus.url)) as client:

            async def ask(promql: str) -> list[float]:
                found = await client.instant(Question("test", promql), time.time())
                return [float(one.values[-1]) for one in found]

            async def shown_by_all(promql: str) -> None:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while len(await ask(promql)) < NODES:
                        await asyncio.sleep(0.5)

            (tmp_path / "prometheus" / "targets.json").write_text(discovered(nodes))
            start = int(time.time()) + 1
            tasks += [
                on_every_node("alice", slice(2), start, start + 6),
                on_every_node("bob", slice(1, 2), start + 4, start + 3600),
            ]
            await shown_by_all("up == 1")
            await shown_by_all(f'{OWNED}{{gpu="1",username="bob",ownership="owned"}} > 0')

            shares = {owner: await ask(f"{OWNED}{{{owner}}}") for owner in SECONDS}
            booked = f"{BY_GPU} ({OWNED}) + {BY_GPU} (amdgpu_exporter_unbooked_seconds)"
            missing = await ask(f"{booked} - {BY_GPU} (amdgpu_observed_seconds_total)")
            unknown = await ask(f'{OWNED}{{ownership="unknown"}}')
            up = await ask("up == 1")

    # Asserted here, as each of the nodes would wrap a failure in an exception group of its own.
    for owner, seconds in SECONDS.items():
        assert shares[owner] == pytest.approx([seconds] * NODES, abs=0.01), owner
    assert missing == pytest.approx([0.0] * NODES * GPUS, abs=1e-6)
    assert unknown == [0.0] * NODES * GPUS
    assert len(up) == NODES


async def test_two_hundred_nodes_ask_the_api_as_one(tmp_path: Path) -> None:
    began = time.time()
    held = on_every_node("alice", slice(1), began - 86400, began + 86400)
    async with StandInApi([held]) as api, caching_proxy(tmp_path, api.url, api.token) as url:
        settings = {"devices": DEVICES, "tasks": {"url": url, "refresh": "2s", "timeout": "30s"}}
        async with fleet(NODES, settings) as nodes:
            for _ in range(3):
                await answered(nodes, time.time())
            owners = [node.node.snapshot().gpus[0].owner.username for node in nodes]
    assert owners == ["alice"] * NODES
    # As the hour turns, or between two minutes, not all nodes ask for the same window.
    windows = Counter((asked["start_t"], asked["end_t"]) for asked in api.requests)
    minutes = time.time() // 60 - began // 60 + 1
    assert len(windows) <= 2 * minutes
    assert max(windows.values()) <= minutes
