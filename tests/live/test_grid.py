from __future__ import annotations

import math

import numpy as np

from exporter.live.grid import Instants, rows
from exporter.report.history.responses import Series

AT = Instants.until(1000.0, 30.0, 10.0)
ABSENT = math.nan


def series(times: list[float], values: list[float]) -> Series:
    return Series({}, np.array(times), np.array(values))


def test_the_last_instant_is_the_one_asked_for_and_the_first_a_whole_number_of_steps_before() -> None:
    assert Instants.until(1000.0, 35.0, 10.0) == AT
    assert (AT.first, AT.last) == (970.0, 1000.0)


def test_each_key_has_its_row_and_what_nobody_tells_is_absent() -> None:
    found = [
        ("b", series([980.0, 1000.0], [3.0, 4.0])),
        ("a", series([970.0], [1.0])),
        ("else", series([970.0], [9.0])),
    ]
    wanted = [[1.0, ABSENT, ABSENT, ABSENT], [ABSENT, 3.0, ABSENT, 4.0], [ABSENT] * 4]
    assert np.array_equal(rows(found, ["a", "b", "c"], AT), wanted, equal_nan=True)
    assert rows([], [], AT).shape == (0, 4)


def test_of_replicas_of_a_scrape_the_highest_value_counts() -> None:
    found = [("a", series([970.0, 980.0], [5.0, 6.0])), ("a", series([980.0, 990.0], [7.0, 1.0]))]
    assert np.array_equal(rows(found, ["a"], AT), [[5.0, 7.0, 1.0, ABSENT]], equal_nan=True)


def test_instants_that_the_engine_moved_stand_where_they_were_asked_for() -> None:
    found = [("a", series([967.0, 977.0, 987.0, 997.0], [1.0, 2.0, 3.0, 4.0]))]
    assert rows(found, ["a"], AT).tolist() == [[1.0, 2.0, 3.0, 4.0]]
