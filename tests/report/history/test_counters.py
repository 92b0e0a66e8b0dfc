from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.report.history.counters import CounterCurve, device_curve, lost_or_found, owner_curve
from exporter.report.history.lives import in_order, reset_times, resets
from exporter.report.history.samples import COUNTERS, NO_SAMPLES, Samples
from exporter.report.observed import BUSY, ENERGY, IDLE
from tests.support.samples import JOULES, table

APART = 22.5


def test_between_samples_lies_a_straight_line() -> None:
    curve = device_curve(table((100, 1000), (115, 1015)), math.inf)
    assert curve.at(106).observed_seconds == pytest.approx(6)
    assert curve.at(106).busy_seconds == pytest.approx(3)
    assert curve.at(50) == curve.at(100)
    assert curve.at(500) == curve.at(115)


@given(st.lists(st.integers(0, 50), max_size=12), st.lists(st.integers(0, 500), min_size=1, unique=True), st.randoms())
def test_a_curve_of_a_few_instants_tells_there_what_the_whole_one_does(
    times: list[int], instants: list[int], random: Random
) -> None:
    heights = np.array([[random.uniform(0, 1e9) for _ in range(COUNTERS)] for _ in times]).reshape(-1, COUNTERS)
    curve = CounterCurve(10.0 * np.sort(times), heights)
    few = curve.only_at(np.sort(np.array(instants, dtype=np.float64)))
    assert [few.at(instant) for instant in instants] == [curve.at(instant) for instant in instants]


def test_nothing_was_observed_where_there_are_no_samples() -> None:
    curve = device_curve(NO_SAMPLES, 0.0)
    assert curve.at(100.0).observed_seconds == 0.0
    assert curve.at_each(np.array([1.0, 2.0])).tolist() == [[0.0] * 6] * 2


def test_after_a_reset_the_counters_grew_in_the_seconds_they_say() -> None:
    curve = device_curve(table((1000, 500), (2000, 40)), math.inf)
    assert curve.at(1960).observed_seconds == pytest.approx(0)
    assert curve.at(1980).observed_seconds == pytest.approx(20)
    assert curve.at(2000).observed_seconds == pytest.approx(40)


def test_energy_goes_on_evenly_across_a_reset() -> None:
    curve = device_curve(table((1000, 500), (2000, 40)), math.inf)
    for time in (1000, 1500, 1960, 1990, 2000):
        assert curve.at(time).energy_joules == pytest.approx(100 * (time - 1000))


def test_a_reset_of_the_hardwares_accumulator_starts_it_from_0() -> None:
    samples = table((1000, 500), (1015, 515))
    samples.counters[1, ENERGY] = 1200.0
    assert device_curve(samples, math.inf).at(1015).energy_joules == pytest.approx(1200)


def test_more_energy_than_a_socket_can_draw_is_none() -> None:
    samples = table((1000, 500), (1015, 515))
    samples.counters[0, ENERGY] = 0.0
    assert device_curve(samples, math.inf).at(1015).energy_joules == 0


def unreadable() -> Samples:
    """A GPU that could not be read from 1030 to 4000, while its counters were served as they were."""
    times = np.arange(1000.0, 5000, 15)
    read_at = np.where((times > 1030) & (times < 4000), 1030, times)
    seconds = np.where(times < 4000, read_at, times - (4000 - 1030))
    samples = table(*zip(times, seconds, strict=True))
    samples.counters[:, ENERGY] -= 100 * (times - read_at)
    return samples


def test_what_a_gpu_drew_while_it_could_not_be_read_spreads_over_that_time() -> None:
    curve = device_curve(unreadable(), math.inf)
    for time in (1030, 2500, 3985, 4000, 4990):
        assert curve.at(time).energy_joules == pytest.approx(100 * (time - 1000))


def test_a_gpu_is_lost_between_two_samples_and_found_between_two() -> None:
    samples = unreadable()
    coarse = samples[::40]
    edges = np.flatnonzero(lost_or_found(coarse, APART))
    assert [(coarse.times[n], coarse.times[n + 1]) for n in edges] == [(1000, 1600), (3400, 4000)]
    assert not lost_or_found(samples, APART).any()
    assert not lost_or_found(samples[samples.times >= 4000][::40], APART).any()


def test_a_loss_between_two_samples_shows_in_what_is_told_at_its_end() -> None:
    times = np.arange(1000.0, 2000, 15)
    read_at = np.where((times > 1300) & (times < 1600), 1300, times)
    samples = table(*zip(times, np.where(times < 1600, read_at, times - 300), strict=True))
    samples.counters[:, ENERGY] = JOULES + 700 * read_at
    coarse = samples[np.array([0, 39, 40, 66])]
    assert coarse.times[1:3].tolist() == [1585, 1600]
    assert lost_or_found(coarse, APART).tolist() == [True, False, False]
    assert device_curve(samples, math.inf).at(1990).energy_joules == pytest.approx(700 * 990)


def test_all_that_was_booked_to_an_owner_starts_anew_with_the_exporter() -> None:
    samples = table((1000, 500), (2000, 40), (2015, 155))
    samples.counters[:, ENERGY] = [90_000.0, 4000.0, 99_000.0]
    curve = owner_curve(samples, reset_times(samples))
    assert curve.at(2000).observed_seconds == pytest.approx(40)
    assert curve.at(2015).observed_seconds == pytest.approx(155), "held back at its birth, it comes at once"
    assert curve.at(2015).energy_joules == pytest.approx(99_000)


def test_counters_that_began_within_the_reading_count_from_their_beginning() -> None:
    curve = device_curve(table((1000, 60), (1015, 75)), since=900)
    assert curve.at(939).observed_seconds == 0
    assert curve.at(970).observed_seconds == pytest.approx(30)
    assert curve.at(1015).observed_seconds == pytest.approx(75)
    assert curve.at(1000).energy_joules == 0


def test_the_mean_of_a_whole_life_says_nothing_of_a_part_of_it() -> None:
    curve = device_curve(table((1000, 50_000), (1015, 50_015)), since=900)
    assert curve.at(1015).minus(curve.at(0)).observed_seconds == pytest.approx(15)


def test_a_fall_too_high_for_a_reset_is_a_clock_that_differs() -> None:
    samples = table((1000, 50_000), (1001, 49_999), (1016, 50_014))
    assert not resets(samples).any()
    assert device_curve(in_order(samples), math.inf).at(1016).observed_seconds == pytest.approx(14)


def test_the_last_bits_of_a_value_that_stands_still_are_no_reset() -> None:
    samples = table((1000, 10.0), (1015, math.nextafter(10.0, 0)))
    assert not resets(samples).any()


def test_counters_that_passed_their_old_values_before_the_next_scrape_started_anew() -> None:
    samples = table((0, 30), (600, 300))
    curve = device_curve(samples, math.inf)
    assert curve.at(300).observed_seconds == pytest.approx(0)
    assert curve.at(450).observed_seconds == pytest.approx(150)
    assert curve.at(600).observed_seconds == pytest.approx(300)


def test_young_counters_may_hide_a_reset_and_old_ones_cannot() -> None:
    assert resets(table((0, 30), (600, 300))).tolist() == [True]
    assert resets(table((0, 9000), (600, 9300))).tolist() == [False]
    assert resets(table((0, 30), (600, 30))).tolist() == [False]
    assert resets(table((0, 30), (600, 628))).tolist() == [False]
    assert resets(table((0, 9000), (600, 300))).tolist() == [True]


def test_an_owner_starts_anew_with_the_exporter_even_if_it_passed_its_old_value_since() -> None:
    samples = table((0, 30), (600, 300))
    assert owner_curve(samples, reset_times(samples)).at(600).observed_seconds == pytest.approx(300)
    assert owner_curve(samples, np.empty(0)).at(600).observed_seconds == pytest.approx(270)


def test_a_counter_that_is_absent_grows_with_what_was_observed() -> None:
    samples = table((1000, 500), (1015, 515), (1030, 530), (1045, 545))
    samples.counters[1:3, [BUSY, ENERGY]] = np.nan
    samples.counters[:, IDLE] = np.nan
    curve = device_curve(samples, math.inf)
    assert curve.at(1015).busy_seconds == pytest.approx(7.5)
    assert curve.at(1015).energy_joules == pytest.approx(1500)
    assert curve.at(1045).idle_seconds == 0


def test_energy_after_missing_samples_is_judged_by_all_the_time_since_the_last() -> None:
    samples = table(*((1000 + 15 * n, 500 + 15 * n) for n in range(41)))
    samples.counters[:, ENERGY] = JOULES + 700 * samples.times
    samples.counters[1:40, ENERGY] = np.nan
    assert device_curve(samples, math.inf).at(1600).energy_joules == pytest.approx(700 * 600)


lives = st.lists(
    st.tuples(st.floats(5, 5000), st.floats(1, 600), st.floats(0, 1)), min_size=1, max_size=6
)  # how long an exporter ran, how long it was down after, how busy the GPU was


@given(lives, st.integers(5, 60))
def test_all_but_what_no_scrape_saw_is_counted(runs: list[tuple[float, float, float]], interval: int) -> None:
    """Of each life at most the last interval is lost, and nothing is counted twice."""
    told: list[tuple[float, float, float]] = []
    start, observed, busy = 100_000.0, 0.0, 0.0
    for seconds, pause, rate in runs:
        ticks = np.arange(math.ceil(start / interval) * interval, start + seconds, interval)
        told += [(t, t - start, (t - start) * rate) for t in ticks]
        observed, busy = observed + seconds, busy + seconds * rate
        start += seconds + pause
    curve = device_curve(table(*told), 0.0)
    total = curve.at(math.inf)
    assert observed - interval * len(runs) - 1e-6 <= total.observed_seconds <= observed + 1e-6
    assert busy - interval * len(runs) - 1e-6 <= total.busy_seconds <= busy + 1e-6
    assert (np.diff(curve.values, axis=0) >= 0).all()
    assert (np.diff(curve.times) >= 0).all()


@given(st.lists(st.integers(0, 200), unique=True, min_size=2), st.data())
def test_one_reading_of_many_instants_agrees_with_many_readings(ticks: list[int], data: st.DataObject) -> None:
    curve = device_curve(table(*((1000.0 + 15 * n, 15.0 * n) for n in sorted(ticks))), math.inf)
    times = data.draw(st.lists(st.floats(0, 10_000), min_size=1))
    np.testing.assert_allclose(curve.at_each(np.array(times)), [curve.at(time) for time in times], rtol=1e-9, atol=1e-6)
