from __future__ import annotations

import json
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from exporter.errors import UsageError
from exporter.model import RUNNING, Task, TaskGpu
from exporter.speech import speech
from exporter.tasks.listing import Held, as_json, as_table, held

UTC = ZoneInfo("UTC")
NOW = 1_753_113_600.0


def task(user: str, *gpus: str, start: float = -60, end: float = RUNNING, host: str = "colab-gpu1") -> Task:
    uuids = tuple(TaskGpu(f"{int(gpu):016x}", gpu) for gpu in gpus)
    return Task(f"id-{user}", user, "LAB", uuids, NOW + start, NOW + end, host, "project", "image")


def listed(*tasks: Task, users: frozenset[str] = frozenset(), nodes: frozenset[str] = frozenset()) -> list[Held]:
    return held(tasks, NOW, NOW + 1, UTC, users=users, nodes=nodes)


def test_each_gpu_of_a_task_has_a_row_in_the_order_of_its_number() -> None:
    endless = "9" * 5000
    gpus = tuple(TaskGpu(f"{n:016x}", gpu_id) for n, gpu_id in enumerate((endless, "10", "9")))
    rows = listed(replace(task("a"), gpus=gpus), task("b", "2", host="colab-gpu10"))

    assert [(row.hostname, row.gpu_id) for row in rows] == [
        ("colab-gpu1", "9"),
        ("colab-gpu1", "10"),
        ("colab-gpu1", endless),
        ("colab-gpu10", "2"),
    ]


def test_who_is_not_there_any_more_or_yet_is_left_out() -> None:
    assert listed(task("gone", "1", end=0), task("to come", "2", start=1)) == []


def test_a_running_task_has_no_end() -> None:
    (row,) = listed(task("a", "1", start=-60))

    assert (row.start, row.end) == ("2025-07-21T15:59:00+00:00", None)


def test_users_and_nodes_narrow_and_unknown_ones_are_refused_naming_those_there_are() -> None:
    tasks = task("a", "1"), task("b", "2", host="colab-gpu2")

    assert [row.username for row in listed(*tasks, users=frozenset({"b"}))] == ["b"]
    assert [row.username for row in listed(*tasks, nodes=frozenset({"colab-gpu1"}))] == ["a"]
    with pytest.raises(UsageError, match="unknown user c; then there are: a, b"):
        listed(*tasks, users=frozenset({"c"}))
    with pytest.raises(UsageError, match="unknown node x; then there are: colab-gpu1, colab-gpu2"):
        listed(*tasks, nodes=frozenset({"x"}))


@pytest.mark.parametrize("wanted", ["colab-gpu1", "colab-gpu1.example.org", "Colab-GPU1.example.org."])
def test_a_node_goes_by_its_name_with_and_without_its_domain(wanted: str) -> None:
    tasks = task("a", "1"), task("b", "2", host="colab-gpu1.example.org"), task("c", "3", host="colab-gpu10")

    assert [row.username for row in listed(*tasks, nodes=frozenset({wanted}))] == ["a", "b"]
    assert [row.username for row in listed(*tasks[1:], nodes=frozenset({wanted}))] == ["b"]


def test_a_name_without_domain_that_fits_two_nodes_is_neither() -> None:
    tasks = task("a", "1", host="gpu1.example.org"), task("b", "2", host="gpu1.example.net")

    with pytest.raises(UsageError, match=r"unknown node gpu1; then there are: gpu1\.example\.net, gpu1\.example\.org"):
        listed(*tasks, nodes=frozenset({"gpu1"}))


def test_the_table_is_aligned_beside_wide_and_hostile_names() -> None:
    lines = as_table(listed(task("陳怡君", "1"), task("a\x1b[2J\n", "2"), task("itrd", "3")), speech("en")).splitlines()

    assert len(lines) == 4
    assert lines[0].split() == ["NODE", "GPU", "ID", "USER", "TASK", "TYPE", "START", "END", "TASK"]
    assert lines[1].startswith("colab-gpu1  1       陳怡君  LAB        2025-07-21 15:59  running  id-")
    odd = "a\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}"
    assert lines[2].startswith(f"colab-gpu1  2       {odd}  LAB        2025-07-21 15:59  running  id-")
    assert lines[3].startswith("colab-gpu1  3       itrd    LAB        2025-07-21 15:59  running  id-")


def test_the_table_is_in_the_language_of_the_report() -> None:
    head, row = as_table(listed(task("陳怡君", "1")), speech("zh-TW")).splitlines()

    assert head.split() == ["節點", "GPU", "編號", "使用者", "任務類型", "開始時間", "結束時間", "任務"]
    assert "2025-07-21 15:59  執行中" in row


def test_json_has_every_field() -> None:
    (row,) = json.loads(as_json(listed(task("陳怡君", "1"))))

    assert row == {
        "hostname": "colab-gpu1",
        "gpu_id": "1",
        "gpu_uuid": "0000000000000001",
        "username": "陳怡君",
        "task_type": "LAB",
        "start": "2025-07-21T15:59:00+00:00",
        "end": None,
        "task_id": "id-陳怡君",
        "project_uuid": "project",
        "image": "image",
    }
