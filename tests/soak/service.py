"""The real service at ten sweeps a second, scraped, reloaded and refused by its API: does it come to hold more?

`make soak` runs it: ten minutes (`make soak MINUTES=1`: one) are too long for `make test`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click import echo

from benchmarks.node import busy_library
from exporter.demo.api import Fault, StandInApi
from exporter.model import Task, TaskGpu
from tests.soak.figures import Watch
from tests.support.exporter import ExporterProcess, exporter

MINUTES = float(os.environ.get("SOAK_MINUTES", "10"))
HOSTNAME = "colab-gpu1"
TASK_SECONDS = 40.0
USERS = ("nycubme", "itrd", "tku_csie")
"""Few, so that all owners of every GPU are there when the warm-up ends."""
REFRESHES = "amdgpu_exporter_task_refreshes_total"
ASKED = (
    ("/metrics", {"Accept": "application/openmetrics-text;version=1.0.0"}),
    ("/metrics", {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity"}),
    ("/", {"Accept-Language": "zh-TW"}),
)


def tasks(uuids: list[str], start: float, seconds: float) -> Iterator[Task]:
    """Back to back on every GPU, each another user's than the one before."""
    for index, uuid in enumerate(uuids):
        for number in range(round(seconds / TASK_SECONDS) + 1):
            begin = start + index * TASK_SECONDS / len(uuids) + number * TASK_SECONDS
            user = USERS[(index + number) % len(USERS)]
            gpu = TaskGpu(uuid, str(index))
            yield Task(f"{index}-{number}", user, "LAB", (gpu,), begin, begin + TASK_SECONDS, HOSTNAME)


async def scrape(running: ExporterProcess, scrapes: Counter[str]) -> None:
    """Asks for metrics of either kind and for the page, over a kept connection and over new ones, for ever."""
    async with aiohttp.ClientSession() as kept:
        while True:
            for path, headers in ASKED:
                async with aiohttp.ClientSession() as fresh:
                    for session in (kept, fresh):
                        async with session.get(running.url + path, headers=headers) as response:
                            assert response.status == 200
                            assert await response.read()
                        scrapes[path] += 1
            await asyncio.sleep(0.5)


async def disturb(running: ExporterProcess, api: StandInApi, settings: Mapping[str, Any]) -> None:
    """Reloads the config, and lets the API fail for a while, for ever."""
    while True:
        await asyncio.sleep(20)
        running.reload({"listen": {"host": "127.0.0.1", "port": 0}, **settings})
        api.fault = Fault(status=503)
        await asyncio.sleep(5)
        api.fault = Fault()


async def test_memory_descriptors_and_threads_of_the_service_and_its_worker_stay_flat(
    rocm_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = busy_library(rocm_home, tmp_path / "control")
    seconds = MINUTES * 60
    uuids = [gpu.uuid for gpu in library]
    async with StandInApi(list(tasks(uuids, time.time() - TASK_SECONDS, seconds + 120))) as api:
        settings = {
            "hostname": HOSTNAME,
            "devices": {"interval": "100ms"},
            "tasks": {"url": api.url, "refresh": "1s", "settle": "1s", "expire_after": "10s"},
        }
        env = {**library.env, "EXPORTER_TASKS_TOKEN": api.token}
        async with exporter(tmp_path, settings, env) as running:
            await running.shows(lambda shown: shown.values("amdgpu_up") == [1.0] * len(uuids))
            watch, scrapes = Watch(running.process.pid), Counter[str]()
            async with asyncio.TaskGroup() as group:
                others = [
                    group.create_task(scrape(running, scrapes)),
                    group.create_task(disturb(running, api, settings)),
                ]
                await watch.run(seconds)
                for other in others:
                    other.cancel()
            shown = await running.shows(lambda shown: shown.values("amdgpu_up") == [1.0] * len(uuids))
    readings = shown.value("amdgpu_exporter_device_read_duration_seconds_count")
    refreshes = {labels["result"]: shown.value(REFRESHES, **labels) for labels in shown.labels(REFRESHES)}
    with capsys.disabled():
        echo(f"\n{MINUTES:g} minutes: {readings:.0f} readings, refreshes {refreshes}, answers {dict(scrapes)}")
        echo("\n".join(map(str, watch.curves)))
    assert [str(curve) for curve in watch.curves if not curve.is_flat] == []
