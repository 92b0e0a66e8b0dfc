from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from exporter.live.idleness import Idleness, idleness, total
from exporter.report.observed import Floats

STEP = 300.0
ABSENT = math.nan


def of(active: list[float], *, observed: float = STEP) -> Idleness:
    """Of a GPU that was active for these parts of consecutive steps."""
    seen = np.cumsum([0.0, *[observed] * len(active)])
    idle = np.cumsum([0.0, *(observed * (1 - part) for part in active)])
    return one(seen, idle)


def one(observed: Floats, idle: Floats) -> Idleness:
    (found,) = idleness(observed[np.newaxis], idle[np.newaxis], STEP)
    return found


def test_a_gpu_is_idle_since_it_was_last_active() -> None:
    assert of([1.0, 0.5, 0.0, 0.0]) == Idleness(2 * STEP, may_be_longer=False)


def test_a_gpu_that_is_active_has_been_idle_for_nothing() -> None:
    assert of([0.0, 0.0, 0.2]) == Idleness(0.0, may_be_longer=False)


def test_one_that_was_idle_all_the_time_may_be_so_for_longer() -> None:
    assert of([0.0, 0.0]) == Idleness(2 * STEP, may_be_longer=True)


def test_a_probe_of_seconds_is_no_use() -> None:
    assert of([1.0, 0.0, 0.04, 0.0]).seconds == 3 * STEP


def test_what_nobody_observed_says_nothing() -> None:
    assert of([0.0, 0.0], observed=0.0) == Idleness(None, may_be_longer=False)
    assert one(np.full(4, ABSENT), np.full(4, ABSENT)).seconds is None


def test_an_exporter_that_was_away_for_a_while_does_not_end_what_it_saw_before_and_after() -> None:
    observed = np.array([0.0, 300.0, ABSENT, ABSENT, 300.0, 600.0])
    idle = np.array([0.0, 0.0, ABSENT, ABSENT, 300.0, 600.0])
    assert one(observed, idle).seconds == STEP


def test_counters_that_begin_anew_tell_of_their_new_life() -> None:
    observed = np.array([5000.0, 5300.0, 200.0, 500.0])
    idle = np.array([100.0, 100.0, 200.0, 500.0])
    assert one(observed, idle).seconds == 2 * STEP


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_nobody_is_idle_for_longer_than_was_looked_at(active: list[float]) -> None:
    found = of(active)
    assert found.seconds is not None
    assert 0 <= found.seconds <= len(active) * STEP
    assert found.may_be_longer is (found.seconds == len(active) * STEP)


def test_a_total_counts_from_nothing_where_the_series_began_and_through_restarts() -> None:
    assert total(np.array([ABSENT, 10.0, 30.0, 5.0, 6.0])) == 10 + 20 + 5 + 1
    assert total(np.array([100.0, 110.0, ABSENT, 120.0])) == 20.0
    assert total(np.array([ABSENT])) == 0.0


def test_a_look_further_back_never_makes_idle_time_less_and_says_whether_it_began_there() -> None:
    for_fifteen_minutes = Idleness(900.0, may_be_longer=True)
    assert for_fifteen_minutes.looked_further(Idleness(900.0, may_be_longer=False)) == Idleness(
        900.0, may_be_longer=False
    )
    assert for_fifteen_minutes.looked_further(Idleness(600.0, may_be_longer=False)) == Idleness(
        900.0, may_be_longer=False
    )
    assert for_fifteen_minutes.looked_further(Idleness(7200.0, may_be_longer=True)) == Idleness(
        7200.0, may_be_longer=True
    )
