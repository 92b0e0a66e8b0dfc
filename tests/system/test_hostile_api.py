"""What an API that answers too much, or a log that nobody reads, leaves of the service."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import Any

import pytest

from exporter.demo.api import Fault, StandInApi
from tests.support.exporter import ExporterProcess, Metrics, exporter

SETTINGS = {"hostname": "colab-gpu1", "devices": {"source": "simulated", "interval": "200ms"}}
MEBIBYTE = 2**20


def entry(uuid: str, username: str = "itrd") -> dict[str, Any]:
    return {
        "username": username,
        "gpus": [{"uuid": f"APU-{uuid}", "id": 27}],
        "task": {"_type": "WEBAPP", "project_uuid": "9d0c" * 9, "image": "registry.example:5000/ollama:0.6.2-rocm"},
        "start": formatdate(time() - 3600, usegmt=True),
        "end": "",
    }


def refreshes(metrics: Metrics, result: str) -> float:
    return metrics.value("amdgpu_exporter_task_refreshes_total", result=result) or 0


def peak_mebibytes(running: ExporterProcess) -> float:
    for line in Path(f"/proc/{running.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM")


@pytest.fixture
async def api() -> AsyncIterator[StandInApi]:
    async with StandInApi([]) as server:
        yield server


async def test_a_node_of_1_gib_survives_an_answer_of_60_mib_and_names_of_15(api: StandInApi, tmp_path: Path) -> None:
    settings = SETTINGS | {"tasks": {"url": api.url, "refresh": "200ms"}}
    async with exporter(tmp_path, settings, {"EXPORTER_TASKS_TOKEN": api.token}) as running:
        first = await running.shows(lambda metrics: refreshes(metrics, "ok") > 0)
        uuid = first.labels("amdgpu_up")[0]["gpu_uuid"]
        foreign = json.dumps(entry("aa" * 8))
        many = ",".join(f'"{number}": {foreign}' for number in range(60 * MEBIBYTE // (len(foreign) + 10)))
        name = "x" * 15 * MEBIBYTE
        api.fault = Fault(body=f'{{{many}, "mine": {json.dumps(entry(uuid))}}}'.encode())
        assert 55 < len(api.fault.body or b"") / MEBIBYTE < 64
        async with asyncio.timeout(300):  # however slow the machine is
            while "mine" not in await running.get("/metrics"):
                await api.asked()
        api.fault = Fault(body=json.dumps({"named": entry(uuid, name)}).encode())
        async with asyncio.timeout(300):
            while "named" not in (shown := await running.get("/metrics")):
                await api.asked()
        (held,) = (labels["username"] for labels in Metrics(shown).labels("amdgpu_task_info"))
        assert len(held) == 256
        assert peak_mebibytes(running) < 300


async def test_a_log_that_nobody_reads_stops_neither_scrapes_nor_readings(api: StandInApi, tmp_path: Path) -> None:
    settings = SETTINGS | {"tasks": {"url": api.url, "refresh": "20ms"}}
    async with exporter(tmp_path, settings, {"EXPORTER_TASKS_TOKEN": api.token}) as running:
        await running.shows(lambda metrics: refreshes(metrics, "ok") > 0)
        await running.ignore_log()
        for told in range(100):  # ten lines a refresh; pipe and reader hold some six hundred
            api.extra = {f"{told} {number} {'x' * 80}": {"gpus": [], "start": "?"} for number in range(10)}
            api.extra["good"] = entry("aa" * 8)
            async with asyncio.timeout(300):
                await api.asked()
                await api.asked()  # the answer before this request was read
        before = await running.shows(lambda _: True)
        seconds = before.value("amdgpu_observed_seconds_total", gpu="0")
        assert seconds is not None
        await running.shows(lambda now: (now.value("amdgpu_observed_seconds_total", gpu="0") or 0) > seconds + 1)


async def test_a_service_without_descriptors_waits_and_says_so(api: StandInApi, tmp_path: Path) -> None:
    settings = SETTINGS | {"tasks": {"url": api.url, "refresh": "100ms"}}
    async with exporter(tmp_path, settings, {"EXPORTER_TASKS_TOKEN": api.token}) as running:
        await running.shows(lambda metrics: refreshes(metrics, "ok") > 0)
        pid = running.process.pid
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
        await running.logged("cannot be asked .Too many open files.")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await running.get("/metrics")
        await running.logged("no new connection can be taken: Too many open files")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        await running.logged("new connections are taken again")
        await running.shows(lambda metrics: refreshes(metrics, "network") > 0)
        await running.logged("answers again")
