from __future__ import annotations

import calendar
import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.tasks.consumption import dates

TAIPEI = ZoneInfo("Asia/Taipei")
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ["UTC", "Asia/Taipei", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]
START = datetime(2025, 7, 16, 8, 19, 32, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "spelling",
    [
        "Wed, 16 Jul 2025 08:19:32 GMT",
        " Wed, 16 Jul 2025 08:19:32 GMT ",
        "Wed, 16 Jul 2025 16:19:32 +0800",
        "Wed, 16 Jul 2025 08:19:32 -0000",
        "2025-07-16T08:19:32Z",
        "2025-07-16T16:19:32+08:00",
        "2025-07-16 08:19:32.000000+00:00",
        "2025-07-16T16:19:32",
        "2025-07-16 16:19:32",
        1752653972,
        1752653972.0,
        "1752653972",
        "1752653972.0",
    ],
)
def test_every_spelling_of_an_instant_is_the_same_instant(spelling: object) -> None:
    assert dates.instant(spelling, TAIPEI) == START


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "None",
        "yesterday",
        "Wed, 16 Jul 2025 08:19:32 CST",
        "Wed, 35 Jul 2025 08:19:32 GMT",
        "Wed, 16 Jul 2025 08:19:32 +9999",
        "2025-07-16 25:00:00",
        "0001-01-01T00:00:00Z",
        "1970-01-01 00:00:00",
        "99999999999999999999999999",
        0,
        -1752653972,
        1752653972000,
        10**400,
        math.nan,
        math.inf,
        True,
        [1752653972],
        {"$date": 1752653972},
    ],
)
def test_what_is_no_date_of_this_century_is_unreadable(value: object) -> None:
    assert dates.instant(value, TAIPEI) is None


def test_a_date_without_offset_in_the_repeated_hour_is_its_first_occurrence() -> None:
    first = datetime(2025, 10, 26, 0, 30, tzinfo=UTC).timestamp()
    assert dates.instant("2025-10-26 02:30:00", BERLIN) == first


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, .{0,30} (GMT|[+-][0-9]{4})", fullmatch=True))
def test_no_text_crashes(text: str) -> None:
    instant = dates.instant(text, BERLIN)
    assert instant is None or math.isfinite(instant)


@given(
    day=st.from_regex(r"[0-9]{2}", fullmatch=True),
    month=st.sampled_from(calendar.month_abbr[1:]) | st.from_regex(r"[A-Z][a-z]{2}", fullmatch=True),
    year=st.integers(1990, 2110),
    clock=st.from_regex(r"[0-2][0-9]:[0-6][0-9]:[0-6][0-9]", fullmatch=True),
)
def test_the_usual_spelling_is_read_as_every_other(day: str, month: str, year: int, clock: str) -> None:
    usual, other = (dates.instant(f"Wed, {day} {month} {year} {clock} {zone}", TAIPEI) for zone in ("GMT", "+0000"))
    assert usual == other


def test_window_is_naive_text_in_the_zone_of_the_server() -> None:
    assert dates.window(START, START + 60, TAIPEI) == ("2025-07-16 16:19:32", "2025-07-16 16:20:32")


def test_window_is_rounded_outward_to_the_second() -> None:
    assert dates.window(START + 0.9, START + 1.1, ZoneInfo("UTC")) == ("2025-07-16 08:19:32", "2025-07-16 08:19:34")


@given(
    start=st.floats(946684800, 4e9)
    # around the ends of summer time in 2025
    | st.floats(-7200, 7200).map(lambda offset: 1761440400 + offset)
    | st.floats(-7200, 7200).map(lambda offset: 1762063200 + offset)
    | st.floats(-7200, 7200).map(lambda offset: 1743865200 + offset),
    length=st.floats(0, 1e7),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
)
def test_window_is_covered_however_the_server_reads_a_repeated_hour(
    start: float, length: float, zone: ZoneInfo
) -> None:
    start_t, end_t = dates.window(start, start + length, zone)
    for fold in (0, 1):
        first, last = (
            datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp() for text in (start_t, end_t)
        )
        assert start - 2 * 3600 - 1 < first <= start
        assert start + length <= last < start + length + 2 * 3600 + 1
