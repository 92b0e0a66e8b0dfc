from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from exporter import model
from exporter.model import RUNNING, UNALLOCATED, Answer, Hold, MalformedTask, Owner, Task, TaskGpu
from exporter.tasks.ownership import Holdings, owner_of

A, B, C = "a" * 16, "b" * 16, "c" * 16


def task(
    task_id: str,
    *uuids: str,
    start: float = 0,
    end: float = RUNNING,
    user: str = "itrd",
    kind: str = "LAB",
    host: str = "h",
) -> Task:
    return Task(task_id, user, kind, tuple(map(TaskGpu, uuids)), start, end, host)


def holdings(*tasks: Task, malformed: tuple[MalformedTask, ...] = ()) -> Holdings:
    return Holdings(Answer(tasks, malformed, 0.0))


def test_every_interval_on_a_gpu_is_kept_in_order_of_start() -> None:
    late, early, elsewhere = task("1", A, start=50), task("2", A, B, start=10, end=50), task("3", B)
    assert holdings(late, early, elsewhere).holds([A]) == (Hold(10, 50, early), Hold(50, RUNNING, late))


def test_a_task_is_found_by_any_alias_of_the_gpu() -> None:
    one, other = task("1", A, end=5), task("2", B, start=5)
    assert [hold.task for hold in holdings(one, other).holds([A, B])] == [one, other]


def test_a_task_that_names_two_aliases_of_a_gpu_holds_it_once() -> None:
    both = task("1", A, B)
    assert holdings(both).holds([A, B, C]) == (Hold(0, RUNNING, both),)


def test_what_cannot_be_accounted_holds_without_a_task() -> None:
    entry = MalformedTask("1", "it has no username", (A,), 10, 20)
    assert holdings(malformed=(entry,)).holds([A]) == (Hold(10, 20, None),)
    assert holdings(malformed=(MalformedTask("1", "?", (A,)),)).holds([A]) == (Hold(-math.inf, RUNNING, None),)
    assert holdings(malformed=(entry,)).running([A], 15) == ()


def test_a_task_without_duration_holds_nothing() -> None:
    assert holdings(task("1", A, start=5, end=5)).holds([A]) == ()


def test_a_task_runs_from_its_start_until_before_its_end() -> None:
    one = task("1", A, start=10, end=20)
    owners = holdings(one)
    assert [owners.running([A], at) for at in (9.9, 10, 19.9, 20)] == [(), (one,), (one,), ()]


def test_gpus_that_a_running_task_of_this_host_names_and_it_has_not_are_unmatched() -> None:
    owners = holdings(task("1", A, C), task("2", B, host="other"), task("3", B, end=5))
    assert owners.unmatched("h", frozenset({A}), 10) == (C,)
    assert owners.unmatched("h", frozenset({A}), 1) == (B, C)


def test_tasks_on_our_gpus_that_bear_another_hostname_are_mismatched() -> None:
    other = task("1", A, host="other")
    owners = holdings(
        other, task("2", A), task("3", A, host=""), task("4", B, host="other"), task("5", A, host="x", end=5)
    )
    assert owners.mismatched("h", frozenset({A}), 10) == (other,)


def test_nobody_owns_what_no_task_holds() -> None:
    assert owner_of(()) == UNALLOCATED


def test_several_tasks_of_one_user_own_a_gpu() -> None:
    tasks = (task("1", A, kind="WEBAPP"), task("2", A, kind="LAB"), task("3", A, kind=""))
    assert owner_of(tasks) == Owner("itrd", "LAB+WEBAPP", model.Ownership.OWNED)


def test_tasks_of_several_users_share_a_gpu() -> None:
    tasks = (task("1", A, user="nycubme"), task("2", A, user="admin"), task("3", A, user="admin"))
    assert owner_of(tasks) == Owner("admin+nycubme", "LAB", model.Ownership.SHARED)


TASKS = st.builds(
    lambda number, uuids, start, length: task(str(number), *uuids, start=start, end=start + length),
    st.integers(0, 9),
    st.lists(st.sampled_from([A, B, C]), min_size=1),
    st.integers(0, 20),
    st.integers(0, 20) | st.just(RUNNING),
)


@given(st.lists(TASKS, unique_by=lambda task: task.task_id), st.sets(st.sampled_from([A, B, C])), st.integers(0, 45))
def test_running_tasks_are_exactly_those_whose_interval_holds_the_instant(
    tasks: list[Task], aliases: set[str], at: int
) -> None:
    expected = {one.task_id for one in tasks if one.start <= at < one.end and aliases & {gpu.uuid for gpu in one.gpus}}
    running = holdings(*tasks).running(aliases, at)
    assert {one.task_id for one in running} == expected
    assert len(running) == len(expected)
