"""What KFD, the driver's compute side, shows of a made-up node: its topology, and the processes that use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.libraries.gpu_metrics import xccs_of
from tests.libraries.made_up_gpu import DEVICE, HIVE, VENDOR, VRAM_TOTAL, MadeUpGpu, render_minor
from tests.libraries.tree import Tree

_KFD = "devices/virtual/kfd/kfd"
_SOCKETS = 2
"""The topology begins with the host's."""
_PCIE, _XGMI = 2, 11
"""Types of links."""


def write_kfd(tree: Tree, gpus: Sequence[MadeUpGpu], partitions: int, *, xcd_ids: bool) -> None:
    """Writes /sys/class/kfd.

    Args:
        tree: the node's files.
        gpus: its packages.
        partitions: of each.
        xcd_ids: a node of the topology bears the id of its first XCD, instead of the socket's.
    """
    tree.link("class/kfd/kfd", _KFD)
    tree.text(f"{_KFD}/topology/generation_id", "2")
    tree.text(f"{_KFD}/topology/system_properties", "platform_oem 0\nplatform_id 0\nplatform_rev 0")
    for number in range(_SOCKETS):
        host = {"cpu_cores_count": 64, "simd_count": 0, "domain": 0, "unique_id": 0}
        _write_node(tree, number, 0, host, {})
    places = [(index, partition) for index in range(len(gpus)) for partition in range(partitions)]
    numbers = range(_SOCKETS, _SOCKETS + len(places))
    for number, (index, partition) in zip(numbers, places, strict=True):
        properties = _properties(gpus[index], index, partition, partitions, xcd_ids=xcd_ids)
        links = {index // 4: _PCIE} | {other: _XGMI for other in numbers if other != number}
        _write_node(tree, number, kfd_gpu_id(index, partition), properties, links)
        size = VRAM_TOTAL // partitions
        bank = {"heap_type": 1, "size_in_bytes": size, "flags": 0, "width": 8192, "mem_clk_max": 1300}
        tree.text(f"{_KFD}/topology/nodes/{number}/mem_banks/0/properties", _lines(bank))
    tree.folder(f"{_KFD}/proc")
    for pid in {pid for gpu in gpus for pid in gpu.processes}:
        _write_process(tree, pid, gpus, places)


def kfd_gpu_id(index: int, partition: int = 0) -> int:
    """Returns the number by which KFD names a partition of a package."""
    return 1000 + 100 * index + partition


def _write_node(tree: Tree, number: int, gpu_id: int, properties: Mapping[str, int], links: Mapping[int, int]) -> None:
    folder = f"{_KFD}/topology/nodes/{number}"
    tree.text(f"{folder}/gpu_id", str(gpu_id))
    tree.text(f"{folder}/name", "ip discovery" if gpu_id else "")
    tree.text(f"{folder}/properties", _lines(properties))
    tree.folder(f"{folder}/p2p_links")
    tree.folder(f"{folder}/io_links")
    for place, (other, kind) in enumerate(links.items()):
        link = {"type": kind, "version_major": 0, "version_minor": 0, "node_from": number, "node_to": other}
        limits = {"weight": 15, "min_latency": 0, "max_latency": 0, "min_bandwidth": 64000, "max_bandwidth": 64000}
        tree.text(f"{folder}/io_links/{place}/properties", _lines({**link, **limits, "flags": 1}))


def _properties(gpu: MadeUpGpu, index: int, partition: int, partitions: int, *, xcd_ids: bool) -> dict[str, int]:
    xccs = xccs_of(partitions)[partition]
    domain, bus, device, function = (int(part, 16) for part in gpu.bdf.replace(".", ":").split(":"))
    # Bits 28 to 31 number the partition where there are several.
    location = bus << 8 | device << 3 | function | partition << 28
    return {
        "cpu_cores_count": 0,
        "simd_count": 38 * 4 * len(xccs),
        "mem_banks_count": 1,
        "caches_count": 200,
        "io_links_count": 8,
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
        "vendor_id": VENDOR,
        "device_id": DEVICE,
        "location_id": location,
        "domain": domain,
        "drm_render_minor": render_minor(index, partition),
        "hive_id": HIVE,
        "max_engine_clk_fcompute": 2100,
        "local_mem_size": 0,
        "fw_version": 159,
        "unique_id": gpu.xcd_ids[xccs[0]] if xcd_ids else gpu.unique_id,
        "num_xcc": len(xccs),
        "max_engine_clk_ccompute": 3700,
    }


def _write_process(tree: Tree, pid: int, gpus: Sequence[MadeUpGpu], places: Sequence[tuple[int, int]]) -> None:
    folder = f"{_KFD}/proc/{pid}"
    tree.text(f"{folder}/pasid", "32770")
    # The driver gives a process a file for every GPU, those it holds nothing on too.
    for index, partition in places:
        gpu_id = kfd_gpu_id(index, partition)
        held = gpus[index].processes.get(pid, 0) if partition == 0 else 0
        tree.text(f"{folder}/vram_{gpu_id}", str(held))
        tree.text(f"{folder}/sdma_{gpu_id}", "0")
        tree.text(f"{folder}/stats_{gpu_id}/cu_occupancy", "0")
        tree.text(f"{folder}/stats_{gpu_id}/evicted_ms", "0")
    tree.folder(f"{folder}/queues")


def _lines(facts: Mapping[str, int]) -> str:
    return "\n".join(f"{name} {value}" for name, value in facts.items())
