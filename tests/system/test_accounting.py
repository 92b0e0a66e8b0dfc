"""Owners against the truth, through the real bindings, the service as a process and a real Prometheus."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from exporter.config import Prometheus
from exporter.demo.api import Fault, StandInApi
from exporter.demo.prometheus import PrometheusServer
from exporter.model import Task, TaskGpu
from exporter.report.history.client import PrometheusClient
from exporter.report.history.queries import Question
from tests.support.amdsmi import SimulatedLibrary
from tests.support.exporter import exporter

SCRAPE_CONFIG = """\
global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs: [{job_name: mi300x, file_sd_configs: [{files: [targets.json]}]}]
"""
SETTINGS = {
    "hostname": "colab-gpu1",
    "devices": {"interval": "200ms"},
    "metering": {"birth": "5s"},
}
OWNED = "amdgpu_owner_seconds_total"
EXPIRE_SECONDS = 8
LAG = 3.0
"""Seconds after its start at which the API first shows the late task."""


async def increases(url: str, metric: str) -> dict[tuple[str, str, str], float]:
    """What Prometheus says the owner series gained in all, by GPU, user and ownership."""
    async with PrometheusClient(Prometheus(url=url)) as client:
        found = await client.instant(Question("test", f"increase({metric}[1h])"), time.time())
    keys = [(one.labels["gpu"], one.labels.get("username", ""), one.labels["ownership"]) for one in found]
    return dict(zip(keys, (float(one.values[-1]) for one in found), strict=True))


async def stretch(url: str) -> float:
    """By what part increase() may exceed what it saw of an owner: a scrape interval as it was kept, on either side."""
    async with PrometheusClient(Prometheus(url=url)) as client:
        (found,) = await client.instant(Question("test", f'{OWNED}{{gpu="1", username="brief"}}[1h]'), time.time())
    return 2 / (len(found.times) - 1)


async def scraped(url: str, since: float) -> None:
    """Returns once Prometheus has scraped after this time."""
    async with PrometheusClient(Prometheus(url=url)) as client:
        question = Question("test", "timestamp(amdgpu_exporter_build_info)")
        while not any(one.values[-1] > since for one in await client.instant(question, time.time())):
            await asyncio.sleep(0.1)


async def test_prometheus_sees_every_gpu_second_at_its_owner(rocm_home: Path, tmp_path: Path) -> None:
    library = SimulatedLibrary(rocm_home, tmp_path / "control", gpus=4)
    for gpu in range(4):
        library[gpu].load(utilization=50.0, vram=2**34)
    uuids = [library[gpu].uuid for gpu in range(4)]
    tasks: list[Task] = []
    api = StandInApi(tasks)
    token = tmp_path / "token"
    token.write_text(api.token)
    token.chmod(0o600)
    async with api, PrometheusServer(tmp_path / "prometheus", SCRAPE_CONFIG) as prometheus:
        limits = {"refresh": "3s", "settle": "4s", "expire_after": f"{EXPIRE_SECONDS}s"}
        settings = SETTINGS | {"tasks": {"url": api.url, "token_file": str(token), **limits}}
        async with exporter(tmp_path, settings, library.env) as running:
            targets = tmp_path / "prometheus" / "targets.json"
            targets.write_text(json.dumps([{"targets": [running.url.removeprefix("http://")]}]))
            await running.shows(
                lambda shown: (shown.value("amdgpu_exporter_task_refreshes_total", result="ok") or 0) >= 1
            )
            start = int(time.time()) + 2

            def task(name: str, gpu: int, begin: float, end: float) -> Task:
                return Task(
                    name, name, "LAB", (TaskGpu(uuids[gpu], str(gpu)),), start + begin, start + end, "colab-gpu1"
                )

            tasks += [
                task("late", 0, 0, 12),
                task("brief", 1, 1, 3),
                task("first", 2, 0, 12),
                task("second", 2, 4, 12),
                task("steady", 3, 0, 600),
            ]
            api.lags["late"] = LAG
            while time.time() < start + 14:
                await api.asked()
            await api.asked()
            silent_from = time.monotonic()
            api.fault = Fault(status=503)
            await running.shows(lambda shown: (shown.value(OWNED, gpu="3", ownership="unknown") or 0) > 4)
            api.fault = Fault()
            await api.asked()
            outage = time.monotonic() - silent_from
            before = (await running.shows(lambda _: True)).value(OWNED, gpu="3", username="steady") or 0.0
            shown = await running.shows(lambda shown: (shown.value(OWNED, gpu="3", username="steady") or 0) > before)
            await scraped(prometheus.url, time.time())
            held = await increases(prometheus.url, OWNED)
            busy = await increases(prometheus.url, "amdgpu_owner_busy_seconds_total")
            stretched = await stretch(prometheus.url)

    truth = {
        ("0", "late", "owned"): 12.0,
        ("1", "brief", "owned"): 2.0,
        ("2", "first", "owned"): 4.0,
        ("2", "first", "shared"): 4.0,
        ("2", "second", "shared"): 4.0,
    }
    for owner, seconds in truth.items():
        assert held[owner] == pytest.approx(seconds, rel=stretched, abs=0.1), owner
        assert busy[owner] == pytest.approx(seconds / 2, rel=stretched, abs=0.1), owner
    expired = outage - EXPIRE_SECONDS
    # When a request arrived, which this process sees late where it must wait for a core.
    assert shown.value(OWNED, gpu="3", ownership="unknown") == pytest.approx(expired, abs=2)
    assert held["3", "", "unknown"] == pytest.approx(shown.value(OWNED, gpu="3", ownership="unknown"), rel=stretched)
    for name in ("0", "1", "2", "3"):
        owners = sum(shown.values(OWNED, gpu=name))
        unbooked = shown.value("amdgpu_exporter_unbooked_seconds", gpu=name) or 0.0
        assert owners + unbooked == pytest.approx(shown.value("amdgpu_observed_seconds_total", gpu=name), abs=1e-6)
