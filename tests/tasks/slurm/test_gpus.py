from __future__ import annotations

from pathlib import Path

import pytest

from exporter.errors import TasksServerError
from exporter.tasks.slurm.gpus import NodeGpus, device_files
from tests.libraries.made_up_gpu import MadeUpGpu
from tests.libraries.made_up_sys import Node

NODE = "gpu-node-1"


def made_up(folder: Path, gpus: int = 4, mode: str = "SPX", *, xcd_ids: bool = False) -> tuple[str, list[str]]:
    """A node's /sys, and its GPUs' unique ids."""
    packages = [MadeUpGpu.example(index) for index in range(gpus)]
    Node(packages, mode, xcd_ids_in_kfd=xcd_ids).write(folder / "sys")
    return str(folder / "sys"), [f"{gpu.unique_id:016x}" for gpu in packages]


def gpus(folder: Path, gres_conf: str, sysfs: str) -> NodeGpus:
    (folder / "gres.conf").write_text(gres_conf)
    return NodeGpus(NODE, folder / "gres.conf", sysfs)


def test_an_index_counts_the_device_files_of_gres_conf(tmp_path: Path) -> None:
    sysfs, ids = made_up(tmp_path)
    known = gpus(tmp_path, "NodeName=gpu-node-[1-2] Name=gpu File=/dev/dri/renderD[152,128,136,144]\n", sysfs)
    assert [known.by_index(index) for index in range(5)] == [ids[3], ids[0], ids[1], ids[2], None]
    assert known.by_index(-1) is None


def test_where_slurm_detects_gpus_itself_they_are_in_the_order_of_their_render_nodes(tmp_path: Path) -> None:
    sysfs, ids = made_up(tmp_path)
    assert [gpus(tmp_path, "AutoDetect=rsmi\n", sysfs).by_index(index) for index in range(4)] == ids


def test_each_partition_has_an_index_and_is_its_package(tmp_path: Path) -> None:
    sysfs, ids = made_up(tmp_path, 2, "QPX", xcd_ids=True)
    known = gpus(tmp_path, "Name=gpu File=/dev/dri/renderD[128-131,136-139]", sysfs)
    assert [known.by_index(index) for index in range(8)] == [ids[0]] * 4 + [ids[1]] * 4
    assert known.uuids == set(ids)


def test_what_scripts_are_told_may_be_the_number_of_a_render_node(tmp_path: Path) -> None:
    sysfs, ids = made_up(tmp_path)
    known = gpus(tmp_path, "", sysfs)
    assert [known.by_number(1), known.by_number(136), known.by_number(137)] == [ids[1], ids[1], None]


def test_a_device_file_that_the_kernel_does_not_have_is_no_gpu(tmp_path: Path) -> None:
    sysfs, ids = made_up(tmp_path)
    known = gpus(tmp_path, "Name=gpu File=/dev/nvidia0\nName=gpu File=/dev/dri/renderD[136,200]", sysfs)
    assert [known.by_index(index) for index in range(3)] == [None, ids[1], None]


def test_lines_of_other_nodes_and_other_resources_are_passed_over() -> None:
    text = """
    AutoDetect=off
    NodeName=gpu-node-2 Name=gpu File=/dev/dri/renderD200
    Name=nic File=/dev/mlx5_0
    # Name=gpu File=/dev/dri/renderD999
    nodename=gpu-node-1 NAME=gpu \\
        file="/dev/dri/renderD128"  # the first
    Name=gpu Count=3
    """
    assert device_files(text, NODE) == ["/dev/dri/renderD128"]


def test_a_file_that_is_named_and_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(TasksServerError, match=r"tasks.slurm.gres_conf: .*No such file"):
        NodeGpus(NODE, tmp_path / "none.conf")


def test_a_machine_without_gpus_has_none(tmp_path: Path) -> None:
    known = gpus(tmp_path, "Name=gpu File=/dev/dri/renderD128", str(tmp_path / "nothing"))
    assert known.by_index(0) is None
    assert known.uuids == frozenset()
