"""On outputs of Slurm 24.11, of which what matters is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exporter.errors import TasksAuthError, TasksError, TasksNetworkError, TasksPayloadError, TasksServerError
from exporter.model import RUNNING
from exporter.tasks.slurm.hostlist import MAX_NAMES, expand
from exporter.tasks.slurm.jobs import Job, JobReader, task_type

RECORDED = Path(__file__).with_name("recorded")


def read(data: bytes, node: str = "gpu-node-1", words: str = "", piece: int = 1000) -> JobReader:
    reader = JobReader(node)
    for start in range(0, len(data), piece):
        reader.feed(data[start : start + piece])
    reader.close(words)
    return reader


def recorded(name: str, node: str = "gpu-node-1") -> dict[str, Job]:
    return {job.job_id: job for job in read((RECORDED / f"{name}.json").read_bytes(), node).jobs}


def changed(**changes: Any) -> list[Job]:
    """What is read of a running job, some of whose fields are others."""
    entry = next(job for job in json.loads((RECORDED / "arrays.json").read_text())["jobs"] if job["job_id"] == 1)
    return read(json.dumps({"jobs": [entry | changes]}).encode()).jobs


def test_a_running_job_has_its_user_account_and_gpus_and_no_end() -> None:
    assert recorded("arrays")["1"] == Job(
        "1", "alice", "biolab", "gpu", "normal", start=1795717825, end=RUNNING, indices=(0, 1)
    )


def test_the_end_of_an_unlimited_job_a_year_ahead_is_none() -> None:
    entries = json.loads((RECORDED / "arrays.json").read_text())["jobs"]
    assert entries[0]["end_time"]["number"] - entries[0]["start_time"]["number"] == 365 * 86400
    assert recorded("arrays")["1"].end == RUNNING


def test_the_end_that_a_time_limit_will_make_is_none_either() -> None:
    assert changed(end_time={"set": True, "infinite": False, "number": 1795717885})[0].end == RUNNING


def test_each_task_of_an_array_has_its_own_id_and_gpu() -> None:
    jobs = recorded("arrays")
    assert [(job.job_id, job.indices) for job in jobs.values()] == [("1", (0, 1)), ("8", (2,)), ("2", (3,))]


def test_a_job_that_waits_holds_nothing_whatever_start_is_foreseen() -> None:
    assert {"3", "4"}.isdisjoint(recorded("arrays"))
    assert changed(job_state=["PENDING"]) == []


def test_a_job_without_gpus_is_passed_over() -> None:
    assert recorded("arrays", "gpu-node-2") == {}


def test_a_suspended_job_keeps_its_gpus() -> None:
    job = recorded("requeued")["8"]
    assert (job.end, job.indices) == (RUNNING, (2,))


def test_on_several_nodes_each_has_its_own_gpus() -> None:
    assert recorded("several-nodes")["9"].indices == (0, 1)
    assert recorded("several-nodes", "gpu-node-2")["9"].indices == (0,)
    assert recorded("several-nodes", "gpu-node-3") == {}


def test_each_component_of_a_heterogeneous_job_is_on_its_own_node() -> None:
    assert "12" in recorded("several-nodes")
    assert "13" not in recorded("several-nodes")
    assert recorded("several-nodes", "gpu-node-2")["13"].indices == (1,)


def test_a_requeued_job_waits_even_while_its_last_run_is_cleared_away() -> None:
    reader = read((RECORDED / "requeued.json").read_bytes())
    assert "1" not in {job.job_id for job in reader.jobs}
    assert "1" in {waiting.job_id for waiting in reader.waiting}


def test_a_job_that_ended_has_its_end_and_no_gpus_any_more() -> None:
    job = recorded("ended")["2"]
    assert (job.start, job.end, job.indices) == (1795717825, 1795717851, None)


def test_the_type_is_the_partition_or_the_qos() -> None:
    job = recorded("arrays")["1"]
    assert [task_type(job, "partition"), task_type(job, "qos")] == ["gpu", "normal"]


@pytest.mark.parametrize(
    ("detail", "indices"),
    [
        (["gpu:2(IDX:0,3)"], (0, 3)),
        (["gpu:mi300x:3(IDX:0-1,7)"], (0, 1, 7)),
        (["gpu:a:1(IDX:0),gpu:b:1(IDX:5),nic:1(IDX:9)"], (0, 5)),
        (["shard:mi300x:4(0/4,4/4)"], ()),
        ([""], ()),
        (["gpu:2(CNT:2)"], None),
        (["gpu:2(IDX:N/A)"], None),
        (["gpu:2(IDX:5)"], None),
        (["gpu:1(IDX:9999)"], None),
        ([], None),
        ([7], None),
        ("gpu:2(IDX:0,3)", None),
    ],
)
def test_gpus_are_told_by_index_or_not_at_all(detail: object, indices: tuple[int, ...] | None) -> None:
    assert changed(gres_detail=detail)[0].indices == indices


def test_without_details_of_nodes_their_list_is_read() -> None:
    assert changed(job_resources=None, nodes="gpu-node-[1,3]", gres_detail=["gpu:1(IDX:4)", "gpu:1(IDX:0)"])[
        0
    ].indices == (4,)


def test_a_cluster_without_jobs_is_an_answer() -> None:
    assert recorded("no-jobs") == {}


def test_an_empty_list_for_want_of_a_controller_is_none() -> None:
    words = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
    with pytest.raises(TasksNetworkError, match=r"Unable to contact slurm controller .*is slurmctld running"):
        read((RECORDED / "no-controller.json").read_bytes(), words=words)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("slurm_load_jobs error: Protocol authentication error", TasksAuthError),
        ("slurm_load_jobs error: Access/permission denied", TasksAuthError),
        ("slurm_load_jobs error: Socket timed out on send/recv operation", TasksNetworkError),
        ("slurm_load_jobs error: something else", TasksServerError),
        ("", TasksNetworkError),
    ],
)
def test_what_scontrol_says_decides_the_kind_of_error(words: str, error: type[TasksError]) -> None:
    with pytest.raises(error):
        read((RECORDED / "no-controller.json").read_bytes(), words=words)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html><body>Log in</body></html>", "a web page"),
        (b"JobId=1 JobName=train UserId=alice(2001)", "not JSON"),
        (b'{"jobs": [{"job_id": 1,', "not JSON, or only a part"),
        (b"[]", "no list of jobs"),
        (b'{"tasks": []}', "no list of jobs"),
        (b'{"jobs": {}}', "no list of jobs"),
        (b'{"jobs": [5]}', "entries that are no jobs"),
        (b'{"jobs": [{"id": 5}]}', "entries that are no jobs"),
        (b'{"jobs": [{"job_id": 5, "job_state": "RUNNING"}]}', "without a list of states"),
    ],
)
def test_what_another_version_or_program_prints_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(TasksPayloadError, match=words):
        read(data)


def test_nothing_at_all_is_no_answer() -> None:
    with pytest.raises(TasksServerError, match="it printed nothing"):
        read(b"")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("gpu1", ["gpu1"]),
        ("gpu[1-3,07],login", ["gpu1", "gpu2", "gpu3", "gpu07", "login"]),
        ("gpu[08-11]", ["gpu08", "gpu09", "gpu10", "gpu11"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
        ("/dev/dri/renderD[128,136]", ["/dev/dri/renderD128", "/dev/dri/renderD136"]),
        ("", []),
        ("gpu[3-1]", []),
        ("gpu[", ["gpu["]),
        (",,", []),
    ],
)
def test_a_list_of_names_is_expanded_in_its_order(text: str, names: list[str]) -> None:
    assert expand(text) == names


def test_a_name_of_the_length_of_a_book_is_none() -> None:
    assert expand("r" * 300 + "[1-9],gpu1") == ["gpu1"]


def test_a_list_without_end_is_cut() -> None:
    assert len(expand("r[0-65535][0-65535][0-65535][0-65535][0-65535]")) == MAX_NAMES
