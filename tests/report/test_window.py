from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from exporter.errors import UsageError
from exporter.report.window import Window, window

NOON = datetime(2025, 7, 23, 12, 34, 56, tzinfo=UTC).timestamp()


def hours(name: str, zone: str) -> float:
    return window(name, None, zone, datetime(2026, 7, 1, tzinfo=UTC).timestamp()).seconds / 3600


def cells(name: str, zone: str) -> int:
    return len(window(name, None, zone, datetime(2026, 7, 1, tzinfo=UTC).timestamp()).edges) - 1


def test_the_default_is_yesterday_in_the_reports_zone() -> None:
    assert window(None, None, "UTC", NOON).name == "2025-07-22"
    late = datetime(2025, 7, 22, 23, 0, tzinfo=UTC).timestamp()
    assert window(None, None, "Asia/Taipei", late).name == "2025-07-22"
    assert window(None, None, "UTC", late).name == "2025-07-21"


def test_a_day_starts_at_its_zones_midnight() -> None:
    day = window("2025-07-22", None, "Asia/Taipei", NOON)

    assert day.start == datetime(2025, 7, 22, tzinfo=ZoneInfo("Asia/Taipei")).timestamp()
    assert day.seconds == 86400
    assert day.is_over


@pytest.mark.parametrize(
    ("day", "zone", "length", "count"),
    [
        ("2025-03-30", "Europe/Berlin", 23, 138),
        ("2025-10-26", "Europe/Berlin", 25, 150),
        ("2025-07-22", "Europe/Berlin", 24, 144),
        ("2025-09-07", "America/Santiago", 23, 138),
        ("2025-10-05", "Australia/Lord_Howe", 23.5, 141),
    ],
)
def test_a_day_has_as_many_hours_as_its_clocks_say(day: str, zone: str, length: float, count: int) -> None:
    assert hours(day, zone) == length
    assert cells(day, zone) == count


def test_a_day_that_is_not_over_ends_at_the_last_whole_minute() -> None:
    today = window("2025-07-23", None, "UTC", NOON)

    assert not today.is_over
    assert today.local(today.end).isoformat() == "2025-07-23T12:34:00+00:00"
    assert today.edges[-2:] == (today.end - 240, today.end)


def test_a_range_includes_its_last_day() -> None:
    week = window("2025-07-16", "2025-07-22", "UTC", NOON)

    assert (week.name, week.seconds, len(week.days())) == ("2025-07-16_2025-07-22", 7 * 86400, 7)
    assert [day.name for day in week.days()][-1] == "2025-07-22"


def test_the_cells_of_a_range_start_at_each_days_midnight() -> None:
    span = window("2025-10-25", "2025-10-26", "Europe/Berlin", NOON + 365 * 86400)
    edges = span.edges

    assert len(edges) - 1 == 144 + 150
    assert {day.start for day in span.days()} <= set(edges)
    assert list(edges) == sorted(set(edges))


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ("2025-07-24", None, "future"),
        ("2025-07-22", "2025-07-24", "future"),
        ("2025-07-22", "2025-07-21", "before --date"),
        ("22.7.2025", None, "expected a date such as 2025-07-22, found '22.7.2025'"),
        ("2025-02-29", None, "expected a date"),
        ("0202-07-22", None, "expected a date"),
        ("2025-07-22", "=cmd()", "--to: expected a date"),
    ],
)
def test_a_date_that_cannot_be_is_refused_with_what_was_expected(first: str, last: str | None, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("(", r"\(").replace(")", r"\)")):
        window(first, last, "UTC", NOON)


def test_a_day_that_has_only_just_begun_has_nothing_to_report() -> None:
    with pytest.raises(UsageError, match="only just begun"):
        window("2025-07-23", None, "UTC", datetime(2025, 7, 23, 0, 0, 30, tzinfo=UTC).timestamp())


def test_a_running_range_ends_with_the_days_past_part() -> None:
    span: Window = window("2025-07-22", "2025-07-23", "UTC", NOON)

    assert [day.seconds for day in span.days()] == [86400, span.end - span.days()[1].start]
    assert [day.is_over for day in span.days()] == [True, False]


def test_the_days_before_are_days_of_the_clock_the_latest_first() -> None:
    day = window("2025-10-27", None, "Europe/Berlin", datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    days = day.days_before(7)

    assert [str(one.first) for one in days][::6] == ["2025-10-26", "2025-10-20"]
    assert [one.seconds / 3600 for one in days][:2] == [25, 24]
    assert days[0].end == day.start
