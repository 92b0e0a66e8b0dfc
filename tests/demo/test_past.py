from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from exporter.demo.past import Past

ZONES = st.sampled_from(["UTC", "Asia/Taipei", "America/New_York", "Pacific/Kiritimati", "Asia/Kolkata"])
INSTANTS = st.integers(
    int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2029, 1, 1, tzinfo=UTC).timestamp())
)


@given(INSTANTS, ZONES)
def test_the_days_are_all_of_last_month_at_least_35_and_end_with_yesterday(now: int, zone: str) -> None:
    past = Past.before(now, zone)
    assert past.days[-1].end <= now < past.days[-1].end + 90000
    assert 35 <= len(past.days) <= 62
    assert all(before.end == after.start for before, after in pairwise(past.days))
    first, today = past.days[0].first, past.days[-1].local(now).date()
    months = 12 * (today.year - first.year) + today.month - first.month
    assert months > 1 or (months == 1 and first.day == 1)


@given(INSTANTS, ZONES)
def test_scrapes_reach_without_a_gap_from_before_the_first_day_to_now(now: int, zone: str) -> None:
    past = Past.before(now, zone)
    stretches = [past.earlier, past.fine, *([past.later] if past.later else [])]
    assert stretches[0][0] < past.days[0].start
    assert all(before[1] == after[0] for before, after in pairwise(stretches))
    assert all(start < end for start, end in stretches)
    assert past.fine[0] < past.days[-1].start
    assert now - 2 * 3600 <= stretches[-1][1] < now


@given(INSTANTS, ZONES)
def test_weeks_and_months_are_those_whose_days_are_all_remembered(now: int, zone: str) -> None:
    past = Past.before(now, zone)
    remembered = {day.first for day in past.days}
    periods = past.periods()
    assert {day.first for one in periods for day in one.days()} <= remembered
    assert [one.kind for one in periods] == sorted((one.kind for one in periods), reverse=True)
    assert len({(one.kind, one.name) for one in periods}) == len(periods)
    assert periods[-1].kind == "month"
    assert periods[-1].last == past.days[-1].first
