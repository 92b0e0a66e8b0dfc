from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from exporter.devices.sysfs.processes import running
from exporter.devices.sysfs.tree import Tree
from exporter.model import Process
from tests.libraries.made_up_sys import MadeUpGpu, Node

GIB = 2**30
DOCKER = "0::/system.slice/docker-4f9d2a1b7c3e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8.scope\n"
SLURM = "0::/system.slice/slurmstepd.scope/job_4711/step_0/user/task_0\n"


def process(proc: Path, pid: int, *, cgroup: str = "0::/user.slice\n", uid: int = 0, command: str = "python3") -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "cgroup").write_text(cgroup)
    (folder / "comm").write_text(f"{command}\n")
    (folder / "status").write_text(f"Name:\t{command}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")


def found(folder: Path, mode: str = "SPX", **of_gpu: dict[int, int]) -> dict[str, tuple[Process, ...]]:
    gpus = [replace(MadeUpGpu.example(index), processes=of_gpu.get(f"gpu{index}", {})) for index in range(2)]
    Node(gpus, mode).write(folder / "sys")
    told = running(Tree(str(folder / "sys")), str(folder / "sys"), str(folder / "proc"))
    assert told is not None
    return told


def test_who_holds_vram_is_told_by_gpu_most_first(tmp_path: Path) -> None:
    process(tmp_path / "proc", 100, cgroup=DOCKER)
    process(tmp_path / "proc", 200, uid=4_000_000_001, command="jupyter")
    told = found(tmp_path, gpu0={100: 2 * GIB, 200: 3 * GIB}, gpu1={100: GIB})

    assert told == {
        "0000:05:00": (
            Process(200, 3 * GIB, "jupyter", "", "4000000001"),
            Process(100, 2 * GIB, "python3", "4f9d2a1b7c3e", "root"),
        ),
        "0000:26:00": (Process(100, GIB, "python3", "4f9d2a1b7c3e", "root"),),
    }


def test_a_slurm_job_stands_for_its_container(tmp_path: Path) -> None:
    process(tmp_path / "proc", 100, cgroup=SLURM)

    assert found(tmp_path, gpu0={100: GIB})["0000:05:00"][0].container == "4711"


def test_the_partitions_of_a_gpu_are_one(tmp_path: Path) -> None:
    process(tmp_path / "proc", 100)

    assert [one.vram_used_bytes for one in found(tmp_path, "CPX", gpu0={100: GIB})["0000:05:00"]] == [GIB]


def test_a_process_that_holds_nothing_is_not_told(tmp_path: Path) -> None:
    assert found(tmp_path, gpu0={100: 0}) == {"0000:05:00": (), "0000:26:00": ()}


def test_a_process_that_may_not_be_seen_is_told_without_its_owner(tmp_path: Path) -> None:
    assert found(tmp_path, gpu0={100: GIB})["0000:05:00"] == (Process(100, GIB),)


def test_without_kfd_nothing_is_known(tmp_path: Path) -> None:
    assert running(Tree(str(tmp_path)), str(tmp_path), str(tmp_path)) is None
