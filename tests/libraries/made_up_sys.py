"""A made-up node of MI300X GPUs: the files that the Linux driver would show under /sys, and nothing more.

Node(gpus=[MadeUpGpu.example(index) for index in range(8)], mode="CPX", revision="1.8").write(tmp_path / "sys")

What stands where follows the driver (amdgpu_xcp.c, kfd_topology.c, amdgpu_pm.c, amdgpu_ras.c): each package is a PCI
device with a DRM card, a render node and a hwmon; seven platform devices beside it, `amdgpu_xcp_*`, hold the DRM nodes
of further partitions, in SPX too; KFD has one topology node for each partition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.libraries.gpu_metrics import pack, pack_partition
from tests.libraries.made_up_gpu import (
    CARDS_EACH,
    DEVICE,
    HIVE,
    PARTITIONS,
    PCI_CLASS,
    VENDOR,
    VRAM_TOTAL,
    MadeUpGpu,
    card_minor,
    device_folder,
    partition_folder,
    render_minor,
)
from tests.libraries.made_up_kfd import write_kfd
from tests.libraries.tree import Tree

__all__ = ["PARTITIONS", "MadeUpGpu", "Node", "render_nodes"]

DRIVER_VERSION = "6.14.14"
VBIOS_VERSION = "113-M3000100-102"
MODEL = "AMD Instinct MI300X OAM"
_DRM_MAJOR = 226
_RAS_BLOCKS = ("umc", "sdma", "gfx", "mmhub", "athub", "pcie_bif", "hdp", "xgmi_wafl")
"""By the bit that says that a block counts errors (`enum amdgpu_ras_block`)."""


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
        tree = Tree(root)
        tree.text("module/amdgpu/version", DRIVER_VERSION)
        tree.text("module/amdgpu/initstate", "live")
        tree.folder("bus/pci/drivers/amdgpu")
        tree.folder("class/drm")
        for found_empty in ("class/hwmon", "class/net", "class/scsi_host"):
            tree.folder(found_empty)
        tree.text("class/drm/version", "drm 1.1.0 20060810")
        self._write_display(tree)
        for index in range(len(self.gpus)):
            self._write_package(tree, index)
            self._write_partitions(tree, index)
        write_kfd(tree, self.gpus, self.partitions, xcd_ids=self.xcd_ids_in_kfd)

    def update(self, root: Path, index: int, gpu: MadeUpGpu) -> None:
        """Writes anew what changes from reading to reading on one GPU, each file whole at once as the driver does."""
        device = root / device_folder(gpu.bdf)
        for name, data in self._live(gpu).items():
            fresh = device / f"{name}.new"
            fresh.write_bytes(data)
            fresh.rename(device / name)
        for partition in range(1, self.partitions):
            metrics = root / partition_folder(index, partition) / "xcp/xcp_metrics"
            metrics.write_bytes(pack_partition(gpu.telemetry, self.revision, partition, self.partitions))

    def _live(self, gpu: MadeUpGpu) -> dict[str, bytes]:
        return {
            "gpu_metrics": pack(gpu.telemetry, self.revision, self.partitions),
            "xcp/xcp_metrics": pack_partition(gpu.telemetry, self.revision, 0, self.partitions),
            "mem_info_vram_used": f"{gpu.vram_used}\n".encode(),
            "gpu_busy_percent": f"{gpu.telemetry.average_gfx_activity}\n".encode(),
            "mem_busy_percent": f"{gpu.telemetry.average_umc_activity}\n".encode(),
        }

    def _write_display(self, tree: Tree) -> None:
        """The card of the board's management controller, which takes card0 on such machines."""
        device = device_folder("0000:03:00.0")
        tree.text(f"{device}/vendor", "0x1a03")
        tree.text(f"{device}/device", "0x2000")
        tree.text(f"{device}/class", "0x030000")
        tree.text(f"{device}/drm/card0/dev", f"{_DRM_MAJOR}:0")
        tree.link("class/drm/card0", f"{device}/drm/card0")
        tree.link(f"{device}/drm/card0/device", device)
        tree.link("bus/pci/devices/0000:03:00.0", device)

    def _write_package(self, tree: Tree, index: int) -> None:
        gpu = self.gpus[index]
        device = device_folder(gpu.bdf)
        facts = {
            "vendor": f"{VENDOR:#06x}",
            "device": f"{DEVICE:#06x}",
            "subsystem_vendor": f"{VENDOR:#06x}",
            "subsystem_device": f"{DEVICE:#06x}",
            "revision": "0x00",
            "class": f"{PCI_CLASS:#08x}",
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
            "xgmi_hive_info/xgmi_hive_id": str(HIVE),
            "xgmi_device_id": str(HIVE + index),
            "ras/features": f"feature mask: {sum(1 << _RAS_BLOCKS.index(block) for block in gpu.ecc):#x}",
            "ras/gpu_vram_bad_pages": "0x00000001 : 0x00001000 : R",
            "uevent": f"DRIVER=amdgpu\nPCI_CLASS={PCI_CLASS:X}\nPCI_ID={VENDOR:04X}:{DEVICE:04X}\n"
            f"PCI_SUBSYS_ID={VENDOR:04X}:{DEVICE:04X}\nPCI_SLOT_NAME={gpu.bdf}",
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
        _drm_nodes(tree, device, card_minor(index, 0), render_minor(index, 0))

    def _write_partitions(self, tree: Tree, index: int) -> None:
        gpu = self.gpus[index]
        for partition in range(1, CARDS_EACH):
            device = partition_folder(index, partition)
            tree.text(f"{device}/uevent", f"DRIVER=\nMODALIAS=platform:{Path(device).name}")
            tree.link(f"{device}/subsystem", "bus/platform")
            if partition < self.partitions:
                metrics = pack_partition(gpu.telemetry, self.revision, partition, self.partitions)
                tree.data(f"{device}/xcp/xcp_metrics", metrics)
            _drm_nodes(tree, device, card_minor(index, partition), render_minor(index, partition))


def _drm_nodes(tree: Tree, device: str, card: int, render: int) -> None:
    for name, minor in ((f"card{card}", card), (f"renderD{render}", render)):
        folder = f"{device}/drm/{name}"
        tree.text(f"{folder}/dev", f"{_DRM_MAJOR}:{minor}")
        tree.text(f"{folder}/uevent", f"MAJOR={_DRM_MAJOR}\nMINOR={minor}\nDEVNAME=dri/{name}\nDEVTYPE=drm_minor")
        tree.link(f"{folder}/device", device)
        tree.link(f"{folder}/subsystem", "class/drm")
        tree.link(f"class/drm/{name}", folder)
        tree.link(f"dev/char/{_DRM_MAJOR}:{minor}", folder)


def _pci_config() -> bytes:
    """Returns the first 64 bytes of configuration space: ids, class and subsystem."""
    config = bytearray(64)
    config[0:4] = VENDOR.to_bytes(2, "little") + DEVICE.to_bytes(2, "little")
    config[9:12] = PCI_CLASS.to_bytes(3, "little")
    config[0x2C:0x30] = config[0:4]
    return bytes(config)


def render_nodes(node: Node) -> list[int]:
    """Returns the minors of the node's render nodes, those of unused partitions included."""
    return [render_minor(index, partition) for index in range(len(node.gpus)) for partition in range(CARDS_EACH)]
