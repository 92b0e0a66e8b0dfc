"""The CPU of one sweep through a worker process, beside the same calls of the bindings made directly.

python -m benchmarks.sweep     over the library that the environment names; prints a JSON object
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from benchmarks.procfs import children, cpu_seconds
from exporter.config import Devices
from exporter.devices.supervisor import HardwareSource
from exporter.errors import DeviceError
from exporter.model import Gpu, Health, Process, Reading

_SWEEPS = 100
_INTERVAL_SECONDS = 0.2
"""Long enough that neither finds its caches as warm as a tight loop would leave them."""
_WARM_UP_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Sweeps:
    """CPU seconds of one sweep over all GPUs."""

    cpu_seconds: float
    """Of the worker, and of who hears it."""
    bare_cpu_seconds: float
    """Of the same calls in one process, each answer dropped."""


async def measure(env: Mapping[str, str]) -> Sweeps:
    """In a process of its own, with this environment beside ours."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.sweep", stdout=asyncio.subprocess.PIPE, env={**os.environ, **env}
    )
    answer, _ = await process.communicate()
    return Sweeps(**json.loads(answer))


@dataclass(slots=True)
class _Count:
    """A sink that counts the readings of the first GPU."""

    uuid: str = ""
    readings: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    def found(self, gpus: Sequence[Gpu]) -> None:
        self.uuid = gpus[0].uuid

    def read(self, uuid: str, reading: Reading, seconds: float) -> None:
        del reading, seconds
        self.readings += uuid == self.uuid
        if self.readings >= _SWEEPS:
            self.enough.set()

    def inspected(self, uuid: str, health: Health) -> None:
        pass

    def used_by(self, uuid: str, processes: Sequence[Process]) -> None:
        pass

    def failed(self, gpu: Gpu | None, error: DeviceError) -> None:
        raise AssertionError(f"{gpu}: {error}")

    def recovered(self, gpu: Gpu | None) -> None:
        pass

    def restarted(self, reason: str) -> None:
        raise AssertionError(reason)


async def _measure() -> Sweeps:
    sink = _Count()
    settings = Devices.model_validate({"interval": f"{_INTERVAL_SECONDS}s", "processes": False})
    running = asyncio.create_task(HardwareSource(settings).run(sink))
    await asyncio.sleep(_WARM_UP_SECONDS)
    sink.readings = 0
    (worker,) = children(os.getpid())
    began = time.process_time() + cpu_seconds(worker)
    await sink.enough.wait()
    spent = time.process_time() + cpu_seconds(worker) - began
    running.cancel()
    await asyncio.wait([running])
    return Sweeps(spent / _SWEEPS, await _bare())


async def _bare() -> float:
    smi = importlib.import_module("amdsmi")
    smi.amdsmi_init()
    handles = smi.amdsmi_get_processor_handles()
    began = time.process_time()
    for _ in range(_SWEEPS):
        await asyncio.sleep(_INTERVAL_SECONDS)
        for handle in handles:
            smi.amdsmi_get_gpu_metrics_info(handle)
            smi.amdsmi_get_gpu_memory_usage(handle, smi.AmdSmiMemoryType.VRAM)
    return (time.process_time() - began) / _SWEEPS


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(_measure()))))
