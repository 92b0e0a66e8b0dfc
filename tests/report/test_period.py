from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from exporter.errors import UsageError
from exporter.report import period

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC).timestamp()
"""A Friday; 11:00 in Taipei."""
TAIPEI = "Asia/Taipei"


def test_a_month_that_is_over_has_all_its_days() -> None:
    found = period.month("2026-02", TAIPEI, NOW)

    assert (found.name, found.first, found.last, found.is_over) == (
        "2026-02",
        date(2026, 2, 1),
        date(2026, 2, 28),
        True,
    )
    assert len(found.days()) == 28


def test_an_unfinished_month_ends_yesterday_on_the_clocks_of_the_zone() -> None:
    late = datetime(2026, 11, 20, 17, tzinfo=UTC).timestamp()

    assert period.month("2026-11", TAIPEI, NOW).last == date(2026, 11, 19)
    assert period.month("2026-11", TAIPEI, late).last == date(2026, 11, 20)
    assert not period.month("2026-11", TAIPEI, NOW).is_over


def test_a_week_is_from_monday_to_sunday_even_across_years() -> None:
    found = period.week("2026-W53", TAIPEI, datetime(2027, 2, 1, tzinfo=UTC).timestamp())

    assert (found.first, found.last) == (date(2026, 12, 28), date(2027, 1, 3))
    assert found.before().name == "2026-W52"
    assert period.week("2026-W47", TAIPEI, NOW).last == date(2026, 11, 19)


def test_a_month_is_compared_with_the_whole_one_before_and_a_part_with_as_many_of_its_days() -> None:
    whole, part = period.month("2026-03", TAIPEI, NOW).before(), period.month("2026-11", TAIPEI, NOW).before()

    assert (whole.first, whole.last) == (date(2026, 2, 1), date(2026, 2, 28))
    assert (part.first, part.last) == (date(2026, 10, 1), date(2026, 10, 19))


def test_a_part_of_a_long_month_is_compared_with_no_more_than_a_short_one_has() -> None:
    found = period.month("2026-03", TAIPEI, datetime(2026, 3, 31, 3, tzinfo=UTC).timestamp())

    assert found.last == date(2026, 3, 30)
    assert found.before().last == date(2026, 2, 28)


@pytest.mark.parametrize(
    "text", ["2026", "2026-13", "2026-1", "11-2026", "2026-11-01", "1999-01", "", "2\u0660\u0662\u0666-11"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--month: expected a month such as 2026-11, found"):
        period.month(text, TAIPEI, NOW)


@pytest.mark.parametrize("text", ["2026-47", "2026-W54", "2026-W00", "2025-W53", "W47"])
def test_what_is_no_week_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--week: expected a week such as 2026-W47, found"):
        period.week(text, TAIPEI, NOW)


@pytest.mark.parametrize("text", ["2026-12", "2027-01"])
def test_a_month_of_which_no_day_is_over_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=f"no day of {text} is over yet: yesterday was 2026-11-19 in Asia/Taipei"):
        period.month(text, TAIPEI, NOW)
