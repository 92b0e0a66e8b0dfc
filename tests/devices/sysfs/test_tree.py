from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from exporter.devices.sysfs.files import Files
from exporter.devices.sysfs.tree import Tree
from exporter.errors import GpuLostError, ReadFailedError
from exporter.model import Health
from tests.libraries.made_up_sys import PARTITIONS, MadeUpGpu, Node

GPUS = [MadeUpGpu.example(index) for index in range(8)]


def made_up(folder: Path, mode: str = "SPX", *, xcd_ids: bool = False) -> Tree:
    Node(GPUS, mode, "1.8", xcd_ids_in_kfd=xcd_ids).write(folder)
    return Tree(str(folder))


@pytest.mark.parametrize("mode", PARTITIONS)
def test_packages_are_found_in_the_order_of_the_bus_whatever_their_partitions(tmp_path: Path, mode: str) -> None:
    assert made_up(tmp_path, mode).addresses() == [gpu.bdf.removesuffix(".0") for gpu in GPUS]


def test_a_package_is_identified_in_full(tmp_path: Path) -> None:
    found = made_up(tmp_path).identify("0000:26:00")

    assert found.uuid == f"{GPUS[1].unique_id:016x}"
    assert found.bdf == "0000:26:00.0"
    assert found.model == "AMD Instinct MI300X"
    assert found.card == "card9"
    assert found.driver_version == "6.14.14"
    assert found.vbios_version == "113-M3000100-102"
    assert (found.compute_partition, found.memory_partition) == ("SPX", "NPS1")
    assert found.vram_total_bytes == 196_592 * 2**20


@pytest.mark.parametrize("mode", PARTITIONS)
def test_a_package_goes_by_the_ids_of_all_its_partitions(tmp_path: Path, mode: str) -> None:
    found = made_up(tmp_path, mode, xcd_ids=True).identify("0000:05:00")
    each = 8 // PARTITIONS[mode]

    assert found.uuid == f"{GPUS[0].unique_id:016x}"
    assert found.aliases == {found.uuid, *(f"{xcd:016x}" for xcd in GPUS[0].xcd_ids[::each])}


def test_without_a_driver_there_is_no_gpu(tmp_path: Path) -> None:
    assert Tree(str(tmp_path)).addresses() == []


def test_a_device_of_another_maker_is_no_gpu(tmp_path: Path) -> None:
    tree = made_up(tmp_path)
    vendor = Path(tree.folder("0000:26:00")) / "vendor"
    vendor.chmod(0o644)
    vendor.write_text("0x10de\n")

    assert "0000:26:00" not in tree.addresses()


def test_a_gpu_without_metrics_keeps_its_place(tmp_path: Path) -> None:
    tree = made_up(tmp_path)
    (Path(tree.folder("0000:26:00")) / "gpu_metrics").unlink()

    assert tree.addresses().index("0000:46:00") == 2


def test_the_id_is_absent_where_the_kernel_tells_none(tmp_path: Path) -> None:
    gpus = [replace(GPUS[0], unique_id=0)]
    Node(gpus).write(tmp_path)

    assert Tree(str(tmp_path)).identify("0000:05:00").uuid == ""


def test_health_is_summed_over_the_blocks_of_the_chip(tmp_path: Path) -> None:
    files = Files(made_up(tmp_path).folder("0000:05:00"))

    assert files.inspect() == Health({"correctable": 7, "uncorrectable": 1, "deferred": 2}, retired_pages=1)


def test_without_ras_health_is_absent(tmp_path: Path) -> None:
    assert Files(str(tmp_path)).inspect() == Health()


def test_a_gpu_that_is_gone_is_lost(tmp_path: Path) -> None:
    with pytest.raises(GpuLostError, match="gpu_metrics"):
        Files(str(tmp_path / "away")).read()


def test_a_gpu_that_is_there_without_metrics_is_not_lost_but_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ReadFailedError, match="the driver tells nothing of this GPU"):
        Files(str(tmp_path)).read()


@pytest.mark.parametrize("content", [b"", b"\x10", b"\x20\x01\x01\x04short"])
def test_a_table_that_is_none_is_told_as_one_failure(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "gpu_metrics").write_bytes(content)
    with pytest.raises(ReadFailedError, match="gpu_metrics"):
        Files(str(tmp_path)).read()


@pytest.mark.parametrize("content", ["", "what\n", "-1\n"])
def test_vram_that_is_no_number_is_absent_or_implausible(tmp_path: Path, content: str) -> None:
    tree = made_up(tmp_path)
    folder = Path(tree.folder("0000:05:00"))
    (folder / "mem_info_vram_used").chmod(0o644)
    (folder / "mem_info_vram_used").write_text(content)
    found = Files(str(folder)).read()

    assert found.vram_used_bytes in {None, -1}
    assert found.utilization == 0.07
