"""A made-up node of MI300X GPUs: the files that the Linux driver would show under /sys, and nothing more.

Node(gpus=[MadeUpGpu.example(index) for index in range(8)], mode="CPX", revision="1.8").write(tmp_path / "sys")

What stands where follows the driver (amdgpu_xcp.c, kfd_topology.c, amdgpu_pm.c, amdgpu_ras.c): each package is a PCI
device with a DRM card, a render node and a hwmon; seven platform devices beside it, `amdgpu_xcp_*`, hold the DRM nodes
of further partitions, in SPX too; KFD has one topology node for each partition.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.libraries.gpu_metrics import Telemetry, pack, pack_partition, xccs_of

PARTITIONS = {"SPX": 1, "DPX": 2, "QPX": 4, "CPX": 8}
VRAM_TOTAL = 196_592 << 20
"""Of an MI300X, in bytes."""
DRIVER_VERSION = "6.14.14"
VBIOS_VERSION = "113-M3000100-102"
MODEL = "AMD Instinct MI300X OAM"
_BUSES = (0x05, 0x26, 0x46, 0x65, 0x85, 0xA6, 0xC6, 0xE5)
_VENDOR, _DEVICE, _CLASS = 0x1002, 0x74A1, 0x120000
_DRM_MAJOR = 226
_CARDS_EACH = 8
"""A package takes so many DRM minors, whatever its mode."""
_CPU_NODES = 2
"""KFD's topology begins with the sockets of the host."""


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
    """Bytes of VRAM held by process id; on the first partition."""

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
                energy_accumulator=1_000_000_000 + index,
                pcie_replay_count_acc=5 + index,
                current_uclk=1300 - index,
            ),
            vram_used=(16 + 16 * index) << 30,
        )

    def with_telemetry(self, **changes: int | tuple[int, ...]) -> MadeUpGpu:
        """Returns the same GPU whose firmware says something else."""
        return replace(self, telemetry=replace(self.telemetry, **changes))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Node:
    """A machine."""

    gpus: Sequence[MadeUpGpu]
    mode: str = "SPX"
    """Compute partitioning of all GPUs: a key of `PARTITIONS`."""
    revision: str = "1.6"
    """Of `gpu_metrics`."""
    xcd_ids_in_kfd: bool = False
    """KFD shows the ids of the XCDs, as drivers from 2025 on do, instead of the socket's."""

    @property
    def partitions(self) -> int:
        """How many each package has."""
        return PARTITIONS[self.mode]

    def write(self, root: Path) -> None:
        """Writes the tree into an empty or new folder, to be mounted at /sys."""
        tree = _Tree(root)
        tree.text("module/amdgpu/version", DRIVER_VERSION)
        tree.text("module/amdgpu/initstate", "live")
        tree.folder("bus/pci/drivers/amdgpu")
        tree.folder("class/drm")
        tree.folder("class/hwmon")
        tree.text("class/drm/version", "drm 1.1.0 20060810")
        self._write_display(tree)
        for index in range(len(self.gpus)):
            self._write_package(tree, index)
            self._write_partitions(tree, index)
        self._write_topology(tree)
        self._write_processes(tree)

    def update(self, root: Path, index: int, gpu: MadeUpGpu) -> None:
        """Writes anew what changes from reading to reading on one GPU, each file whole at once as the driver does."""
        device = root / _device(gpu.bdf)
        for name, data in self._live(gpu).items():
            fresh = device / f"{name}.new"
            fresh.write_bytes(data)
            fresh.rename(device / name)
        for partition in range(1, self.partitions):
            metrics = root / _platform(index, partition) / "xcp/xcp_metrics"
            metrics.write_bytes(pack_partition(gpu.telemetry, self.revision, partition, self.partitions))

    def kfd_gpu_id(self, index: int, partition: int = 0) -> int:
        """Returns the number by which KFD names a partition."""
        return 1000 + 100 * index + partition

    def _live(self, gpu: MadeUpGpu) -> dict[str, bytes]:
        return {
            "gpu_metrics": pack(gpu.telemetry, self.revision, self.partitions),
            "xcp/xcp_metrics": pack_partition(gpu.telemetry, self.revision, 0, self.partitions),
            "mem_info_vram_used": f"{gpu.vram_used}\n".encode(),
            "gpu_busy_percent": f"{gpu.telemetry.average_gfx_activity}\n".encode(),
            "mem_busy_percent": f"{gpu.telemetry.average_umc_activity}\n".encode(),
        }

    def _write_display(self, tree: _Tree) -> None:
        """The card of the board's management controller, which takes card0 on such machines."""
        device = _device("0000:03:00.0")
        tree.text(f"{device}/vendor", "0x1a03")
        tree.text(f"{device}/device", "0x2000")
        tree.text(f"{device}/class", "0x030000")
        tree.text(f"{device}/drm/card0/dev", f"{_DRM_MAJOR}:0")
        tree.link("class/drm/card0", f"{device}/drm/card0")
        tree.link(f"{device}/drm/card0/device", device)
        tree.link("bus/pci/devices/0000:03:00.0", device)

    def _write_package(self, tree: _Tree, index: int) -> None:
        gpu = self.gpus[index]
        device = _device(gpu.bdf)
        facts = {
            "vendor": f"{_VENDOR:#06x}",
            "device": f"{_DEVICE:#06x}",
            "subsystem_vendor": f"{_VENDOR:#06x}",
            "subsystem_device": f"{_DEVICE:#06x}",
            "revision": "0x00",
            "class": f"{_CLASS:#08x}",
            "numa_node": str(index // 4),
            "local_cpulist": "0-1",
            "unique_id": f"{gpu.unique_id:016x}",
            "mem_info_vram_total": str(VRAM_TOTAL),
            "mem_info_vis_vram_total": str(VRAM_TOTAL),
            "mem_info_vis_vram_used": str(gpu.vram_used),
            "mem_info_gtt_total": str(256 << 30),
            "mem_info_gtt_used": str(24 << 20),
            "mem_info_vram_vendor": "hynix",
            "vbios_version": VBIOS_VERSION,
            "product_name": MODEL,
            "product_number": "102-G30211-0C",
            "serial_number": f"69231200{index:04d}",
            "manufacturer": "AMD",
            "fru_id": "113-AMDG302110C",
            "current_compute_partition": self.mode,
            "available_compute_partition": ", ".join(PARTITIONS),
            "current_memory_partition": "NPS1",
            "available_memory_partition": "NPS1, NPS4",
            "current_link_speed": "32.0 GT/s PCIe",
            "current_link_width": "16",
            "max_link_speed": "32.0 GT/s PCIe",
            "max_link_width": "16",
            "pcie_replay_count": str(gpu.telemetry.pcie_replay_count_acc),
            "pp_dpm_sclk": "0: 132Mhz\n1: 2100Mhz *\n2: 2100Mhz",
            "pp_dpm_mclk": "0: 900Mhz\n1: 1300Mhz *",
            "power_dpm_force_performance_level": "auto",
            "xgmi_hive_info/xgmi_hive_id": str(_HIVE),
            "xgmi_device_id": str(_HIVE + index),
            "ras/features": "feature mask: 0x1",
            "ras/gpu_vram_bad_pages": "0x00000001 : 0x00001000 : R",
            "uevent": f"DRIVER=amdgpu\nPCI_CLASS={_CLASS:X}\nPCI_ID={_VENDOR:04X}:{_DEVICE:04X}\n"
            f"PCI_SUBSYS_ID={_VENDOR:04X}:{_DEVICE:04X}\nPCI_SLOT_NAME={gpu.bdf}",
        }
        for block, (uncorrectable, correctable, deferred) in gpu.ecc.items():
            facts[f"ras/{block}_err_count"] = f"ue: {uncorrectable}\nce: {correctable}\nde: {deferred}"
        for name, text in facts.items():
            tree.text(f"{device}/{name}", text)
        tree.data(f"{device}/config", _pci_config())
        for name, data in self._live(gpu).items():
            tree.data(f"{device}/{name}", data)
        monitor = f"{device}/hwmon/hwmon{index + 2}"
        tree.text(f"{monitor}/name", "amdgpu")
        tree.text(f"{monitor}/power1_input", str(gpu.telemetry.curr_socket_power * 1_000_000))
        tree.text(f"{monitor}/power1_label", "PPT")
        for limit in ("cap", "cap_max", "cap_default"):
            tree.text(f"{monitor}/power1_{limit}", str(750_000_000))
        tree.text(f"{monitor}/power1_cap_min", "0")
        for number, (label, value) in enumerate(
            {"junction": gpu.telemetry.temperature_hotspot, "mem": gpu.telemetry.temperature_mem}.items(), start=2
        ):
            tree.text(f"{monitor}/temp{number}_label", label)
            tree.text(f"{monitor}/temp{number}_input", str(value * 1000))
        tree.link(f"{monitor}/device", device)
        tree.link(f"class/hwmon/hwmon{index + 2}", monitor)
        tree.link(f"{device}/driver", "bus/pci/drivers/amdgpu")
        tree.link(f"{device}/subsystem", "bus/pci")
        tree.link(f"bus/pci/devices/{gpu.bdf}", device)
        tree.link(f"bus/pci/drivers/amdgpu/{gpu.bdf}", device)
        _drm_nodes(tree, device, _card(index, 0), _render(index, 0))

    def _write_partitions(self, tree: _Tree, index: int) -> None:
        gpu = self.gpus[index]
        for partition in range(1, _CARDS_EACH):
            device = _platform(index, partition)
            tree.text(f"{device}/uevent", f"DRIVER=\nMODALIAS=platform:{Path(device).name}")
            tree.link(f"{device}/subsystem", "bus/platform")
            if partition < self.partitions:
                metrics = pack_partition(gpu.telemetry, self.revision, partition, self.partitions)
                tree.data(f"{device}/xcp/xcp_metrics", metrics)
            _drm_nodes(tree, device, _card(index, partition), _render(index, partition))

    def _write_topology(self, tree: _Tree) -> None:
        topology = "devices/virtual/kfd/kfd/topology"
        tree.link("class/kfd/kfd", "devices/virtual/kfd/kfd")
        tree.text(f"{topology}/generation_id", "2")
        tree.text(f"{topology}/system_properties", "platform_oem 0\nplatform_id 0\nplatform_rev 0")
        for number in range(_CPU_NODES):
            tree.text(f"{topology}/nodes/{number}/gpu_id", "0")
            tree.text(f"{topology}/nodes/{number}/name", "")
            tree.text(
                f"{topology}/nodes/{number}/properties", "cpu_cores_count 64\nsimd_count 0\ndomain 0\nunique_id 0"
            )
            _links(tree, f"{topology}/nodes/{number}", number, {})
        number = _CPU_NODES
        for index in range(len(self.gpus)):
            for partition in range(self.partitions):
                folder = f"{topology}/nodes/{number}"
                properties = self._properties(index, partition)
                tree.text(f"{folder}/gpu_id", str(self.kfd_gpu_id(index, partition)))
                tree.text(f"{folder}/name", "ip discovery")
                tree.text(f"{folder}/properties", "\n".join(f"{key} {value}" for key, value in properties.items()))
                size = VRAM_TOTAL // self.partitions
                bank = f"heap_type 1\nsize_in_bytes {size}\nflags 0\nwidth 8192\nmem_clk_max 1300"
                tree.text(f"{folder}/mem_banks/0/properties", bank)
                others = {_CPU_NODES + place: _XGMI for place in range(len(self.gpus) * self.partitions)}
                _links(tree, folder, number, {index // 4: _PCIE} | others)
                number += 1

    def _properties(self, index: int, partition: int) -> dict[str, int]:
        gpu = self.gpus[index]
        xccs = xccs_of(self.partitions)[partition]
        domain, bus, device, function = (int(part, 16) for part in gpu.bdf.replace(".", ":").split(":"))
        # Bits 28 to 31 number the partition where there are several.
        location = bus << 8 | device << 3 | function | partition << 28
        return {
            "cpu_cores_count": 0,
            "simd_count": 38 * 4 * len(xccs),
            "mem_banks_count": 1,
            "caches_count": 200,
            "io_links_count": len(self.gpus),
            "p2p_links_count": 0,
            "cpu_core_id_base": 0,
            "simd_id_base": 2147487744,
            "max_waves_per_simd": 8,
            "lds_size_in_kb": 64,
            "wave_front_size": 64,
            "array_count": 4 * len(xccs),
            "simd_arrays_per_engine": 1,
            "cu_per_simd_array": 10,
            "simd_per_cu": 4,
            "gfx_target_version": 90402,
            "vendor_id": _VENDOR,
            "device_id": _DEVICE,
            "location_id": location,
            "domain": domain,
            "drm_render_minor": _render(index, partition),
            "hive_id": _HIVE,
            "max_engine_clk_fcompute": 2100,
            "local_mem_size": 0,
            "fw_version": 159,
            "unique_id": gpu.xcd_ids[xccs[0]] if self.xcd_ids_in_kfd else gpu.unique_id,
            "num_xcc": len(xccs),
            "max_engine_clk_ccompute": 3700,
        }

    def _write_processes(self, tree: _Tree) -> None:
        tree.folder("devices/virtual/kfd/kfd/proc")
        held = {pid: index for index, gpu in enumerate(self.gpus) for pid in gpu.processes}
        for pid, most in held.items():
            folder = f"devices/virtual/kfd/kfd/proc/{pid}"
            tree.text(f"{folder}/pasid", "32770")
            # The driver gives a process a file for every GPU, those it holds nothing on too.
            for index, gpu in enumerate(self.gpus):
                for partition in range(self.partitions):
                    gpu_id = self.kfd_gpu_id(index, partition)
                    tree.text(f"{folder}/vram_{gpu_id}", str(gpu.processes.get(pid, 0) if partition == 0 else 0))
                    tree.text(f"{folder}/sdma_{gpu_id}", "0")
                    tree.text(f"{folder}/stats_{gpu_id}/cu_occupancy", "0")
                    tree.text(f"{folder}/stats_{gpu_id}/evicted_ms", "0")
            tree.text(f"{folder}/queues/0/gpuid", str(self.kfd_gpu_id(most)))
            tree.text(f"{folder}/queues/0/size", "4096")
            tree.text(f"{folder}/queues/0/type", "2")


_PCIE, _XGMI = 2, 11
"""Types of links in KFD."""
_HIVE = 0x4A5B6C7D8E9F


class _Tree:
    """Files below a folder, named from there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def text(self, path: str, text: str) -> None:
        """Writes a file as the kernel shows one: with a line end."""
        self.data(path, f"{text}\n".encode())

    def data(self, path: str, data: bytes) -> None:
        """Writes a file, world-readable as the driver's are."""
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod(0o444)

    def folder(self, path: str) -> None:
        """Makes an empty folder."""
        (self._root / path).mkdir(parents=True, exist_ok=True)

    def link(self, path: str, target: str) -> None:
        """Makes a relative link, both named from the root."""
        place = self._root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(os.path.relpath(self._root / target, place.parent))


def _device(bdf: str) -> str:
    """Returns a PCI device's folder, behind a root port of its own."""
    bus = bdf[5:7]
    return f"devices/pci0000:{bus}/0000:{bus}:01.1/{bdf}"


def _platform(index: int, partition: int) -> str:
    return f"devices/platform/amdgpu_xcp_{index * (_CARDS_EACH - 1) + partition - 1}"


def _card(index: int, partition: int) -> int:
    return 1 + index * _CARDS_EACH + partition


def _render(index: int, partition: int) -> int:
    return 128 + index * _CARDS_EACH + partition


def _drm_nodes(tree: _Tree, device: str, card: int, render: int) -> None:
    for name, minor in ((f"card{card}", card), (f"renderD{render}", render)):
        folder = f"{device}/drm/{name}"
        tree.text(f"{folder}/dev", f"{_DRM_MAJOR}:{minor}")
        tree.text(f"{folder}/uevent", f"MAJOR={_DRM_MAJOR}\nMINOR={minor}\nDEVNAME=dri/{name}\nDEVTYPE=drm_minor")
        tree.link(f"{folder}/device", device)
        tree.link(f"{folder}/subsystem", "class/drm")
        tree.link(f"class/drm/{name}", folder)
        tree.link(f"dev/char/{_DRM_MAJOR}:{minor}", folder)


def _links(tree: _Tree, node: str, number: int, others: Mapping[int, int]) -> None:
    """The ways from one node of the topology to others, by type."""
    tree.folder(f"{node}/p2p_links")
    tree.folder(f"{node}/io_links")
    for place, (other, kind) in enumerate((other, kind) for other, kind in others.items() if other != number):
        facts = f"type {kind}\nversion_major 0\nversion_minor 0\nnode_from {number}\nnode_to {other}\nweight 15"
        limits = "min_latency 0\nmax_latency 0\nmin_bandwidth 64000\nmax_bandwidth 64000\nflags 1"
        tree.text(f"{node}/io_links/{place}/properties", f"{facts}\n{limits}")


def _pci_config() -> bytes:
    """Returns the first 64 bytes of configuration space: ids, class and subsystem."""
    config = bytearray(64)
    config[0:4] = _VENDOR.to_bytes(2, "little") + _DEVICE.to_bytes(2, "little")
    config[9:12] = _CLASS.to_bytes(3, "little")
    config[0x2C:0x30] = config[0:4]
    return bytes(config)


def render_nodes(node: Node) -> list[int]:
    """Returns the minors of the node's render nodes, those of unused partitions included."""
    return [_render(index, partition) for index in range(len(node.gpus)) for partition in range(_CARDS_EACH)]
