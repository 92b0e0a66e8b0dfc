from __future__ import annotations

import json
import math
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import TasksPayloadError
from exporter.model import RUNNING, MalformedTask, Task, TaskGpu
from exporter.tasks.consumption import parse as module

UTC = ZoneInfo("UTC")
UUID = "52f67b3700dcc6f3"
START, END = 1752653972.0, 1752657572.0
ENTRY: dict[str, Any] = {
    "username": "itrd",
    "hostname": "colab-gpu4",
    "gpus": [{"uuid": f"APU-{UUID}", "id": 27, "name": "AMD Instinct MI300X", "memory": 196592}],
    "task": {
        "_type": "WEBAPP",
        "project_uuid": "9d0c",
        "image": "registry.example:5000/myelintek/ollama:0.6.2-rocm",
        "create_time": "Wed, 16 Jul 2025 08:19:30 GMT",
    },
    "start": "Wed, 16 Jul 2025 08:19:32 GMT",
    "end": "",
    "total_seconds": 86399.0,
}
FINISHED = ENTRY | {"end": "Wed, 16 Jul 2025 09:19:32 GMT"}


def parse(document: object) -> tuple[tuple[Task, ...], tuple[MalformedTask, ...]]:
    return module.parse(document, UTC)


def only_task(entry: dict[str, Any]) -> Task:
    (task,), malformed = parse({"a": entry})
    assert malformed == ()
    return task


def only_malformed(entry: dict[str, Any]) -> MalformedTask:
    tasks, (malformed,) = parse({"a": entry})
    assert tasks == ()
    return malformed


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in ENTRY.items() if name != key}


def test_an_answer_of_the_real_server_is_read_in_full() -> None:
    assert parse({"f3c1": ENTRY}) == (
        (
            Task(
                task_id="f3c1",
                username="itrd",
                task_type="WEBAPP",
                gpus=(TaskGpu(UUID, "27", "AMD Instinct MI300X", 196592),),
                start=START,
                end=RUNNING,
                hostname="colab-gpu4",
                project_uuid="9d0c",
                image="registry.example:5000/myelintek/ollama:0.6.2-rocm",
            ),
        ),
        (),
    )


def test_nobody_has_a_gpu_is_an_answer() -> None:
    assert parse({}) == ((), ())


@pytest.mark.parametrize("end", [None, "", " ", "None"])
def test_a_task_without_an_end_is_running(end: object) -> None:
    assert only_task(ENTRY | {"end": end}).end == RUNNING
    assert only_task(without("end")).end == RUNNING


def test_a_task_that_is_over_has_its_end() -> None:
    assert only_task(FINISHED).end == END


def test_a_task_may_end_the_second_it_starts() -> None:
    task = only_task(ENTRY | {"end": ENTRY["start"]})
    assert task.start == task.end


@pytest.mark.parametrize(("number", "text"), [(27, "27"), ("27", "27"), (None, ""), ([27], "")])
def test_the_gpu_number_may_be_number_or_text(number: object, text: str) -> None:
    assert only_task(ENTRY | {"gpus": [{"uuid": UUID, "id": number}]}).gpus == (TaskGpu(UUID, text),)


@pytest.mark.parametrize("memory", [196592, "196592", 196592.0])
def test_memory_may_be_number_or_text(memory: object) -> None:
    assert only_task(ENTRY | {"gpus": [{"uuid": UUID, "memory": memory}]}).gpus[0].memory_mib == 196592


@pytest.mark.parametrize("value", [None, [], "text", 7, {"_type": ["x"], "create_time": {}}])
def test_unusable_details_are_absent_and_cost_the_task_nothing(value: object) -> None:
    task = only_task(ENTRY | {"task": value, "hostname": None})
    assert (task.task_type, task.image, task.hostname) == ("", "", "")


def test_two_spellings_of_a_gpu_in_one_task_are_one_gpu() -> None:
    gpus = [{"uuid": f"APU-{UUID}"}, {"uuid": f"GPU-{UUID.upper()}"}]
    assert only_task(ENTRY | {"gpus": gpus}).gpus == (TaskGpu(UUID),)


def test_all_tasks_of_a_gpu_are_kept() -> None:
    tasks, _ = parse({"a": FINISHED, "b": ENTRY, "c": ENTRY | {"username": "nycubme"}})
    assert [task.task_id for task in tasks] == ["a", "b", "c"]


def test_ids_that_differ_in_spaces_only_are_two_tasks() -> None:
    tasks, malformed = parse({"a": ENTRY, " a": ENTRY})
    assert ([task.task_id for task in tasks], malformed) == (["a", " a"], ())


def test_text_that_cannot_be_encoded_is_replaced() -> None:
    task = only_task(ENTRY | json.loads(r'{"username": "a\ud800b"}'))
    assert task.username == "a?b"


@pytest.mark.parametrize("start", [None, "", "soon", 0])
def test_an_unreadable_start_leaves_the_gpus_and_the_end(start: object) -> None:
    malformed = only_malformed(FINISHED | {"start": start})
    assert (malformed.gpu_uuids, malformed.start, malformed.end) == ((UUID,), -math.inf, END)
    assert malformed.reason.startswith("start: expected a date, found ")


def test_an_unreadable_end_leaves_the_gpus_and_the_start() -> None:
    malformed = only_malformed(ENTRY | {"end": "soon"})
    assert malformed == MalformedTask("a", "end: expected a date or nothing, found 'soon'", (UUID,), START, RUNNING)


def test_an_end_before_the_start_leaves_the_gpus_at_any_time() -> None:
    malformed = only_malformed(FINISHED | {"start": "Thu, 17 Jul 2025 08:19:32 GMT"})
    assert malformed == MalformedTask("a", "it ends before it starts", (UUID,))


@pytest.mark.parametrize("username", [None, "", "  ", ["itrd"]])
def test_a_task_without_a_user_leaves_the_gpus_and_both_bounds(username: object) -> None:
    malformed = only_malformed(FINISHED | {"username": username})
    assert malformed == MalformedTask("a", "it has no username", (UUID,), START, END)


@pytest.mark.parametrize("gpus", [None, [], {}, "APU", [None], [{}], [{"uuid": None}], [{"uuid": "APU-0"}]])
def test_a_task_without_a_usable_gpu_is_counted_and_holds_nothing(gpus: object) -> None:
    malformed = only_malformed(ENTRY | {"gpus": gpus})
    assert malformed == MalformedTask("a", "it names no GPU by a usable uuid", (), START, RUNNING)
    assert only_malformed(without("gpus")) == malformed


def test_an_unusable_gpu_beside_a_good_one_is_counted_and_the_good_one_kept() -> None:
    (task,), (malformed,) = parse({"a": ENTRY | {"gpus": [{"uuid": UUID}, {"uuid": "?"}, {}]}})
    assert [gpu.uuid for gpu in task.gpus] == [UUID]
    assert malformed == MalformedTask("a", "2 of its 3 GPUs have no usable uuid", (), START, RUNNING)


def test_a_malformed_entry_does_not_touch_the_others() -> None:
    tasks, malformed = parse({"bad": {}, "good": ENTRY})
    assert [task.task_id for task in tasks] == ["good"]
    assert [entry.task_id for entry in malformed] == ["bad"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "expected an object keyed by task id, found a list"),
        (None, "expected an object keyed by task id, found null"),
        ("text", "expected an object keyed by task id, found text"),
        (1, "expected an object keyed by task id, found a number or truth value"),
        ({"a": ENTRY, "status": "ok"}, "expected one object per task id, found text among them"),
        ({"tasks": [ENTRY]}, "expected one object per task id, found a list among them"),
        ({"error": {"code": 500}}, "expected tasks, found objects with none of a task's fields"),
        ({"data": {"f3c1": ENTRY}}, "expected tasks, found objects with none of a task's fields"),
    ],
)
def test_what_is_not_made_of_tasks_is_refused_rather_than_read_as_all_free(document: object, words: str) -> None:
    with pytest.raises(TasksPayloadError) as caught:
        parse(document)
    assert str(caught.value) == words


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([UUID, ENTRY["start"]]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from([*ENTRY, "uuid", "id"]), inner),
    max_leaves=30,
)
ENTRIES = st.dictionaries(
    st.text(),
    st.fixed_dictionaries({}, optional={key: JSON | st.just(value) for key, value in ENTRY.items()}),
)


@given(JSON | ENTRIES)
def test_any_document_is_either_refused_or_each_entry_accounted_for(document: object) -> None:
    try:
        tasks, malformed = parse(document)
    except TasksPayloadError:
        return
    assert isinstance(document, dict)
    assert {task.task_id for task in tasks} | {entry.task_id for entry in malformed} == {
        module._encodable(key) for key in document
    }
    for task in tasks:
        assert task.username
        assert task.gpus
        assert task.start <= task.end
        task.username.encode()
    for entry in malformed:
        assert entry.start <= entry.end
        assert len(entry.reason) < 120
