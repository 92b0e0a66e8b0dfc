"""What the exporter must serve of a made-up node, told from the values that were written into its files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.libraries.gpu_metrics import XCCS
from tests.libraries.made_up_gpu import PARTITIONS, VRAM_TOTAL, MadeUpGpu, card_minor
from tests.libraries.made_up_sys import DRIVER_VERSION, Node
from tests.support.exporter import Metrics

ABSENT_16 = 0xFFFF
"""What a field of 16 bits holds that the firmware does not tell."""
_KIB = 1024
_JOULES = 2.0**-16
_HERTZ = 1e6


class Series(NamedTuple):
    """One line of a scrape."""

    name: str
    labels: dict[str, str]
    value: float


def series(node: Node) -> list[Series]:
    """Returns every series of the node whose value its files determine, the health that is read rarely left out."""
    return [
        Series(name, {"gpu": str(index), "gpu_uuid": f"{gpu.unique_id:016x}", **labels}, value)
        for index, gpu in enumerate(node.gpus)
        for name, labels, value in (*_identity(node, index), *_reading(gpu))
    ]


def health(node: Node) -> list[Series]:
    """Returns the series of what is slow to read."""
    return [
        Series("amdgpu_ecc_errors_total", {"gpu": str(index), "severity": severity}, float(sum(counts)))
        for index, gpu in enumerate(node.gpus)
        for severity, counts in zip(
            ("uncorrectable", "correctable", "deferred"), zip(*gpu.ecc.values(), strict=True), strict=True
        )
    ]


def differences(metrics: Metrics, wanted: list[Series]) -> list[str]:
    """Returns what of these series a scrape lacks, has twice or has otherwise."""
    found = []
    for name, labels, value in wanted:
        values = metrics.values(name, **labels)
        if len(values) != 1 or abs(values[0] - value) > 1e-9 * abs(value):
            found.append(f"{name}{labels}: {values}, written: {value}")
    return found


def _identity(node: Node, index: int) -> Iterator[Series]:
    gpu = node.gpus[index]
    labels = {
        "bdf": gpu.bdf,
        "card": f"card{card_minor(index, 0)}",
        "driver_version": DRIVER_VERSION,
        "compute_partition": node.mode,
        "memory_partition": "NPS1",
    }
    yield Series("amdgpu_info", labels, 1.0)
    yield Series("amdgpu_up", {}, 1.0)
    yield Series("amdgpu_vram_total_bytes", {}, float(VRAM_TOTAL))


def _reading(gpu: MadeUpGpu) -> Iterator[Series]:
    said = gpu.telemetry
    busy = said.average_gfx_activity
    if busy == ABSENT_16:
        yield Series("amdgpu_utilization_ratio", {}, sum(said.gfx_busy_inst) / XCCS / 100)
    else:
        yield Series("amdgpu_utilization_ratio", {}, busy / 100)
    yield Series("amdgpu_vram_used_bytes", {}, float(gpu.vram_used))
    yield Series("amdgpu_memory_controller_utilization_ratio", {}, said.average_umc_activity / 100)
    yield Series("amdgpu_power_watts", {}, float(said.curr_socket_power))
    yield Series("amdgpu_temperature_celsius", {"sensor": "hotspot"}, float(said.temperature_hotspot))
    yield Series("amdgpu_temperature_celsius", {"sensor": "memory"}, float(said.temperature_mem))
    yield Series("amdgpu_temperature_celsius", {"sensor": "vrsoc"}, float(said.temperature_vrsoc))
    yield Series("amdgpu_clock_hertz", {"clock": "gfx"}, sum(said.current_gfxclk) / XCCS * _HERTZ)
    yield Series("amdgpu_clock_hertz", {"clock": "memory"}, said.current_uclk * _HERTZ)
    yield Series("amdgpu_energy_joules_total", {}, said.energy_accumulator * _JOULES)
    yield Series("amdgpu_pcie_replays_total", {}, float(said.pcie_replay_count_acc))
    for name, counters in (("read", said.xgmi_read_data_acc), ("written", said.xgmi_write_data_acc)):
        for link, counter in enumerate(counters):
            yield Series(f"amdgpu_xgmi_{name}_bytes_total", {"link": str(link)}, float(counter * _KIB))


def partitioned(mode: str) -> bool:
    """Returns whether a package has several partitions in this mode."""
    return PARTITIONS[mode] > 1
