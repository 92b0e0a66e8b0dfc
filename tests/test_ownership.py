from __future__ import annotations

import math
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from exporter.model import RUNNING, UNALLOCATED, UNKNOWN, Answer, Hold, MalformedTask, Owner, Ownership, Task, TaskGpu
from exporter.ownership import Holdings, in_force, joint_owner

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


def tasks_of(holding: Iterable[Hold]) -> list[Task]:
    return [hold.task for hold in holding if hold.task is not None]


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


def test_a_task_without_duration_holds_nothing() -> None:
    assert holdings(task("1", A, start=5, end=5)).holds([A]) == ()


def test_a_task_runs_from_its_start_until_before_its_end() -> None:
    one = task("1", A, start=10, end=20)
    holds = holdings(one).holds([A])
    assert [tasks_of(in_force(holds, at)) for at in (9.9, 10, 19.9, 20)] == [[], [one], [one], []]


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


def held_by(*tasks: Task | None) -> list[Hold]:
    return [Hold(0, RUNNING, one) for one in tasks]


def test_nobody_owns_what_nothing_holds() -> None:
    assert joint_owner([]) == UNALLOCATED


def test_whose_a_gpu_is_that_nobody_can_tell_of_is_unknown() -> None:
    assert joint_owner(None) == UNKNOWN


def test_what_only_an_entry_holds_that_cannot_be_accounted_is_unknown_not_free() -> None:
    assert joint_owner(held_by(None)) == UNKNOWN


def test_a_task_owns_a_gpu_though_an_entry_names_it_that_cannot_be_accounted() -> None:
    assert joint_owner(held_by(task("1", A), None)) == Owner("itrd", "LAB", Ownership.OWNED)


def test_several_tasks_of_one_user_own_a_gpu() -> None:
    tasks = held_by(task("1", A, kind="WEBAPP"), task("2", A, kind="LAB"), task("3", A, kind=""))
    assert joint_owner(tasks) == Owner("itrd", "LAB+WEBAPP", Ownership.OWNED)


def test_tasks_of_several_users_share_a_gpu() -> None:
    tasks = held_by(task("1", A, user="nycubme"), task("2", A, user="admin"), task("3", A, user="admin"))
    assert joint_owner(tasks) == Owner("admin+nycubme", "LAB", Ownership.SHARED)


def test_what_falls_to_a_task_is_its_users_and_what_falls_to_none_is_nobodys() -> None:
    assert Owner.of(task("1", A), Ownership.SHARED) == Owner("itrd", "LAB", Ownership.SHARED)
    assert Owner.of(None, Ownership.UNKNOWN) == UNKNOWN


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
    running = tasks_of(in_force(holdings(*tasks).holds(aliases), at))
    assert {one.task_id for one in running} == expected
    assert len(running) == len(expected)
