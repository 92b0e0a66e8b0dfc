"""A made-up GPU: who it is, where it sits, and what its files are to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests.libraries.gpu_metrics import Telemetry

PARTITIONS = {"SPX": 1, "DPX": 2, "QPX": 4, "CPX": 8}
VRAM_TOTAL = 196_592 << 20
"""Of an MI300X, in bytes."""
VENDOR, DEVICE, PCI_CLASS = 0x1002, 0x74A1, 0x120000
HIVE = 0x4A5B6C7D8E9F
"""The XGMI hive that all GPUs of a node are in."""
CARDS_EACH = 8
"""A package takes so many DRM minors, whatever its mode."""
_BUSES = (0x05, 0x26, 0x46, 0x65, 0x85, 0xA6, 0xC6, 0xE5)


@dataclass(frozen=True)
class MadeUpGpu:
    """One package."""

    bdf: str
    unique_id: int
    xcd_ids: tuple[int, ...]
    """By XCD; what newer drivers show in KFD instead of the socket's id."""
    telemetry: Telemetry = field(default_factory=Telemetry)
    vram_used: int = 48 << 30
    """In bytes."""
    ecc: Mapping[str, tuple[int, int, int]] = field(default_factory=lambda: {"umc": (1, 3, 2), "gfx": (0, 4, 0)})
    """Uncorrectable, correctable and deferred errors by block of the chip."""
    processes: Mapping[int, int] = field(default_factory=dict)
    """Bytes of VRAM held by process id, on the first partition."""

    @classmethod
    def example(cls, index: int) -> MadeUpGpu:
        """Returns a GPU that differs from every other in every value."""
        busy = tuple(10 * index + step for step in (0, 2, 4, 6, 8, 10, 12, 14))
        return cls(
            bdf=f"0000:{_BUSES[index]:02x}:00.0",
            unique_id=0x52F67B3700DCC600 + 0x0101_0000_0001 * index,
            xcd_ids=tuple(0xA1B2_0000_0000_0000 + 0x100 * index + xcd for xcd in range(8)),
            telemetry=Telemetry(
                temperature_hotspot=50 + index,
                temperature_mem=40 + index,
                temperature_vrsoc=60 + index,
                curr_socket_power=300 + 10 * index,
                average_gfx_activity=sum(busy) // 8,
                average_umc_activity=5 + index,
                gfx_busy_inst=busy,
                energy_accumulator=1_000_000_000 * (1 + index),
                pcie_replay_count_acc=5 + index,
                current_uclk=1300 - index,
            ),
            vram_used=(16 + 16 * index) << 30,
        )

    def with_telemetry(self, **changes: int | tuple[int, ...]) -> MadeUpGpu:
        """Returns the same GPU whose firmware says something else."""
        return replace(self, telemetry=replace(self.telemetry, **changes))  # type: ignore[arg-type]


def device_folder(bdf: str) -> str:
    """Returns a PCI device's folder, behind a root port of its own."""
    bus = bdf[5:7]
    return f"devices/pci0000:{bus}/0000:{bus}:01.1/{bdf}"


def partition_folder(index: int, partition: int) -> str:
    """Returns the folder of the platform device that stands for a partition but the first."""
    return f"devices/platform/amdgpu_xcp_{index * (CARDS_EACH - 1) + partition - 1}"


def card_minor(index: int, partition: int) -> int:
    """Returns the number N of cardN; card0 is the display's."""
    return 1 + index * CARDS_EACH + partition


def render_minor(index: int, partition: int) -> int:
    """Returns the number N of renderDN."""
    return 128 + index * CARDS_EACH + partition
