"""Which GPUs the kernel has, and who they are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from exporter.devices.sysfs import read
from exporter.gpu_id import canonical
from exporter.model import Gpu

_BDF = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_AMD = "0x1002"
_MODELS = {
    "0x74a0": "AMD Instinct MI300A",
    "0x74a1": "AMD Instinct MI300X",
    "0x74a2": "AMD Instinct MI308X",
    "0x74a5": "AMD Instinct MI325X",
    "0x74a8": "AMD Instinct MI308X HF",
    "0x74a9": "AMD Instinct MI300X HF",
    "0x74b5": "AMD Instinct MI300X VF",
    "0x74b9": "AMD Instinct MI325X VF",
    "0x74bd": "AMD Instinct MI300X HF VF",
}
"""By PCI device id, as pci.ids and libdrm's amdgpu.ids have them: the names that amdsmi gives, too."""


class Node(NamedTuple):
    """One GPU node of KFD's topology: a package, or one partition of it."""

    address: str
    """The package's: domain, bus and device."""
    gpu_id: str
    unique_id: str | None
    """Canonical."""


class Tree:
    """The kernel's GPUs.

    Args:
        sysfs: where it is mounted.
    """

    def __init__(self, sysfs: str = "/sys") -> None:
        self._drivers = f"{sysfs}/bus/pci/drivers/amdgpu"
        self._nodes = f"{sysfs}/class/kfd/kfd/topology/nodes"
        self._version = f"{sysfs}/module/amdgpu/version"

    def addresses(self) -> list[str]:
        """Returns domain, bus and device of each package that the driver holds, in order; asking touches no GPU.

        One whose metrics cannot be had is among them.
        """
        return [
            bdf.rpartition(".")[0] for bdf in read.names(self._drivers) if _BDF.fullmatch(bdf) and self._is_ours(bdf)
        ]

    def may_have(self, address: str) -> bool:
        """Tells whether a GPU can be at an address that somebody else names: anywhere, if the driver shows none."""
        return os.path.isdir(self.folder(address)) or not self.addresses()  # noqa: PTH112

    def folder(self, address: str) -> str:
        """Returns where the files of a package are."""
        return f"{self._drivers}/{address}.0"

    def identify(self, address: str) -> Gpu:
        """Returns who a package is; its `index` says nothing, and `uuid` is empty where the kernel tells no id."""
        folder = self.folder(address)
        uuid = canonical(read.text(f"{folder}/unique_id"))
        partitions = (node.unique_id for node in self.nodes() if node.address == address)
        return Gpu(
            index=0,
            uuid=uuid or "",
            aliases=frozenset(alias for alias in (uuid, *partitions) if alias),
            model=_MODELS.get(read.text(f"{folder}/device"), "") or read.text(f"{folder}/product_name"),
            bdf=f"{address}.0",
            card=next((name for name in read.names(f"{folder}/drm") if name.startswith("card")), ""),
            driver_version=read.text(self._version) or os.uname().release,
            vbios_version=read.text(f"{folder}/vbios_version"),
            compute_partition=read.text(f"{folder}/current_compute_partition"),
            memory_partition=read.text(f"{folder}/current_memory_partition"),
            vram_total_bytes=read.number(f"{folder}/mem_info_vram_total"),
            source="sysfs",
        )

    def nodes(self) -> Iterator[Node]:
        """Yields KFD's GPU nodes: one a package, or one a partition."""
        for name in read.names(self._nodes):
            gpu_id = read.text(f"{self._nodes}/{name}/gpu_id")
            if gpu_id in {"", "0"}:  # a processor
                continue
            properties = _properties(read.text(f"{self._nodes}/{name}/properties"))
            location = properties.get("location_id", 0)
            # Bits 28 and up of the location number the partition; see amdkfd's kfd_topology.c.
            address = f"{properties.get('domain', 0):04x}:{location >> 8 & 0xFF:02x}:{location >> 3 & 0x1F:02x}"
            yield Node(address, gpu_id, canonical(f"{properties.get('unique_id', 0):016x}"))

    def _is_ours(self, bdf: str) -> bool:
        folder = f"{self._drivers}/{bdf}"
        files = ("gpu_metrics", "unique_id")
        return read.text(f"{folder}/vendor") == _AMD and any(os.path.exists(f"{folder}/{name}") for name in files)  # noqa: PTH110


def _properties(text: str) -> dict[str, int]:
    """Lines of a name and a number; others are passed over."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: number for pair in pairs if len(pair) == 2 and (number := read.whole(pair[1])) is not None}
