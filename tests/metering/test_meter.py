from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metering.meter import Meter
from exporter.model import Amounts, Reading

GIB = 2**30


def meter() -> Meter:
    return Meter(idle_threshold=0.05, vram_held=GIB, max_gap=5.0)


def reading(
    taken: float, utilization: float | None = 0.5, vram: int | None = 0, energy: float | None = None
) -> Reading:
    return Reading(taken=taken, utilization=utilization, vram_used_bytes=vram, energy_joules=energy)


def counted(*readings: Reading) -> Amounts:
    subject = meter()
    for one in readings:
        subject.observe(one)
    assert subject.counters is not None
    return subject.counters


def test_two_readings_are_joined_by_the_trapezoid_rule() -> None:
    total = counted(reading(10, 0.2, 4 * GIB), reading(12, 0.6, 8 * GIB))

    assert total == pytest.approx(Amounts(2.0, 0.8, 0.0, 0.0, 12.0 * GIB, 0.0))


def test_nothing_is_observed_between_readings_further_apart_than_max_gap() -> None:
    assert counted(reading(0, 1.0), reading(5.01, 1.0)).observed_seconds == 0
    assert counted(reading(0, 1.0), reading(5.0, 1.0)).observed_seconds == 5


def test_a_reading_without_utilization_is_no_observation_and_no_zero() -> None:
    total = counted(reading(0, 1.0), reading(1, None), reading(2, 1.0))

    assert (total.observed_seconds, total.busy_seconds) == (2.0, 2.0)
    assert counted(reading(0, None), reading(1, None)).observed_seconds == 0


def test_a_reading_without_vram_is_no_observation() -> None:
    assert counted(reading(0, 1.0, None), reading(1, 1.0, None)) == Amounts()


def test_idle_is_the_time_the_line_between_readings_lies_below_the_threshold() -> None:
    assert counted(reading(0, 0.0), reading(4, 0.2)).idle_seconds == pytest.approx(1.0)
    assert counted(reading(0, 0.2), reading(4, 0.0)).idle_seconds == pytest.approx(1.0)
    assert counted(reading(0, 0.04), reading(4, 0.0)).idle_seconds == 4.0
    assert counted(reading(0, 0.05), reading(4, 0.05)).idle_seconds == 0.0


def test_held_idle_needs_both_at_the_same_time() -> None:
    falling_load = counted(reading(0, 0.10, 2 * GIB), reading(4, 0.0, 0))
    rising_vram = counted(reading(0, 0.0, 0), reading(4, 0.0, 2 * GIB))

    assert falling_load.idle_seconds == pytest.approx(2.0)
    assert falling_load.idle_vram_held_seconds == 0.0
    assert rising_vram.idle_vram_held_seconds == pytest.approx(2.0)


def test_a_reading_that_is_not_younger_changes_nothing() -> None:
    once = counted(reading(0, 1.0, 0, 10), reading(1, 1.0, 0, 20))

    assert counted(reading(0, 1.0, 0, 10), reading(1, 1.0, 0, 20), reading(1, 0.0, 0, 90), reading(0.5, 0.0)) == once


def energy(*readings: Reading) -> float | None:
    subject = meter()
    for one in readings:
        subject.observe(one)
    return subject.energy_joules


def test_energy_starts_at_the_hardwares_value_and_spans_gaps() -> None:
    told = (
        reading(0, energy=1000.0),
        reading(100, energy=3000.0),
        reading(101, None, None),
        reading(102, energy=3100.0),
    )

    assert energy(*told) == 3100.0
    assert counted(*told).energy_joules == 2100.0
    assert counted(*told).observed_seconds == 2.0


def test_energy_that_the_hardware_does_not_tell_is_absent() -> None:
    assert energy(reading(0), reading(1)) is None


def test_energy_that_the_hardware_tells_late_starts_at_its_value_and_is_nobodys_growth() -> None:
    told = reading(0), reading(1, energy=5e9), reading(2, energy=5e9 + 500)

    assert energy(*told) == 5e9 + 500
    assert counted(*told).energy_joules == 500.0


def test_energy_goes_on_after_a_reset_of_the_accumulator() -> None:
    assert energy(reading(0, energy=5000.0), reading(1, energy=300.0), reading(2, energy=800.0)) == 5800.0


def test_energy_that_no_socket_can_draw_is_not_counted() -> None:
    glitch = energy(
        reading(0, energy=5e9), reading(1, energy=0.0), reading(2, energy=5e9), reading(3, energy=5e9 + 500)
    )

    assert glitch == 5e9 + 500


def test_energy_that_a_slow_read_told_late_is_counted() -> None:
    late = counted(reading(0, energy=0.0), reading(3, energy=0.0), reading(3.1, energy=2000.0))

    assert late.energy_joules == 2000.0


def test_throttled_time_is_the_residencys_part_of_the_ticks() -> None:
    subject = meter()
    first = Reading(taken=0.0, throttle_residency={"ppt": 100, "prochot": 7}, throttle_ticks=1000)
    subject.observe(first)
    subject.observe(replace(first, taken=10.0, throttle_residency={"ppt": 125, "prochot": 7}, throttle_ticks=1100))

    assert subject.throttled_seconds == {"ppt": pytest.approx(2.5), "prochot": 0.0}


def test_a_reading_between_two_counts_of_the_firmware_loses_no_throttled_time() -> None:
    subject = meter()
    first = Reading(taken=0.0, throttle_residency={"ppt": 100}, throttle_ticks=1000)
    subject.observe(first)
    subject.observe(replace(first, taken=5.0))
    subject.observe(replace(first, taken=10.0, throttle_residency={"ppt": 150}, throttle_ticks=1100))

    assert subject.throttled_seconds == {"ppt": pytest.approx(5.0)}


def test_a_reset_of_the_throttle_counters_counts_nothing() -> None:
    subject = meter()
    subject.observe(Reading(taken=0.0, throttle_residency={"ppt": 100}, throttle_ticks=1000))
    subject.observe(Reading(taken=1.0, throttle_residency={"ppt": 10}, throttle_ticks=20))
    subject.observe(Reading(taken=2.0, throttle_residency={"ppt": 20}, throttle_ticks=30))

    assert subject.throttled_seconds == {"ppt": pytest.approx(1.0)}


utilizations = st.none() | st.floats(0, 1)
readings = st.lists(
    st.tuples(st.floats(0.01, 8), utilizations, st.none() | st.integers(0, 200 * GIB), st.none() | st.floats(0, 1e12)),
    max_size=40,
)


@given(readings)
def test_counters_never_fall_and_stay_within_what_they_are_parts_of(
    steps: list[tuple[float, float, int, float]],
) -> None:
    subject, taken, last = meter(), 0.0, Amounts()
    for step, utilization, vram, energy in steps:
        taken += step
        now = subject.observe(reading(taken, utilization, vram, energy))
        assert all(after >= before for before, after in zip(last, now, strict=True))
        last = now
    assert last.observed_seconds <= taken * (1 + 1e-12)
    assert last.busy_seconds <= last.observed_seconds * (1 + 1e-12)
    assert last.idle_vram_held_seconds <= last.idle_seconds * (1 + 1e-12)
    assert last.idle_seconds <= last.observed_seconds * (1 + 1e-12)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.05, 0.95))
def test_a_reading_on_the_line_between_two_changes_no_integral(first: float, last: float, part: float) -> None:
    middle = first + (last - first) * part
    whole = counted(reading(0, first, GIB), reading(4, last, 3 * GIB))
    halves = counted(
        reading(0, first, GIB), reading(4 * part, middle, int(GIB + 2 * GIB * part)), reading(4, last, 3 * GIB)
    )

    assert halves == pytest.approx(whole, rel=1e-6, abs=1e-6)
