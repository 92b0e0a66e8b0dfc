"""When who is expected to scrape next."""

from __future__ import annotations

import math
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from exporter.web.scrapers import Scrapers

SLACK = 0.05
intervals = st.floats(0.3, 120.0)
sweeps = st.sampled_from([0.1, 0.25, 1.0])
jitter = st.lists(st.floats(0.0, 0.01), min_size=3, max_size=20)


def expected_between(scrapers: Scrapers[str], began: float, ended: float, sweep: float) -> list[list[str]]:
    """Whom each sweep between two instants expects before the next."""
    count = math.ceil((ended - began) / sweep)
    return [scrapers.expected(began + n * sweep, began + (n + 1) * sweep) for n in range(count)]


@given(intervals, sweeps, jitter)
def test_who_comes_steadily_is_expected_from_the_third_time_on(
    interval: float, sweep: float, late: list[float]
) -> None:
    scrapers, now = Scrapers[str](), 0.0
    for turn, seconds in enumerate(late):
        came = turn * interval + seconds
        told = expected_between(scrapers, now, came, sweep)
        if turn:
            assert told[-1] == (["prometheus"] if turn >= 2 else [])
        scrapers.came("prometheus", came)
        now = came


@given(intervals, sweeps)
def test_who_comes_no_more_is_expected_for_one_turn_and_then_forgotten(interval: float, sweep: float) -> None:
    scrapers = Scrapers[str]()
    scrapers.came("prometheus", 0.0)
    scrapers.came("prometheus", interval)
    told = expected_between(scrapers, interval, 5 * interval + 1, sweep)

    assert 1 <= told.count(["prometheus"]) <= math.ceil(2 * SLACK / sweep) + 1
    scrapers.came("prometheus", 5 * interval + 1)
    assert not any(expected_between(scrapers, 5 * interval + 1, 20 * interval, sweep))


@given(st.lists(st.floats(0.0, 100.0), max_size=30), sweeps)
def test_however_one_comes_it_is_expected_for_one_turn_after_each_at_most(gaps: list[float], sweep: float) -> None:
    scrapers, now, times_expected = Scrapers[str](), 0.0, 0
    for came in accumulate(gaps):
        times_expected += sum(map(len, expected_between(scrapers, now, came, sweep)))
        scrapers.came("somebody", came)
        now = came

    assert times_expected <= len(gaps) * (math.ceil(2 * SLACK / sweep) + 1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.0, 10.0)), max_size=30), st.floats(0.0, 10.0))
def test_no_one_is_named_twice_at_once(visits: list[tuple[str, float]], until: float) -> None:
    scrapers, now = Scrapers[str](), 0.0
    for who, later in visits:
        now += later
        scrapers.came(who, now)
        told = scrapers.expected(now, now + until)
        assert len(told) == len(set(told))


def test_replicas_of_one_interval_are_told_apart_and_named_in_their_order() -> None:
    scrapers = Scrapers[str]()
    for turn in (0, 15):
        scrapers.came("first", turn + 3.5)
        scrapers.came("second", turn + 3.2)

    assert scrapers.expected(33.0, 34.0) == ["second", "first"]
    assert scrapers.expected(34.0, 35.0) == []


def test_strangers_without_number_are_not_kept_in_mind() -> None:
    scrapers = Scrapers[int]()
    for stranger in range(1000):
        scrapers.came(stranger, float(stranger))

    assert len(scrapers._visits) <= 16


def test_who_was_seen_lately_is_kept_when_strangers_come() -> None:
    scrapers = Scrapers[str]()
    for turn in range(3):
        scrapers.came("prometheus", 15.0 * turn)
        for stranger in range(10):
            scrapers.came(f"{turn} {stranger}", 15.0 * turn + 1)

    assert scrapers.expected(44.5, 45.5) == ["prometheus"]
