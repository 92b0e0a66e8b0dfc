"""One sweep over a worker process, beside the same calls of the bindings made directly.

python -m benchmarks.sweep     over the library that the environment names; prints a JSON object
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass

from benchmarks.procfs import cpu_seconds
from exporter.devices.process import Worker, Workers
from exporter.devices.protocol import Verb

_SWEEPS = 200
_PAUSE_SECONDS = 0.01
"""Before and after each, so that neither finds its caches as warm as a tight loop would leave them."""


@dataclass(frozen=True, slots=True)
class Sweeps:
    """Medians of one sweep over all GPUs."""

    seconds: float
    cpu_seconds: float
    """Of the worker, and of who asks it."""
    bare_seconds: float
    bare_cpu_seconds: float


async def measure(env: Mapping[str, str]) -> Sweeps:
    """In a process of its own, with this environment beside ours."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.sweep", stdout=asyncio.subprocess.PIPE, env={**os.environ, **env}
    )
    answer, _ = await process.communicate()
    return Sweeps(**json.loads(answer))


async def _measure() -> Sweeps:
    async with Workers() as workers:
        worker = await workers.start()
        await worker.begin()
        bare = _bare()
        costs = [
            (*await _cost(lambda: _ask(worker), worker.pid), *await _cost(bare, worker.pid)) for _ in range(_SWEEPS)
        ]
        return Sweeps(*map(statistics.median, zip(*costs, strict=True)))


async def _cost(sweep: Callable[[], Awaitable[None]], worker: int) -> tuple[float, float]:
    """Seconds, and CPU seconds of this process and the worker."""
    await asyncio.sleep(_PAUSE_SECONDS)
    spent = cpu_seconds(worker)
    began, began_cpu = time.perf_counter(), time.process_time()
    await sweep()
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    await asyncio.sleep(_PAUSE_SECONDS)
    return seconds, cpu + cpu_seconds(worker) - spent


async def _ask(worker: Worker) -> None:
    for address in worker.positions:
        worker.ask(Verb.READ, address)
        await worker.answer(Verb.READ)


def _bare() -> Callable[[], Awaitable[None]]:
    smi = importlib.import_module("amdsmi")
    smi.amdsmi_init()
    handles = smi.amdsmi_get_processor_handles()

    async def sweep() -> None:
        for handle in handles:
            smi.amdsmi_get_gpu_metrics_info(handle)
            smi.amdsmi_get_gpu_memory_usage(handle, smi.AmdSmiMemoryType.VRAM)

    return sweep


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(_measure()))))
