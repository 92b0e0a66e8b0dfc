"""What a large answer of the consumption API, all of it on this node's own GPUs, costs the event loop that serves.

The service runs in this process over simulated GPUs, the API in one of its own. A turn of the loop is measured in CPU
time of its thread, which neither another process nor a slow machine's scheduler lengthens.
"""

from __future__ import annotations

import asyncio
import gc
import json
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from email.utils import formatdate
from pathlib import Path

from benchmarks.bare import bare_server
from benchmarks.figures import Figure
from benchmarks.scrapes import Client
from exporter.config import Config
from exporter.devices.simulated import SimulatedGpus, Workload
from exporter.devices.simulated.source import SimulatedSource
from exporter.service import Service

_BYTES = 4 * 10**6
_USERS = 7
_WARM_UP_SECONDS = 4
_SECONDS = 20
_AIM = "< 50 ms"


async def figures() -> AsyncIterator[Figure]:
    """The longest turn of the loop while an answer comes every two seconds, beside all that its thread does."""
    config = Config.model_validate(
        {
            "hostname": "colab-gpu1",
            "listen": {"host": "127.0.0.1", "port": 0},
            "devices": {"source": "simulated", "interval": "1s"},
        }
    )
    for gpus in (8, 1):
        hardware = SimulatedGpus(Workload(seed=0, gpus=8))
        uuids = [gpu.uuid for gpu in hardware.gpus[:gpus]]
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "answer"
            file.write_bytes(_answer(uuids))
            async with bare_server([file]) as api:
                tasks = {"url": f"http://127.0.0.1:{api.port}/0", "refresh": "2s", "timeout": "60s"}
                settings = config.model_copy(update={"tasks": config.tasks.model_validate(tasks)})
                for scraped in (False, True):
                    setting = f"4 MB of tasks on {gpus} of 8 GPUs"
                    yield await _turns(
                        Service(settings, SimulatedSource(settings.devices, hardware)), setting, scraped=scraped
                    )


def _answer(uuids: Sequence[str]) -> bytes:
    """Tasks that run, and tasks that started or ended in the last minutes, round the GPUs."""
    now, size, number = time.time(), 0, 0
    entries: dict[str, object] = {}
    while size < _BYTES:
        started = now - 3600 if number % 2 else now - number % 300
        entries[f"f3c1a2b4-0000-4000-8000-{number:012x}"] = entry = {
            "username": f"user{number % _USERS}",
            "hostname": "colab-gpu1",
            "gpus": [
                {"uuid": f"APU-{uuids[number % len(uuids)]}", "id": 27, "name": "AMD Instinct MI300X", "memory": 196592}
            ],
            "task": {
                "_type": "LAB",
                "project_uuid": "9d0c" * 9,
                "image": "registry.example:5000/ollama:0.6.2-rocm",
                "create_time": formatdate(started - 2, usegmt=True),
            },
            "start": formatdate(started, usegmt=True),
            "end": formatdate(now - number % 120, usegmt=True) if number % 4 == 1 else "",
            "total_seconds": 86399.0,
        }
        size += len(json.dumps(entry)) + 44
        number += 1
    return json.dumps(entries).encode()


async def _turns(service: Service, setting: str, *, scraped: bool) -> Figure:
    """Measures the longest turn, with a scrape each second or without any."""
    async with service.running():
        port = int(service.web.url.rstrip("/").rpartition(":")[2])
        scraping = asyncio.create_task(_scrape(port)) if scraped else None
        await asyncio.sleep(_WARM_UP_SECONDS)  # simulated GPUs are slow to begin
        gc.collect()  # of what the settings before left behind
        began = last = time.thread_time()
        turns = []
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until:
            await asyncio.sleep(0.001)
            turns.append((now := time.thread_time()) - last)
            last = now
        if scraping is not None:
            scraping.cancel()
        tasks = sum(len(gpu.tasks) for gpu in service.node.snapshot().gpus)
    return Figure(
        f"{setting}, {'scraped each second' if scraped else 'not scraped'}",
        f"longest turn of the loop, {tasks} tasks shown",
        f"{1e3 * max(turns):.1f} ms",
        _AIM,
        f"all turns of {_SECONDS} s {1e3 * (last - began):.0f} ms",
    )


async def _scrape(port: int) -> None:
    with Client(port) as client:
        while True:
            await asyncio.to_thread(client.scrape)
            await asyncio.sleep(1)
