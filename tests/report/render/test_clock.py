from __future__ import annotations

from exporter.report.render.clock import Clock
from tests.support.reports import sample


def clock(date: str = "2025-07-22", to: str | None = None) -> Clock:
    return Clock.of(sample(0, date=date, to=to, zone="Europe/Berlin").report)


def test_times_of_most_days_go_without_an_offset() -> None:
    day = clock()

    assert day.full("2025-07-22T00:00:00+02:00") == "2025-07-22 00:00"
    assert day.seconds("2025-07-22T08:19:32+02:00") == "2025-07-22 08:19:32"
    assert day.short("2025-07-22T08:00:00+02:00") == "07-22 08:00"


def test_hours_that_occur_twice_are_told_apart() -> None:
    day = clock("2025-10-26")

    assert day.full("2025-10-26T02:30:00+02:00") == "2025-10-26 02:30 +02:00"
    assert day.full("2025-10-26T02:30:00+01:00") == "2025-10-26 02:30 +01:00"
    assert day.seconds("2025-10-26T02:30:00+01:00") == "2025-10-26 02:30:00 +01:00"
    assert day.short("2025-10-26T02:00:00+01:00") == "10-26 02:00+01"


def test_a_day_of_23_hours_has_offsets_too() -> None:
    assert clock("2025-03-30").short("2025-03-30T03:00:00+02:00") == "03-30 03:00+02"


def test_a_task_from_before_the_clocks_changed_is_told_apart_the_day_after() -> None:
    day_after = clock("2025-10-27")

    assert day_after.short("2025-10-26T02:30:00+02:00") == "10-26 02:30+02"
    assert day_after.short("2025-10-26T02:30:00+01:00") == "10-26 02:30"


def test_clocks_that_change_twice_in_a_range_change() -> None:
    assert clock("2025-03-01", "2025-11-30").offset is None


def test_a_time_of_another_year_is_written_with_it() -> None:
    assert clock().short("2024-07-22T08:19:00+02:00") == "2024-07-22 08:19"
