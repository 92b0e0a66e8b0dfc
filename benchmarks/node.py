"""A node to measure: the service as a process, the real bindings over the simulated library, the stand-in API."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scrapes import Server
from exporter.demo.api import StandInApi
from exporter.model import RUNNING, Task, TaskGpu
from tests.support.amdsmi import SimulatedLibrary
from tests.support.exporter import Metrics, exporter

_HOSTNAME = "colab-gpu1"
_USERS = ("nycubme", "itrd", "tku_csie", "easycard", "admin", "guest1", "guest2")


@dataclass(frozen=True, slots=True)
class Node:
    """One service, running."""

    library: SimulatedLibrary
    service: Server


def busy_library(rocm_home: Path, control: Path, gpus: int = 8) -> SimulatedLibrary:
    """GPUs on which nothing keeps still: load, temperatures, clocks.

    Args:
        rocm_home: Where the simulated library was built.
        control: The control file to make, and its directory.
        gpus: How many.
    """
    control.parent.mkdir(exist_ok=True)
    library = SimulatedLibrary(rocm_home, control, gpus)
    for index, gpu in enumerate(library):
        gpu.load(utilization=(index, 95), power=(150, 700), vram=(2**34, 2**37), period=7.0, phase=float(index))
        gpu.state.restless = True
    return library


@asynccontextmanager
async def node(
    directory: Path, rocm_home: Path, *, gpus: int = 8, interval: str = "1s", tasks: int = 0
) -> AsyncIterator[Node]:
    """Runs one until the block is left; entered once every GPU was read, and every owner is known.

    Args:
        directory: For its files; is made.
        rocm_home: Where the simulated library was built.
        gpus: How many.
        interval: As in the config.
        tasks: How many the API tells, of seven users; some are over, some share a GPU. 0: no API.
    """
    library = busy_library(rocm_home, directory / "control", gpus)
    made_up = _tasks(library, tasks)
    holding = sum(len(task.gpus) for task in made_up if task.end == RUNNING)
    api = StandInApi(made_up)
    token = directory / "token"
    token.write_text(api.token, encoding="ascii")
    token.chmod(0o600)
    async with api:
        settings = {
            "hostname": _HOSTNAME,
            "devices": {"interval": interval},
            "tasks": {"url": api.url, "token_file": str(token)} if tasks else {},
        }
        async with exporter(directory, settings, library.env) as running:
            await running.shows(lambda shown: shown.values("amdgpu_up") == [1.0] * gpus)
            await running.shows(lambda shown: _running(shown) == holding)
            yield Node(library, Server(running.process.pid, int(running.url.rpartition(":")[2])))


def _running(shown: Metrics) -> int:
    """Returns how many tasks run, each counted on each of its GPUs."""
    return len(shown.values("amdgpu_task_info")) - len(shown.values("amdgpu_task_end_timestamp_seconds"))


def _tasks(library: SimulatedLibrary, count: int) -> Sequence[Task]:
    """Every other one runs; the nth is on the nth GPU and its neighbour, counted round."""
    now = time.time()
    uuids = [gpu.uuid for gpu in library]
    return [
        Task(
            task_id=f"f3c1a2b4-0000-4000-8000-{number:012x}",
            username=_USERS[number % len(_USERS)],
            task_type=("WEBAPP", "LAB")[number % 2],
            gpus=tuple(
                TaskGpu(uuids[(number + step) % len(uuids)], str(number + step), memory_mib=196592) for step in (0, 1)
            ),
            start=now - 600.0 * number - 60.0,
            end=now - 30.0 * number if number % 2 else RUNNING,
            hostname=_HOSTNAME,
            project_uuid=f"9b2d-{number}",
            image="registry/myelintek/ollama:0.6.2-rocm",
        )
        for number in range(count)
    ]
