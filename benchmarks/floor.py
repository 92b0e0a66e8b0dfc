"""What it costs to read GPUs and do nothing else: the floor of a node at rest.

python -m benchmarks.floor SECONDS files     the kernel's files of all GPUs, each second
python -m benchmarks.floor SECONDS calls     AMD's library, which the environment names, into the bindings' structure

Prints the part of a core that it took.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from exporter.devices.amdsmi.bindings import candidates
from exporter.devices.amdsmi.structure import Structure

_INTERVAL_SECONDS = 1.0
_FILES = ("gpu_metrics", "mem_info_vram_used")
_GPUS = Path("/sys/bus/pci/drivers/amdgpu")


async def measure(command: Sequence[str], env: Mapping[str, str] | None = None) -> float:
    """Returns the part of a core that a command as above took."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=env)
    told, _ = await process.communicate()
    return float(told)


def _files() -> Callable[[], object]:
    paths = [path for name in _FILES for path in _GPUS.glob(f"*/{name}")]
    return lambda: [path.read_bytes() for path in paths]


def _calls() -> Callable[[], object]:
    smi = next(found for found in candidates() if isinstance(found, ModuleType))
    smi.amdsmi_init()
    handles, structure = smi.amdsmi_get_processor_handles(), Structure(smi)
    kind = smi.AmdSmiMemoryType.VRAM
    return lambda: [(structure.metrics(one), smi.amdsmi_get_gpu_memory_usage(one, kind)) for one in handles]


def _main(seconds: float, what: str) -> None:
    read = _files() if what == "files" else _calls()
    read()
    began, spent = time.monotonic(), time.process_time()
    for beat in range(1, round(seconds / _INTERVAL_SECONDS) + 1):
        time.sleep(max(0.0, began + beat * _INTERVAL_SECONDS - time.monotonic()))
        read()
    print((time.process_time() - spent) / (time.monotonic() - began))


if __name__ == "__main__":
    _main(float(sys.argv[1]), sys.argv[2])
