"""The simulated libamd_smi.so: built once, steered by each test.

library = SimulatedLibrary(rocm_home, tmp_path / "control", gpus=8)
os.environ.update(library.env)                     # the real bindings now load it
library[3].load(utilization=(0, 100), period=10.0, duty=0.5)
library[3].fault(Call.METRICS, hang=True)
library[3].patch("pcie_replay_count_acc", 65535)
library.init.error = 34
"""

from __future__ import annotations

import ctypes
import functools
import math
import mmap
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.amdsmi.control import MAX_GPUS, MAX_PATCHES, Call, SimulatedFault, SimulatedGpu, SimulatedNode
from tests.amdsmi.layout import Bindings, field_place, header

__all__ = ["Call", "Gpu", "SimulatedLibrary", "build"]

_SOURCE = Path(__file__).parent.parent / "amdsmi" / "simulated.c"
_STRUCTURES = [
    "amdsmi_version_t",
    "amdsmi_asic_info_t",
    "amdsmi_board_info_t",
    "amdsmi_driver_info_t",
    "amdsmi_vbios_info_t",
    "amdsmi_enumeration_info_t",
    "amdsmi_gpu_metrics_t",
    "amdsmi_error_count_t",
    "amdsmi_retired_page_record_t",
]
_STUBS = """\
#include <stdint.h>
int simulated_enter(void);
void simulated_leave(int *);
#define STUB(name) __attribute__((weak)) uint32_t name(void) \\
    { __attribute__((cleanup(simulated_leave), unused)) int entered = simulated_enter(); return 2; }
"""
VERSION = (26, 0, 2)
"""The library that the installed bindings are for."""


def build(rocm_home: Path) -> None:
    """Compiles `rocm_home`/lib/libamd_smi.so to fit the installed bindings (under a second)."""
    bindings = Bindings()
    (rocm_home / "lib").mkdir(parents=True)
    structures = [bindings.structure(name) for name in _STRUCTURES]
    (rocm_home / "layout.h").write_text(header([*structures, SimulatedNode]))
    stubs = rocm_home / "stubs.c"
    stubs.write_text(_STUBS + "".join(f"STUB({symbol})\n" for symbol in bindings.symbols))
    library = rocm_home / "lib" / "libamd_smi.so"
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{rocm_home}"]
    subprocess.run(["gcc", *flags, str(_SOURCE), str(stubs), "-o", str(library), "-lm"], check=True)


class Gpu:
    """One simulated GPU; `state` has every field of `SimulatedGpu`."""

    def __init__(self, state: SimulatedGpu) -> None:
        self.state: Any = state

    @property
    def uuid(self) -> str:
        """Its unique id, canonical."""
        return f"{self.state.unique_id:016x}"

    def fault(
        self, call: Call, *, error: int = 0, hang: bool = False, crashes: int = 0, delay_seconds: float = 0.0
    ) -> None:
        """What happens to calls of this group from now on; nothing but the call for nothing."""
        fault = self._fault(call)
        fault.delay_us = round(delay_seconds * 1e6)
        fault.crashes = crashes
        fault.error = error
        fault.hang = hang

    def calls(self, call: Call) -> int:
        """How often calls of this group were made, by whatever process."""
        return int(self._fault(call).calls)

    def patch(self, field: str, value: int) -> None:
        """Puts a value into a field of the metrics, as `xcp_stats[0].gfx_busy_inst[3]`, over what is simulated."""
        offset, size = field_place(_metrics(), field)
        free = next(patch for patch in self.state.patches if patch.size == 0 or patch.offset == offset)
        free.offset, free.value = offset, value
        free.size = size

    def absent(self, field: str) -> None:
        """Makes the firmware say that a field is not available."""
        _, size = field_place(_metrics(), field)
        self.patch(field, 2 ** (8 * size) - 1)

    def unpatch(self) -> None:
        """Takes every patch back."""
        for index in range(MAX_PATCHES):
            self.state.patches[index].size = 0

    def load(
        self,
        *,
        utilization: float | tuple[float, float] = 0.0,
        power: float | tuple[float, float] = 150.0,
        vram: int | tuple[int, int] = 0,
        period: float = 0.0,
        duty: float = 0.5,
        phase: float = 0.0,
    ) -> None:
        """Sets a load: constant, or a square wave between (low, high) over CLOCK_MONOTONIC.

        Args:
            utilization: percent.
            power: watts; the energy counter is its exact integral, and goes on from where it was.
            vram: bytes used.
            period: seconds; 0 is constant, at the low values.
            duty: the part of a period that is high.
            phase: a moment at which a high begins.
        """
        now = time.monotonic()
        energy = self.joules(now)
        state = self.state
        state.utilization_low, state.utilization_high = _pair(utilization)
        state.power_low, state.power_high = _pair(power)
        state.vram_low, state.vram_high = _pair(vram)
        state.period, state.duty, state.phase = period, duty, phase
        state.energy_offset += energy - self.joules(now)

    def joules(self, when: float) -> float:
        """The energy counter at a moment of CLOCK_MONOTONIC, while the load is what it is now."""
        state = self.state
        high = (state.power_high - state.power_low) * self._high_seconds(when)
        return float(state.energy_offset + state.power_low * when + high)

    def busy_seconds(self, start: float, end: float) -> float:
        """∫ utilization dt between two moments of CLOCK_MONOTONIC: the truth that a meter should find."""
        state = self.state
        high = self._high_seconds(end) - self._high_seconds(start)
        low = end - start - high
        return float(high * state.utilization_high + low * state.utilization_low) / 100

    def _high_seconds(self, when: float) -> float:
        period, duty = self.state.period, self.state.duty
        if period <= 0:
            return 0.0
        whole = math.floor((when - self.state.phase) / period)
        part = (when - self.state.phase) / period - whole
        return float((whole * duty + min(part, duty)) * period)

    def _fault(self, call: Call) -> Any:
        return self.state.faults[call]


class SimulatedLibrary:
    """A node's simulated library, for processes started with `env`.

    Args:
        rocm_home: where `build` put the library.
        control: the control file to make.
        gpus: how many, up to 64.
    """

    def __init__(self, rocm_home: Path, control: Path, gpus: int = 8) -> None:
        assert gpus <= MAX_GPUS
        self.env = {"ROCM_HOME": str(rocm_home), "SIMULATED_AMDSMI": str(control)}
        control.write_bytes(bytes(ctypes.sizeof(SimulatedNode)))
        with control.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self.node: Any = SimulatedNode.from_buffer(self._memory)
        self.node.version[:] = VERSION
        self.node.gpu_count = gpus
        for index, gpu in enumerate(self):
            gpu.state.unique_id = 0x52F67B3700DCC6F3 + index * 0x0101_0001_0100_1001
            gpu.state.present = True
            gpu.state.partitions = 1
            gpu.state.vram_total = 206_141_652_992
            gpu.load()

    @property
    def init(self) -> SimulatedFault:
        """What happens to `amdsmi_init`."""
        fault: SimulatedFault = self.node.init
        return fault

    def __len__(self) -> int:
        return int(self.node.gpu_count)

    def __getitem__(self, index: int) -> Gpu:
        return Gpu(self.node.gpus[index])

    def __iter__(self) -> Iterator[Gpu]:
        return (self[index] for index in range(len(self)))


@functools.cache
def _metrics() -> type[ctypes.Structure]:
    return Bindings().structure("amdsmi_gpu_metrics_t")


def _pair(value: Any) -> tuple[Any, Any]:
    return value if isinstance(value, tuple) else (value, value)
