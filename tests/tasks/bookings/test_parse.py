from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from exporter.errors import TasksPayloadError
from exporter.model import RUNNING
from exporter.tasks.bookings.parse import Bookings, parse

ZONE = ZoneInfo("Asia/Taipei")
A, B, C = "52f67b3700dcc6f3", "0cab2c7c9fd3a5f1", "1111111111111111"
HOSTS = f"hosts:\n  gpu1: [{A}, 0x{B.upper()}]\n  gpu2: [{C}]\nbookings:\n"
"""Four lines: bookings begin on line 5."""


def read(*bookings: str) -> Bookings:
    return parse(HOSTS + "".join(f"  - {booking}\n" for booking in bookings), ZONE)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_a_booking_of_gpus_is_a_task_from_begin_to_end() -> None:
    (task,) = read(
        "{user: amy, gpus: [gpu1/0, gpu1/1], from: 2026-11-26 09:00, to: 2026-11-26T12:30:15Z, type: lab, project: p1}"
    ).tasks
    assert (task.username, task.task_type, task.project_uuid, task.hostname) == ("amy", "lab", "p1", "gpu1")
    assert (task.start, task.end) == (at("2026-11-26 01:00"), at("2026-11-26 12:30:15"))
    assert [(gpu.uuid, gpu.gpu_id) for gpu in task.gpus] == [(A, "gpu1/0"), (B, "gpu1/1")]
    assert task.task_id == "amy 2026-11-26 09:00 gpu1/0"


def test_a_booking_of_hosts_has_all_their_gpus_and_no_end_until_it_is_given_one() -> None:
    (task,) = read("{user: amy, hosts: [gpu1, gpu2], from: 2026-11-26, id: b7}").tasks
    assert [gpu.uuid for gpu in task.gpus] == [A, B, C]
    assert (task.start, task.end, task.hostname, task.task_id) == (at("2026-11-25 16:00"), RUNNING, "", "b7")


def test_a_gpu_may_be_named_by_any_spelling_of_its_id() -> None:
    (known, unknown) = read(
        f"{{user: amy, gpus: [GPU-{C}], from: 2026-11-26}}",
        "{user: amy, gpus: [APU-00000000000000ab], from: 2026-11-26}",
    ).tasks
    assert (known.gpus[0].uuid, known.hostname) == (C, "gpu2")
    assert (unknown.gpus[0].uuid, unknown.hostname) == ("00000000000000ab", "")


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "bookings:\n", "hosts:\nbookings: []\n"])
def test_nothing_booked_is_an_answer(text: str) -> None:
    assert parse(text, ZONE) == Bookings((), ())


@pytest.mark.parametrize(
    ("booking", "words", "gpus"),
    [
        ("{user: amy, gpus: [gpu1/0], from: soon}", "line 5: from: expected a time such as .*, found 'soon'", (A,)),
        ("{user: amy, gpus: [gpu1/0]}", "line 5: from: expected when it begins", (A,)),
        ("{user: amy, gpus: [gpu1/0], from: 2026-11-26, to: 2026-11-25}", "line 5: to: expected a time after", (A,)),
        ("{user: amy, gpus: [gpu1/0], from: 2026-11-26, to: 2026-11-26}", "line 5: to: expected a time after", (A,)),
        ("{user: amy, gpus: [gpu1/0], from: 2026-11-26, to: x}", "line 5: to: expected a time such as", (A,)),
        ("{gpus: [gpu1/0], from: 2026-11-26}", "line 5: user: expected a name", (A,)),
        ("{user: '', gpus: [gpu1/0], from: 2026-11-26}", "line 5: user: expected a text", (A,)),
        ("{user: amy, from: 2026-11-26}", "line 5: expected either gpus or hosts", ()),
        ("{user: amy, gpus: [gpu1/0], hosts: [gpu1], from: 2026-11-26}", "line 5: expected either gpus or hosts", ()),
        ("{user: amy, gpus: gpu1/0, from: 2026-11-26}", "line 5: gpus: expected a list", ()),
        ("{user: amy, gpus: [], from: 2026-11-26}", "line 5: expected a GPU or host that has any", ()),
        ("{user: amy, gpus: [gpu1/0, gpu1/7], from: 2026-11-26}", "line 5: gpus: 'gpu1/7': gpu1 has 2 GPUs", (A,)),
        ("{user: amy, gpus: [gpu9/0], from: 2026-11-26}", "line 5: hosts: 'gpu9' is not among", ()),
        ("{user: amy, gpus: [seven], from: 2026-11-26}", "line 5: gpus: expected the unique id of a GPU", ()),
        ("{user: amy, hosts: [gpu9], from: 2026-11-26}", "line 5: hosts: 'gpu9' is not among", ()),
        ("{user: amy, gpu: [gpu1/0], from: 2026-11-26}", "line 5: 'gpu': expected one of the keys user, gpus", ()),
        ("{user: amy, user: bob, gpus: [gpu1/0], from: 2026-11-26}", "line 5: user: stands twice", ()),
        ("amy", "line 5: expected keys and values", ()),
    ],
)
def test_a_booking_that_cannot_be_read_spoils_no_other(booking: str, words: str, gpus: tuple[str, ...]) -> None:
    said = read(booking, "{user: bob, gpus: [gpu2/0], from: 2026-11-26}")
    assert [task.username for task in said.tasks] == ["bob"]
    (bad,) = said.malformed
    assert bad.gpu_uuids == gpus
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(bad.reason)


def test_the_time_of_a_booking_without_a_user_is_bounded_and_of_a_backward_one_is_not() -> None:
    nobodys, backward = read(
        "{gpus: [gpu1/0], from: 2026-11-26 08:00, to: 2026-11-27 08:00}",
        "{user: amy, gpus: [gpu1/1], from: 2026-11-26, to: 2026-11-25}",
    ).malformed
    assert (nobodys.start, nobodys.end) == (at("2026-11-26"), at("2026-11-27"))
    assert (backward.start, backward.end) == (-RUNNING, RUNNING)


def test_a_gpu_that_is_booked_twice_is_shared_and_said() -> None:
    said = read(
        "{user: amy, hosts: [gpu1], from: 2026-11-26 08:00, to: 2026-11-26 12:00}",
        "{user: bob, gpus: [gpu1/1], from: 2026-11-26 11:00, to: 2026-11-26 13:00}",
        "{user: cleo, gpus: [gpu1/1], from: 2026-11-26 13:00, to: 2026-11-26 14:00}",
    )
    assert len(said.tasks) == 3
    (bad,) = said.malformed
    assert bad.reason == "line 6: GPU gpu1/1 is booked by line 5, too: both hold it"
    assert bad.gpu_uuids == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bookings: [", "expected YAML: .*line 1"),
        ("bookings:\n  - a: &x [*x]\n    b: {", "expected YAML"),
        ("[]", "line 1: expected keys and values"),
        ("\nbooking: []", "line 2: 'booking': expected one of the keys hosts, bookings"),
        ("bookings: amy", "line 1: bookings: expected a list"),
        ("hosts: [gpu1]", "line 1: expected keys and values"),
        ("hosts:\n  gpu1: [first]", "line 2: hosts: gpu1: expected the unique id"),
        (f"hosts:\n  gpu1: [{A}]\n  gpu2: [GPU-{A}]", f"line 3: hosts: gpu2: GPU {A} stands at gpu1, too"),
        ("[" * 5000, "expected YAML"),
        ("\0", "expected YAML"),
    ],
)
def test_a_file_that_is_not_made_of_bookings_is_refused_by_line(text: str, words: str) -> None:
    with pytest.raises(TasksPayloadError, match=words):
        parse(text, ZONE)
