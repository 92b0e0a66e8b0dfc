from __future__ import annotations

import contextlib
import itertools
import json
import math
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import TasksPayloadError
from exporter.labels import MAX_CHARS
from exporter.model import RUNNING, MalformedTask, Scope, Task, TaskGpu
from exporter.tasks.consumption import parse as module
from exporter.tasks.consumption.parse import AnswerReader
from exporter.tasks.consumption.shapes import MAX_GPUS

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


def read(body: bytes, scope: Scope | None = None, piece: int = 2**16) -> AnswerReader:
    reader = AnswerReader(UTC, scope)
    for start in range(0, len(body), piece):
        reader.feed(body[start : start + piece])
    reader.close()
    return reader


def parse(document: object, scope: Scope | None = None) -> tuple[tuple[Task, ...], tuple[MalformedTask, ...]]:
    reader = read(json.dumps(document).encode(), scope)
    return tuple(reader.tasks), tuple(reader.malformed)


def feed_all(pieces: Iterable[bytes]) -> None:
    reader = AnswerReader(UTC)
    for piece in pieces:
        reader.feed(piece)


def refusal(body: bytes) -> str:
    with pytest.raises(TasksPayloadError) as caught:
        read(body)
    return str(caught.value)


def only_task(entry: dict[str, Any]) -> Task:
    (task,), malformed = parse({"a": entry})
    assert malformed == ()
    return task


def only_malformed(entry: dict[str, Any]) -> MalformedTask:
    """What an entry beside a good one comes to."""
    (good,), (malformed,) = parse({"good": ENTRY, "a": entry})
    assert good.task_id == "good"
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


@pytest.mark.parametrize(
    "end",
    [
        *(None, "", " ", "None", 0, 0.0, "0", "0000-00-00 00:00:00", "0001-01-01T00:00:00Z", "1970-01-01 08:00:00"),
        *("Mon, 01 Jan 0001 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "Wed, 31 Dec 1969 16:00:00 -0800"),
    ],
)
def test_a_task_without_an_end_is_running(end: object) -> None:
    assert only_task(ENTRY | {"end": end}).end == RUNNING
    assert only_task(without("end")).end == RUNNING


def test_a_task_that_is_over_has_its_end() -> None:
    assert only_task(FINISHED).end == END


def test_a_task_may_end_the_second_it_starts() -> None:
    task = only_task(ENTRY | {"end": ENTRY["start"]})
    assert task.start == task.end


@pytest.mark.parametrize(
    ("number", "text"), [(27, "27"), ("27", "27"), (27.0, "27"), (None, ""), ([27], ""), (27.5, "")]
)
def test_the_gpu_number_may_be_number_or_text(number: object, text: str) -> None:
    assert only_task(ENTRY | {"gpus": [{"uuid": UUID, "id": number}]}).gpus == (TaskGpu(UUID, text),)


@pytest.mark.parametrize("memory", [196592, "196592", 196592.0])
def test_memory_may_be_number_or_text(memory: object) -> None:
    assert only_task(ENTRY | {"gpus": [{"uuid": UUID, "memory": memory}]}).gpus[0].memory_mib == 196592


@pytest.mark.parametrize("value", [None, [], "text", 7, {"_type": ["x"], "create_time": {}}])
def test_unusable_details_are_absent_and_cost_the_task_nothing(value: object) -> None:
    task = only_task(ENTRY | {"task": value, "hostname": None})
    assert (task.task_type, task.image, task.hostname) == ("", "", "")


def test_an_id_without_end_costs_nothing() -> None:
    body = json.dumps({"a": ENTRY}).replace("27", "1e999999").encode()
    assert read(body).tasks[0].gpus[0].gpu_id == ""


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


def test_an_end_hours_before_the_start_leaves_the_gpus_at_any_time() -> None:
    malformed = only_malformed(FINISHED | {"start": "Thu, 17 Jul 2025 08:19:32 GMT"})
    assert malformed == MalformedTask("a", "it ends before it starts", (UUID,))


@pytest.mark.parametrize("seconds", [1, 300])
def test_an_end_a_little_before_the_start_is_counted_and_makes_no_gpu_unknown(seconds: int) -> None:
    malformed = only_malformed(FINISHED | {"start": END + seconds})
    assert malformed.gpu_uuids == ()
    assert malformed.reason == "it ends before it starts, and so held nothing"


@pytest.mark.parametrize("start", ["Mon, 01 Jan 0001 00:00:00 GMT", "0001-01-01T00:00:00Z", 0])
def test_a_start_that_stands_for_never_is_unreadable(start: object) -> None:
    assert only_malformed(ENTRY | {"start": start}).reason.startswith("start: expected a date, found ")


@pytest.mark.parametrize("username", [None, "", "  ", ["itrd"]])
def test_a_task_without_a_user_leaves_the_gpus_and_both_bounds(username: object) -> None:
    malformed = only_malformed(FINISHED | {"username": username})
    assert malformed == MalformedTask("a", "it has no username", (UUID,), START, END)


@pytest.mark.parametrize("gpus", [None, [], {}, "APU", [None], [{}], [{"uuid": None}], [{"uuid": "APU-0"}], ["27"]])
def test_a_task_without_a_usable_gpu_is_counted_and_holds_nothing(gpus: object) -> None:
    malformed = only_malformed(ENTRY | {"gpus": gpus})
    assert malformed == MalformedTask("a", "it names no GPU by a usable uuid", (), START, RUNNING)
    assert only_malformed(without("gpus")) == malformed


def test_an_unusable_gpu_beside_a_good_one_is_counted_and_the_good_one_kept() -> None:
    (task,), (malformed,) = parse({"a": ENTRY | {"gpus": [{"uuid": UUID}, {"uuid": "?"}, {}]}})
    assert [gpu.uuid for gpu in task.gpus] == [UUID]
    assert malformed == MalformedTask("a", "2 of its 3 GPUs have no usable uuid", (), START, RUNNING)


def test_a_task_that_names_gpus_without_end_has_the_first_of_them() -> None:
    (task,), (malformed,) = parse({"a": ENTRY | {"gpus": [f"APU-{n:016x}" for n in range(1, 5000)]}})
    assert len(task.gpus) == MAX_GPUS
    assert malformed.reason == f"{4999 - MAX_GPUS} of its 4999 GPUs have no usable uuid"


def test_a_malformed_entry_does_not_touch_the_others() -> None:
    tasks, malformed = parse({"bad": {}, "good": ENTRY})
    assert [task.task_id for task in tasks] == ["good"]
    assert [entry.task_id for entry in malformed] == ["bad"]


GPU = {"uuid": f"APU-{UUID}", "id": 27}
WITHOUT_GPUS = {name: value for name, value in ENTRY.items() if name != "gpus"}


@pytest.mark.parametrize(
    "fields",
    [
        {"gpus": [f"APU-{UUID}"]},
        {"gpus": f"APU-{UUID}"},
        {"gpus": [UUID.upper()]},
        {"gpus": GPU},
        {"gpus": {"uuid": f"APU-{UUID}", "partition": {"mode": "SPX"}}},
        {"gpus": {"27": GPU}},
        {"gpus": {f"APU-{UUID}": {"id": 27}}},
        {"gpus": {"27": f"APU-{UUID}"}},
        {"gpus": {f"APU-{UUID}": 27}},
        {"gpus": [{"gpu_uuid": f"APU-{UUID}"}]},
        {"gpu": GPU},
        {"gpu": [GPU]},
        {"gpu_uuid": f"APU-{UUID}"},
    ],
)
def test_gpus_are_read_in_every_shape_that_cannot_be_mistaken(fields: dict[str, Any]) -> None:
    (gpu,) = only_task(WITHOUT_GPUS | fields).gpus
    assert gpu.uuid == UUID
    assert gpu.gpu_id in {"27", ""}


@pytest.mark.parametrize(
    "document",
    [
        {"data": {"a": ENTRY}},
        {"status": "ok", "result": {"a": ENTRY}, "error": None, "total": 1},
        [ENTRY | {"id": "a"}],
        [ENTRY | {"task_id": "a", "id": 7}],
        {"tasks": [ENTRY | {"id": "a"}], "next": None},
        {"data": ENTRY},  # a task whose id is "data"
    ],
)
def test_an_answer_is_read_in_every_shape_that_cannot_be_mistaken(document: object) -> None:
    (task,), malformed = parse(document)
    assert (task.task_id, task.gpus[0].uuid, malformed) == ("data" if document == {"data": ENTRY} else "a", UUID, ())


def test_an_entry_of_a_list_without_an_id_is_counted_and_its_gpu_unknown() -> None:
    (task,), (malformed,) = parse([ENTRY | {"id": 7}, ENTRY])
    assert task.task_id == "7"
    assert malformed == MalformedTask("", "it has no id", (UUID,), START, RUNNING)


def test_an_id_that_stands_twice_is_two_tasks() -> None:
    body = f'{{"a": {json.dumps(ENTRY)}, "a": {json.dumps(FINISHED | {"username": "nycubme"})}}}'
    assert [task.username for task in read(body.encode()).tasks] == ["itrd", "nycubme"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "expected an object keyed by task id, found a list"),
        (None, "expected an object keyed by task id, found null"),
        ("text", "expected an object keyed by task id, found text"),
        (1, "expected an object keyed by task id, found a number or truth value"),
        ({"a": ENTRY, "status": "ok"}, "expected one object per task id, found text among them"),
        ({"a": ENTRY, "data": {"b": ENTRY}}, "expected tasks or an envelope of them, found both"),
        ({"data": {"a": ENTRY}, "meta": [1]}, "expected one object per task id, found a list among them"),
        ({"data": {"a": ENTRY, "b": 1}}, "expected one object per task id, found a number or truth value among them"),
        ({"data": {"a": ENTRY}, "total": 2}, "expected all tasks, found a page of them"),
        ({"data": [ENTRY | {"id": 1}], "next": "?page=2"}, "expected all tasks, found a page of them"),
        ({"data": []}, "expected tasks, found an empty list"),
        ([[[["a"]]]], "expected one object per task, found a list among them"),
        (["a"], "expected one object per task, found text among them"),
        ({"error": {"code": 500}}, "expected tasks, found objects with none of a task's fields"),
        ({"data": {}}, "expected tasks, found objects with none of a task's fields"),
        (
            {"a": ENTRY | {"gpus": [{"serial": "x"}]}, "b": WITHOUT_GPUS},
            "expected tasks that name their GPUs, found none that names one by a usable uuid",
        ),
    ],
)
def test_what_is_not_made_of_tasks_is_refused_rather_than_read_as_all_free(document: object, words: str) -> None:
    assert refusal(json.dumps(document).encode()) == words


@pytest.mark.parametrize(
    "body", [b"", b'{"a": ', b"9" * 5000, b'{"\xff": {}}', b"{} {}", b'{"a": NaN}', b'{"a": {"b": 1e}}']
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    assert refusal(body) == f"the answer ({len(body)} bytes) is not JSON, or only a part of it"


def test_names_without_end_are_cut_and_told_apart() -> None:
    names = ["x" * 3_000_000 + end for end in "ab"]
    tasks, _ = parse({name: ENTRY | {"username": name, "task": {"image": name}} for name in names})
    for text in ("task_id", "username", "image"):
        cut = {getattr(task, text) for task in tasks}
        assert len(cut) == 2
        assert {len(name) for name in cut} == {MAX_CHARS}


def test_a_text_that_does_not_end_is_refused_before_it_fills_the_memory() -> None:
    pieces = iter([b'{"a": {"username": "', *[b"x" * 2**20] * 40])
    with pytest.raises(TasksPayloadError, match=r"a text, or spaces, of more than 16 MiB"):
        feed_all(pieces)
    assert len(list(pieces)) >= 40 - 2 * module.MAX_TEXT_BYTES / 2**20


def test_a_body_that_does_not_end_is_refused() -> None:
    entries = (b'{"id": %d, "pad": "%s"},' % (number, b"x" * 2**16) for number in itertools.count())
    with pytest.raises(TasksPayloadError, match=r"larger than 64 MiB"):
        feed_all(itertools.chain([b"["], entries))


HERE = Scope("colab-gpu4", frozenset({UUID}))
ELSEWHERE = ENTRY | {"hostname": "colab-gpu1", "gpus": ["APU-00000000000000aa"]}


def test_for_a_node_only_what_concerns_it_is_kept() -> None:
    tasks, malformed = parse(
        {
            "mine": ENTRY,
            "mine, though it says otherwise": ENTRY | {"hostname": "elsewhere"},
            "of this host, and not its GPU": ENTRY | {"gpus": ["APU-00000000000000aa"]},
            "another's": ELSEWHERE,
            "mine, and malformed": ENTRY | {"username": ""},
        },
        HERE,
    )
    assert [task.task_id for task in tasks] == [
        "mine",
        "mine, though it says otherwise",
        "of this host, and not its GPU",
    ]
    assert [entry.task_id for entry in malformed] == ["mine, and malformed"]


def test_of_what_concerns_a_node_not_unusable_entries_are_counted_and_a_few_are_named() -> None:
    strange = {f"{n}": ELSEWHERE | {"username": ""} for n in range(100)}
    reader = read(json.dumps({**strange, "mine": ENTRY | {"username": ""}}).encode(), HERE)
    assert len(reader.malformed) == 10 + 1
    assert reader.malformed[-1].task_id == "mine"
    assert len(reader.malformed) + reader.more_malformed == 101


def test_more_tasks_of_one_node_than_it_can_account_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OF_A_NODE", 100)
    assert len(parse({f"{n}": ENTRY for n in range(100)}, HERE)[0]) == 100
    with pytest.raises(TasksPayloadError, match="names more than 100 tasks of this node"):
        parse({f"{n}": ENTRY for n in range(101)}, HERE)
    assert len(parse({f"{n}": ENTRY for n in range(101)})[0]) == 101


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([UUID, ENTRY["start"]]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from([*ENTRY, "uuid", "id"]), inner),
    max_leaves=30,
)
ENTRIES = st.dictionaries(
    st.text(),
    st.fixed_dictionaries({}, optional={key: JSON | st.just(value) for key, value in ENTRY.items()}),
)


@given(JSON | ENTRIES, st.integers(1, 200))
def test_any_document_is_either_refused_or_each_entry_accounted_for(document: object, piece: int) -> None:
    body = json.dumps(document).encode()
    try:
        reader = read(body, piece=piece)
    except TasksPayloadError:
        with pytest.raises(TasksPayloadError):
            read(body)
        return
    tasks, malformed = reader.tasks, reader.malformed
    assert (tasks, malformed) == ((whole := read(body)).tasks, whole.malformed)
    assert isinstance(document, dict)
    assert {task.task_id for task in tasks} | {entry.task_id for entry in malformed} == {
        key.encode(errors="replace").decode() for key in document
    }
    for task in tasks:
        assert task.username
        assert task.gpus
        assert task.start <= task.end
        task.username.encode()
    for entry in malformed:
        assert entry.start <= entry.end
        assert len(entry.reason) < 120


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:0123456789eE.-\\ua ', max_size=60).map(str.encode))
def test_no_bytes_crash_it(body: bytes) -> None:
    with contextlib.suppress(TasksPayloadError):
        read(body, piece=7)
