"""Rows that are made when they are asked for are the rows of a list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.report.accounting.on_demand import OnDemand
from exporter.report.accounting.rows import TaskRows
from exporter.report.render.columns import largest
from tests.support.reports import sample

PLACES = st.none() | st.integers(-12, 12)


def squares(count: int) -> OnDemand[int]:
    return OnDemand(count, lambda number: number**2)


@given(st.integers(0, 10), PLACES, PLACES, st.none() | st.sampled_from([-3, -1, 1, 2]))
def test_they_are_found_as_those_of_a_list(count: int, start: int | None, stop: int | None, step: int | None) -> None:
    rows, listed = squares(count), [number**2 for number in range(count)]

    assert rows == listed
    assert (len(rows), bool(rows), list(reversed(rows))) == (count, bool(listed), listed[::-1])
    assert rows[start:stop:step] == listed[start:stop:step]


@pytest.mark.parametrize("place", [3, -4])
def test_there_are_no_more_than_there_are(place: int) -> None:
    with pytest.raises(IndexError):
        squares(3)[place]


@given(st.integers(0, 9), st.integers(0, 9))
def test_the_largest_tasks_are_the_same_whether_they_are_made_already_or_not(most: int, first: int) -> None:
    tasks = sample(8).report.tasks[first:]
    in_order = sorted(range(len(tasks)), key=lambda place: -tasks[place].usage.owned_gpu_hours)[:most]
    expected = [tasks[place] for place in sorted(in_order)]

    assert largest(tasks, most) == expected
    assert largest(TaskRows.of(tasks), most) == expected


def test_what_is_known_of_tasks_before_they_are_made_is_what_their_rows_say() -> None:
    tasks = sample(8).report.tasks

    assert isinstance(tasks, TaskRows)
    assert tasks.owned_gpu_hours == [row.usage.owned_gpu_hours for row in tasks]
