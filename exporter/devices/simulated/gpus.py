"""The simulated GPUs of one node: identity, readings and truth, all pure functions of the workload and Unix time.

Figures are those of an MI300X as far as its data sheet and amd-smi give them; how they follow the load is invented.
Power is linear in utilization, so the energy counter is exact, too. Temperatures, clocks and links do not keep still
while the load does: each wanders about it in a time of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from exporter.devices.simulated.chance import between, fraction, number
from exporter.devices.simulated.shapes import DAY
from exporter.devices.simulated.workload import EPOCH, VRAM_TOTAL_BYTES, Workload
from exporter.model import Amounts, Gpu, Health, Reading

_BUSES = ("05", "26", "46", "65", "85", "a6", "c6", "e5")
_TICKS_PER_SECOND = 1000
_PPT_PART = 0.004
"""Of busy time, throttled at the power limit."""
_THERMAL_PART = 0.0002
"""Of busy time, throttled by the heat of the socket."""
_XGMI_BYTES_PER_BUSY_SECOND = 4e9
"""On each link, about."""
_XGMI_BYTES_PER_SECOND = 2e4
"""On each link while nothing runs, about."""
_WANDER_CELSIUS = 1.5
"""Of a sensor, either way."""
_DROOP = 0.03
"""Of a clock under load, at most."""


@dataclass(frozen=True, slots=True)
class _Traits:
    """In what a GPU differs from the next."""

    idle_watts: float
    busy_watts: float
    """At full utilization, beyond `idle_watts`."""
    warmth_celsius: float
    correctable_errors_per_day: float
    sensors: Mapping[str, _Wander]
    """By name, clocks among them."""
    read_over: Mapping[str, float]
    """By link, how many times what links carry on average."""
    written_over: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Wander:
    """A wave, so that any instant is known without those before it."""

    period_seconds: float
    phase: float

    def at(self, time: float) -> float:
        """Returns where it is at a Unix time, -1 to 1."""
        return math.sin(math.tau * time / self.period_seconds + self.phase)


class SimulatedGpus:
    """What the driver of one node would say; times are Unix seconds since 2024."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.gpus = tuple(_identity(workload.seed, index) for index in range(workload.gpus))
        self._traits = tuple(_traits(workload.seed, index) for index in range(workload.gpus))

    def reading(self, index: int, time: float, taken: float) -> Reading:
        """What a GPU says at a Unix time; `taken` is the reading's own clock."""
        traits = self._traits[index]
        utilization, vram, busy = self.workload.load(index, time)
        since = time - EPOCH
        sensors = {name: wander.at(time) for name, wander in traits.sensors.items()}
        xgmi = busy * _XGMI_BYTES_PER_BUSY_SECOND + since * _XGMI_BYTES_PER_SECOND

        def celsius(sensor: str, rest: float, span: float) -> float:
            return traits.warmth_celsius + rest + span * utilization + _WANDER_CELSIUS * sensors[sensor]

        def droop(clock: str) -> float:
            return 1 - _DROOP * utilization * (1 + sensors[clock]) / 2

        return Reading(
            taken=taken,
            utilization=utilization,
            memory_controller_utilization=0.6 * utilization,
            vram_used_bytes=round(vram),
            power_watts=traits.idle_watts + traits.busy_watts * utilization,
            energy_joules=traits.idle_watts * since + traits.busy_watts * busy,
            temperatures_celsius={
                "hotspot": celsius("hotspot", 0, 50),
                "memory": celsius("memory", 4, 32),
                "vrsoc": celsius("vrsoc", 2, 38),
            },
            clocks_hertz={
                "gfx": (132e6 + 1968e6 * utilization) * droop("gfx"),
                "memory": (900e6 + 400e6 * utilization) * droop("memory clock"),
            },
            throttle_residency={
                "prochot": 0,
                "ppt": int(busy * _PPT_PART * _TICKS_PER_SECOND),
                "socket_thermal": int(busy * _THERMAL_PART * _TICKS_PER_SECOND),
                "vr_thermal": 0,
                "hbm_thermal": 0,
            },
            throttle_ticks=int(since * _TICKS_PER_SECOND),
            xgmi_read_bytes={link: int(xgmi * part) for link, part in traits.read_over.items()},
            xgmi_written_bytes={link: int(xgmi * part) for link, part in traits.written_over.items()},
            pcie_replays=int(since / (100 * DAY)),
        )

    def health(self, index: int, time: float) -> Health:
        """The slow facts of a GPU: a correctable error now and then, and nothing worse."""
        correctable = int(self._traits[index].correctable_errors_per_day * (time - EPOCH) / DAY)
        return Health({"correctable": correctable, "uncorrectable": 0, "deferred": 0}, retired_pages=0)

    def truth(self, index: int, start: float, end: float, idle_threshold: float, vram_held: float) -> Amounts:
        """What accrues on a GPU in [start, end), exactly and as if always observed.

        Args:
            index: of the GPU.
            start: Unix seconds.
            end: Unix seconds.
            idle_threshold: utilization below which the GPU is idle.
            vram_held: bytes used above which an idle GPU holds VRAM.
        """
        traits = self._traits[index]
        amounts = self.workload.amounts(index, start, end, idle_threshold, vram_held)
        energy = traits.idle_watts * amounts.observed_seconds + traits.busy_watts * amounts.busy_seconds
        return amounts._replace(energy_joules=energy)


def _identity(seed: int, index: int) -> Gpu:
    uuid = f"{number(seed, 'uuid', index):016x}"
    return Gpu(
        index=index,
        uuid=uuid,
        aliases=frozenset({uuid}),
        model="AMD Instinct MI300X",
        bdf=f"{index // 8:04x}:{_BUSES[index % 8]}:00.0",
        card=f"card{1 + 8 * index}",
        driver_version="6.12.12",
        vbios_version="022.040.003.043.000001",
        compute_partition="SPX",
        memory_partition="NPS1",
        vram_total_bytes=VRAM_TOTAL_BYTES,
        source="simulated",
    )


def _traits(seed: int, index: int) -> _Traits:
    idle_watts = between(132, 146, seed, "idle watts", index)
    flawed = fraction(seed, "flawed", index) < 0.25
    return _Traits(
        idle_watts=idle_watts,
        busy_watts=between(690, 750, seed, "busy watts", index) - idle_watts,
        warmth_celsius=between(34, 42, seed, "warmth", index),
        correctable_errors_per_day=between(0.05, 1.5, seed, "errors", index) if flawed else 0.0,
        sensors={name: _wander(seed, index, name) for name in ("hotspot", "memory", "vrsoc", "gfx", "memory clock")},
        read_over=_shares_of_links(seed, index, "read"),
        written_over=_shares_of_links(seed, index, "written"),
    )


def _wander(seed: int, index: int, sensor: str) -> _Wander:
    return _Wander(
        between(30, 300, seed, "wander", index, sensor), between(0, math.tau, seed, "wander's phase", index, sensor)
    )


def _shares_of_links(seed: int, index: int, direction: str) -> Mapping[str, float]:
    links = [str(link) for link in range(8) if link != index % 8]
    return {link: between(0.8, 1.2, seed, direction, index, link) for link in links}
