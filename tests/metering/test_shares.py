from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metering.shares import Share, shares, slices
from exporter.model import RUNNING, Amounts, Hold, Ownership, Task


def hold(start: float, end: float, user: str = "itrd", task_id: str | None = None) -> Hold:
    return Hold(start, end, Task(task_id or f"{user}-{start}", user, "LAB", (), start, end))


def ramp(instant: float) -> Amounts:
    return Amounts(*(rate * instant for rate in (1.0, 0.5, 0.25, 0.125, 1e9, 700.0)))


def seconds(parts: Sequence[Share]) -> dict[tuple[str, Ownership], float]:
    return {(part.task.username if part.task else "", part.ownership): part.seconds for part in parts}


def test_time_nobody_holds_is_unallocated() -> None:
    assert seconds(shares(ramp, [], 0, 10)) == {("", Ownership.UNALLOCATED): 10}


def test_time_without_an_answer_is_unknown() -> None:
    assert seconds(shares(ramp, None, 0, 10)) == {("", Ownership.UNKNOWN): 10}


def test_time_splits_at_the_second_a_task_starts_and_ends() -> None:
    assert seconds(shares(ramp, [hold(3, 7.5)], 0, 10)) == {
        ("", Ownership.UNALLOCATED): 5.5,
        ("itrd", Ownership.OWNED): 4.5,
    }


def test_a_running_task_holds_until_the_end_of_the_window() -> None:
    assert seconds(shares(ramp, [hold(-math.inf, RUNNING)], 0, 10)) == {("itrd", Ownership.OWNED): 10}


def test_back_to_back_tasks_leave_nothing_between_them() -> None:
    assert seconds(shares(ramp, [hold(0, 4, "a"), hold(4, 10, "b")], 0, 10)) == {
        ("a", Ownership.OWNED): 4,
        ("b", Ownership.OWNED): 6,
    }


def test_several_users_share_an_instant_equally_and_are_told_apart_from_sole_ownership() -> None:
    assert seconds(shares(ramp, [hold(0, 10, "a"), hold(6, 10, "b")], 0, 10)) == {
        ("a", Ownership.OWNED): 6,
        ("a", Ownership.SHARED): 2,
        ("b", Ownership.SHARED): 2,
    }


def test_two_tasks_of_one_user_own_the_gpu_together() -> None:
    parts = shares(ramp, [hold(0, 10, "a", "1"), hold(0, 10, "a", "2")], 0, 10)

    assert [(part.ownership, part.seconds) for part in parts] == [(Ownership.OWNED, 5.0)] * 2


def test_a_task_listed_twice_counts_once() -> None:
    assert seconds(shares(ramp, [hold(0, 10, "a", "1"), hold(0, 10, "a", "1")], 0, 10)) == {("a", Ownership.OWNED): 10}


def test_an_id_that_two_users_bear_at_once_is_two_tasks() -> None:
    assert seconds(shares(ramp, [hold(0, 10, "a", "1"), hold(0, 10, "b", "1")], 0, 10)) == {
        ("a", Ownership.SHARED): 5,
        ("b", Ownership.SHARED): 5,
    }


def test_an_id_that_is_used_again_is_another_task() -> None:
    parts = shares(ramp, [hold(0, 4, "a", "1"), hold(6, 10, "a", "1")], 0, 10)

    assert [part.seconds for part in parts if part.task] == [4, 4]


def test_a_hold_that_cannot_be_told_is_unknown_where_no_task_holds() -> None:
    assert seconds(shares(ramp, [Hold(2, 8, None), hold(6, 10)], 0, 10)) == {
        ("", Ownership.UNALLOCATED): 2,
        ("", Ownership.UNKNOWN): 4,
        ("itrd", Ownership.OWNED): 4,
    }


def test_a_task_without_duration_holds_nothing() -> None:
    assert seconds(shares(ramp, [hold(5, 5)], 0, 10)) == {("", Ownership.UNALLOCATED): 10}


def test_an_empty_window_has_no_shares() -> None:
    assert shares(ramp, [hold(0, 10)], 5, 5) == []
    assert shares(ramp, None, 5, 5) == []


instants = st.integers(-5, 25).map(float)
holds = st.lists(
    st.builds(
        lambda start, length, user, told: (
            hold(start, start + length, user) if told else Hold(start, start + length, None)
        ),
        instants,
        st.integers(0, 30).map(float) | st.just(RUNNING),
        st.sampled_from("abc"),
        st.booleans(),
    ),
    max_size=8,
)


def bent(bends: list[tuple[float, float]]) -> Callable[[float], Amounts]:
    """Counters that grow at a rate of their own in each of the stretches of two seconds."""

    def at(instant: float) -> Amounts:
        return Amounts(
            *(
                sum(rate * min(max(instant - 2 * n, 0.0), 2.0) for n, rate in enumerate(rates))
                for rates in zip(*bends, strict=True)
            ),
        )

    return at


@given(holds, st.lists(st.tuples(*[st.floats(0, 1)] * 6), min_size=12, max_size=12))
def test_shares_sum_to_the_window_and_to_what_accrued(found: list[Hold], bends: list[tuple[float, float]]) -> None:
    at = bent(bends)
    parts = shares(at, found, 1, 21)

    assert sum(part.seconds for part in parts) == pytest.approx(20, abs=1e-9)
    for index, whole in enumerate(at(21).minus(at(1))):
        assert sum(part.amounts[index] for part in parts) == pytest.approx(whole, abs=1e-9)
    assert all(amount >= 0 for part in parts for amount in part.amounts)


@given(holds, instants)
def test_cutting_a_window_in_two_changes_no_share(found: list[Hold], cut: float) -> None:
    cut = min(max(cut, 0.0), 20.0)
    whole = seconds_by_task(shares(ramp, found, 0, 20))
    halves = seconds_by_task(shares(ramp, found, 0, cut) + shares(ramp, found, cut, 20))

    assert halves == pytest.approx(whole)


def seconds_by_task(parts: Sequence[Share]) -> dict[tuple[str, Ownership], float]:
    total: dict[tuple[str, Ownership], float] = {}
    for part in parts:
        key = (part.task.task_id if part.task else "", part.ownership)
        total[key] = total.get(key, 0.0) + part.seconds
    return total


@given(holds)
def test_shares_are_the_sum_of_the_slices(found: list[Hold]) -> None:
    expected: dict[tuple[str, Ownership], float] = {}
    for piece in slices(found, 0, 20):
        for task in piece.holders:
            key = task.task_id if task else "", piece.ownership
            expected[key] = expected.get(key, 0.0) + (piece.end - piece.start) / len(piece.holders)

    assert seconds_by_task(shares(ramp, found, 0, 20)) == pytest.approx(expected)


@given(holds)
def test_slices_follow_each_other_without_gaps(found: list[Hold]) -> None:
    pieces = list(slices(found, 0, 20))

    assert pieces[0].start == 0
    assert pieces[-1].end == 20
    assert all(before.end == after.start for before, after in pairwise(pieces))
