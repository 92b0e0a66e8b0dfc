"""The source over a stand-in `scontrol`: a script that prints what Slurm printed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from exporter import config
from exporter.errors import TasksAuthError, TasksError, TasksNetworkError, TasksPayloadError, TasksServerError
from exporter.model import RUNNING, Scope
from exporter.tasks.slurm.source import SlurmSource
from exporter.tasks.source import task_source
from tests.libraries.made_up_gpu import MadeUpGpu
from tests.libraries.made_up_sys import Node

RECORDED = Path(__file__).with_name("recorded")
NOW = 1795717860.0
"""A moment after what was recorded."""
IDS = [f"{MadeUpGpu.example(index).unique_id:016x}" for index in range(4)]
SCOPE = Scope("gpu1.example.org", frozenset(IDS))


class Rig:
    """A source, and what its `scontrol` does."""

    def __init__(self, folder: Path, *, timeout: float = 60.0, kind: str = "partition") -> None:
        self.program = folder / "scontrol"
        self.now = NOW
        Node([MadeUpGpu.example(index) for index in range(4)]).write(folder / "sys")
        (folder / "gres.conf").write_text("Name=gpu File=/dev/dri/renderD[128,136,144,152]\n")
        slurm = config.Slurm(
            scontrol=str(self.program),
            node="gpu-node-1",
            gres_conf=folder / "gres.conf",
            type=kind,  # type: ignore[arg-type]
        )
        settings = config.Tasks(source="slurm", slurm=slurm).model_copy(update={"timeout": timeout})
        self.source = SlurmSource(settings, wall=lambda: self.now, sysfs=str(folder / "sys"), folder=folder / "runs")

    def does(self, script: str) -> Rig:
        self.program.write_text(f"#!/bin/sh\n{script}\n")
        self.program.chmod(0o755)
        return self

    def prints(self, name: str) -> Rig:
        return self.does(f"cat {RECORDED / name}.json")


async def test_tasks_of_this_node_bear_user_partition_account_and_its_gpus(tmp_path: Path) -> None:
    rig = Rig(tmp_path).prints("arrays")
    answer = await rig.source.tasks(NOW - 60, NOW + 60, scope=SCOPE)
    first = answer.tasks[0]
    assert [task.task_id for task in answer.tasks] == ["1", "8", "2"]
    assert (first.username, first.task_type, first.project_uuid, first.hostname) == (
        "alice",
        "gpu",
        "biolab",
        "gpu1.example.org",
    )
    assert [(gpu.uuid, gpu.gpu_id) for gpu in first.gpus] == [(IDS[0], "gpu-node-1:0"), (IDS[1], "gpu-node-1:1")]
    assert (first.start, first.end) == (1795717825, RUNNING)
    assert (answer.malformed, answer.clock_offset, answer.about) == ((), None, SCOPE.gpu_uuids)


async def test_of_one_user_only_theirs_are_told(tmp_path: Path) -> None:
    answer = await Rig(tmp_path, kind="qos").prints("arrays").source.tasks(NOW - 60, NOW, username="bob")
    assert {(task.username, task.task_type) for task in answer.tasks} == {("bob", "normal")}


async def test_what_a_job_had_is_known_after_it_ended(tmp_path: Path) -> None:
    rig = Rig(tmp_path).prints("arrays")
    await rig.source.tasks(NOW - 60, NOW, scope=SCOPE)
    rig.prints("ended").now = NOW + 30
    answer = await rig.source.tasks(NOW - 60, NOW + 60, scope=SCOPE)
    assert [task.end for task in answer.tasks if task.task_id == "2"] == [1795717851]
    requeued = [entry for entry in answer.malformed if entry.task_id == "1"]
    assert [(entry.start, entry.end) for entry in requeued] == [(NOW, NOW + 30)]


async def test_nothing_is_remembered_by_a_question_that_fails(tmp_path: Path) -> None:
    rig = Rig(tmp_path).prints("arrays")
    before = await rig.source.tasks(NOW - 60, NOW, scope=SCOPE)
    rig.does("echo '<html>'")
    with pytest.raises(TasksPayloadError):
        await rig.source.tasks(NOW - 60, NOW, scope=SCOPE)
    assert (await rig.prints("arrays").source.tasks(NOW - 60, NOW, scope=SCOPE)).tasks == before.tasks


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        (
            "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1",
            TasksNetworkError,
            "slurmctld",
        ),
        ("echo 'slurm_load_jobs error: Protocol authentication error' >&2; exit 1", TasksAuthError, "munge"),
        ("echo 'scontrol: error: no such option' >&2; exit 1", TasksServerError, "no such option"),
        ("exit 7", TasksServerError, "status 7"),
        ("echo JobId=1", TasksPayloadError, "24.05 or later"),
        ("exit 0", TasksServerError, "printed nothing"),
        ("head -c 300000000 /dev/zero", TasksPayloadError, "JSON"),
    ],
)
async def test_each_failure_has_its_class_and_words(
    tmp_path: Path, script: str, error: type[TasksError], words: str
) -> None:
    with pytest.raises(error, match=words) as raised:
        await Rig(tmp_path).does(script).source.tasks(NOW - 60, NOW)
    assert str(raised.value).startswith("Slurm's controller, asked about gpu-node-1: ")


async def test_a_program_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    child = tmp_path / "child"
    rig = Rig(tmp_path, timeout=5.0).does(f"sleep 3600 & echo $! >{child}; echo '{{'; wait")
    with pytest.raises(TasksNetworkError, match=r"did not end in 5 s \(tasks.timeout\)"):
        await rig.source.tasks(NOW - 60, NOW)
    status = Path("/proc", child.read_text().strip(), "status")
    async with asyncio.timeout(60):
        while status.exists() and "State:\tZ" not in status.read_text():
            await asyncio.sleep(0.01)  # nobody here is told of the end of a grandchild


async def test_a_program_that_closes_its_output_and_hangs_is_ended_too(tmp_path: Path) -> None:
    rig = Rig(tmp_path, timeout=1.0).does("exec >&- 2>&-; sleep 3600")
    with pytest.raises(TasksNetworkError, match="did not end"):
        await rig.source.tasks(NOW - 60, NOW)


async def test_without_the_program_it_is_said_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(TasksNetworkError, match=r"cannot be run .*tasks\.slurm\.scontrol"):
        await Rig(tmp_path).source.tasks(NOW - 60, NOW)


async def test_the_program_is_told_none_of_our_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORTER_TASKS_TOKEN", "hush")
    rig = Rig(tmp_path).does(f"env >{tmp_path / 'seen'}; cat {RECORDED / 'arrays.json'}")
    await rig.source.tasks(NOW - 60, NOW)
    assert "hush" not in (tmp_path / "seen").read_text()
    assert "PATH=" in (tmp_path / "seen").read_text()


def test_the_config_chooses_it_and_it_has_no_past() -> None:
    source = task_source(config.Tasks(source="slurm"))
    assert isinstance(source, SlurmSource)
    assert not source.has_past
    assert os.uname().nodename.partition(".")[0] in source.name
