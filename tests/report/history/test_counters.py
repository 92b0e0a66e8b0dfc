from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.report.history.counters import (
    WIDTH,
    accumulate,
    accumulate_booked,
    births,
    fell_silent,
    merge,
    restarts,
    union,
)
from exporter.report.observed import Floats

JOULES = 5e9
APART = 22.5


def table(*samples: tuple[float, float], rate: float = 0.5) -> Floats:
    """Rows from times and observed seconds; busy and the rest grow with them, energy with time."""
    rows = [(t, seconds, seconds * rate, 0.0, 0.0, seconds * 1e9, JOULES + 100 * t) for t, seconds in samples]
    return np.array(rows, dtype=np.float64).reshape(-1, WIDTH)


def test_between_samples_lies_a_straight_line() -> None:
    track = accumulate(table((100, 1000), (115, 1015)), APART, math.inf)
    assert track.at(106).observed_seconds == pytest.approx(6)
    assert track.at(106).busy_seconds == pytest.approx(3)
    assert track.at(50) == track.at(100)
    assert track.at(500) == track.at(115)


def test_nothing_was_observed_where_there_are_no_samples() -> None:
    track = accumulate(np.empty((0, WIDTH)), APART, 0.0)
    assert track.at(100.0).observed_seconds == 0.0
    assert track.at_each(np.array([1.0, 2.0])).tolist() == [[0.0] * 6] * 2


def test_after_a_restart_the_counters_grew_in_the_seconds_they_say() -> None:
    track = accumulate(table((1000, 500), (2000, 40)), APART, math.inf)
    assert track.at(1960).observed_seconds == pytest.approx(0)
    assert track.at(1980).observed_seconds == pytest.approx(20)
    assert track.at(2000).observed_seconds == pytest.approx(40)


def test_energy_goes_on_evenly_across_a_restart() -> None:
    track = accumulate(table((1000, 500), (2000, 40)), APART, math.inf)
    for time in (1000, 1500, 1960, 1990, 2000):
        assert track.at(time).energy_joules == pytest.approx(100 * (time - 1000))


def test_a_reset_of_the_hardwares_accumulator_starts_it_from_0() -> None:
    rows = table((1000, 500), (1015, 515))
    rows[1, 6] = 1200.0
    assert accumulate(rows, APART, math.inf).at(1015).energy_joules == pytest.approx(1200)


def test_more_energy_than_a_socket_can_draw_is_none() -> None:
    rows = table((1000, 500), (1015, 515))
    rows[0, 6] = 0.0
    assert accumulate(rows, APART, math.inf).at(1015).energy_joules == 0


def unreadable() -> Floats:
    """A GPU that could not be read from 1030 to 4000, while its counters were served as they were."""
    times = np.arange(1000.0, 5000, 15)
    read_at = np.where((times > 1030) & (times < 4000), 1030, times)
    seconds = np.where(times < 4000, read_at, times - (4000 - 1030))
    return table(*zip(times, seconds, strict=True)) - np.outer(times - read_at, [0] * 6 + [100])


def test_what_a_gpu_drew_while_it_could_not_be_read_spreads_over_that_time() -> None:
    track = accumulate(unreadable(), APART, math.inf)
    for time in (1030, 2500, 3985, 4000, 4990):
        assert track.at(time).energy_joules == pytest.approx(100 * (time - 1000))


def test_a_gpu_falls_silent_between_two_samples_and_is_found_between_two() -> None:
    rows = unreadable()
    coarse = rows[::40]
    edges = np.flatnonzero(fell_silent(coarse, APART))
    assert [(coarse[n, 0], coarse[n + 1, 0]) for n in edges] == [(1000, 1600), (3400, 4000)]
    assert not fell_silent(rows, APART).any()
    assert not fell_silent(rows[rows[:, 0] >= 4000][::40], APART).any()


def test_a_silence_between_two_samples_shows_in_what_is_told_at_its_end() -> None:
    times = np.arange(1000.0, 2000, 15)
    read_at = np.where((times > 1300) & (times < 1600), 1300, times)
    rows = table(*zip(times, np.where(times < 1600, read_at, times - 300), strict=True))
    rows[:, 6] = JOULES + 700 * read_at
    coarse = rows[[0, 39, 40, 66]]
    assert (coarse[1, 0], coarse[2, 0]) == (1585, 1600)
    assert fell_silent(coarse, APART).tolist() == [True, False, False]
    assert accumulate(rows, APART, math.inf).at(1990).energy_joules == pytest.approx(700 * 990)


def test_all_that_was_booked_to_an_owner_starts_anew_with_the_exporter() -> None:
    rows = table((1000, 500), (2000, 40), (2015, 155))
    rows[:, 6] = [90_000.0, 4000.0, 99_000.0]
    track = accumulate_booked(rows, births(rows, APART))
    assert track.at(2000).observed_seconds == pytest.approx(40)
    assert track.at(2015).observed_seconds == pytest.approx(155), "held back at its birth, it comes at once"
    assert track.at(2015).energy_joules == pytest.approx(99_000)


def test_counters_born_within_the_reading_count_from_their_birth() -> None:
    track = accumulate(table((1000, 60), (1015, 75)), APART, since=900)
    assert track.at(939).observed_seconds == 0
    assert track.at(970).observed_seconds == pytest.approx(30)
    assert track.at(1015).observed_seconds == pytest.approx(75)
    assert track.at(1000).energy_joules == 0


def test_the_mean_of_a_whole_life_says_nothing_of_a_part_of_it() -> None:
    track = accumulate(table((1000, 50_000), (1015, 50_015)), APART, since=900)
    assert track.at(1015).minus(track.at(0)).observed_seconds == pytest.approx(15)


def test_a_fall_too_high_for_a_restart_is_a_clock_that_differs() -> None:
    rows = table((1000, 50_000), (1001, 49_999), (1016, 50_014))
    assert not restarts(rows, APART).any()
    assert accumulate(rows, APART, math.inf).at(1016).observed_seconds == pytest.approx(15)


def test_the_last_bits_of_a_value_that_stands_still_are_no_restart() -> None:
    rows = table((1000, 10.0), (1015, math.nextafter(10.0, 0)))
    assert not restarts(rows, APART).any()


def test_counters_that_passed_their_old_values_before_the_next_scrape_started_anew() -> None:
    rows = table((0, 30), (600, 300))
    track = accumulate(rows, APART, math.inf)
    assert track.at(300).observed_seconds == pytest.approx(0)
    assert track.at(450).observed_seconds == pytest.approx(150)
    assert track.at(600).observed_seconds == pytest.approx(300)


def test_young_counters_may_hide_a_restart_and_old_ones_cannot() -> None:
    assert restarts(table((0, 30), (600, 300)), 22).tolist() == [True]
    assert restarts(table((0, 9000), (600, 9300)), 22).tolist() == [False]
    assert restarts(table((0, 30), (600, 30)), 22).tolist() == [False]
    assert restarts(table((0, 30), (600, 628)), 22).tolist() == [False]
    assert restarts(table((0, 9000), (600, 300)), 22).tolist() == [True]


def test_an_owner_starts_anew_with_the_exporter_even_if_it_passed_its_old_value_since() -> None:
    rows = table((0, 30), (600, 300))
    assert accumulate_booked(rows, births(rows, APART)).at(600).observed_seconds == pytest.approx(300)
    assert accumulate_booked(rows, np.empty(0)).at(600).observed_seconds == pytest.approx(270)


def test_a_counter_that_is_absent_stands_still() -> None:
    rows = table((1000, 500), (1015, 515), (1030, 530))
    rows[1, 6] = np.nan
    rows[:, 3] = np.nan
    track = accumulate(rows, APART, math.inf)
    assert track.at(1015).energy_joules == 0
    assert track.at(1030).energy_joules == pytest.approx(3000)
    assert track.at(1030).idle_seconds == 0


def test_replicas_are_never_added_up() -> None:
    ours = table(*((t, t - 1000) for t in range(2000, 5000, 15)))
    theirs = table(*((t, t - 1000 + 0.3) for t in range(2007, 5000, 15)))
    merged = merge((ours, theirs), APART)
    assert accumulate(merged, APART, math.inf).at(4985).observed_seconds == pytest.approx(2985)
    assert len(merged) == len(ours)


def test_what_another_replica_scraped_last_before_a_restart_counts() -> None:
    ours = table(*((t, t - 1000) for t in range(2000, 3000, 15)), *((t, t - 3030) for t in range(3050, 4000, 15)))
    theirs = table(*((t, t - 1000) for t in range(2007, 3010, 15)), *((t, t - 3030) for t in range(3042, 4000, 15)))
    for order in ((ours, theirs), (theirs, ours)):
        track = accumulate(merge(order, APART), APART, math.inf)
        assert track.at(3980).minus(track.at(2007)).observed_seconds == pytest.approx(2997 - 2007 + 950)


def test_servers_whose_clocks_differ_see_no_restart_in_each_others_samples() -> None:
    ours = table(*((t, t - 2000) for t in range(2015, 2100, 15)), *((t, t - 2000) for t in range(2150, 2300, 15)))
    theirs = table(*((t + 0.4, t - 2000) for t in range(2015, 2300, 15)))
    merged = merge((ours, theirs), APART)
    assert accumulate(merged, APART, math.inf).at(2299).observed_seconds == pytest.approx(ours[-1, 1] - 15, abs=0.5)


def test_a_replica_fills_the_gaps_of_another() -> None:
    whole = table(*((t, t - 1000) for t in range(2000, 5000, 15)))
    ours = whole[(whole[:, 0] < 3000) | (whole[:, 0] > 4000)]
    merged = merge((ours, whole), APART)
    assert np.diff(merged[:, 0]).max() <= 45
    assert accumulate(merged, APART, math.inf).at(4985).observed_seconds == pytest.approx(2985)


def test_a_renamed_job_goes_on_where_the_old_name_ended() -> None:
    old = table(*((t, t - 1000) for t in range(2000, 3000, 15)))
    new = table(*((t, t - 1000) for t in range(3007, 4000, 15)))
    for order in ((old, new), (new, old)):
        assert accumulate(merge(order, 10.0), APART, math.inf).at(3997).observed_seconds == pytest.approx(1997)


lives = st.lists(
    st.tuples(st.floats(5, 5000), st.floats(1, 600), st.floats(0, 1)), min_size=1, max_size=6
)  # how long an exporter ran, how long it was down after, how busy the GPU was


@given(lives, st.integers(5, 60))
def test_all_but_what_no_scrape_saw_is_counted(runs: list[tuple[float, float, float]], interval: int) -> None:
    """Of each life at most the last interval is lost, and nothing is counted twice."""
    samples: list[tuple[float, ...]] = []
    start, observed, busy = 100_000.0, 0.0, 0.0
    for seconds, pause, rate in runs:
        ticks = np.arange(math.ceil(start / interval) * interval, start + seconds, interval)
        samples += [(t, t - start, (t - start) * rate, 0.0, 0.0, (t - start) * 1e9, JOULES + 100 * t) for t in ticks]
        observed, busy = observed + seconds, busy + seconds * rate
        start += seconds + pause
    track = accumulate(np.array(samples, dtype=np.float64).reshape(-1, WIDTH), 1.5 * interval, 0.0)
    total = track.at(math.inf)
    assert observed - interval * len(runs) - 1e-6 <= total.observed_seconds <= observed + 1e-6
    assert busy - interval * len(runs) - 1e-6 <= total.busy_seconds <= busy + 1e-6
    assert (np.diff(track.values, axis=0) >= 0).all()
    assert (np.diff(track.times) >= 0).all()


@given(st.lists(st.integers(0, 200), unique=True, min_size=2), st.data())
def test_one_reading_of_many_instants_agrees_with_many_readings(ticks: list[int], data: st.DataObject) -> None:
    track = accumulate(table(*((1000.0 + 15 * n, 15.0 * n) for n in sorted(ticks))), APART, math.inf)
    times = data.draw(st.lists(st.floats(0, 10_000), min_size=1))
    np.testing.assert_allclose(track.at_each(np.array(times)), [track.at(time) for time in times], rtol=1e-9, atol=1e-6)


@given(st.lists(st.integers(0, 100), unique=True), st.lists(st.integers(0, 100), unique=True))
def test_samples_read_twice_count_once(some: list[int], more: list[int]) -> None:
    first, second = (table(*((15.0 * n, 15.0 * n) for n in sorted(ticks))) for ticks in (some, more))
    assert union((first, second))[:, 0].tolist() == sorted({15.0 * n for n in (*some, *more)})
