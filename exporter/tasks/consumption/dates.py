"""Instants as the consumption API reads and writes them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?")
# Other zone names are ambiguous: RFC 822 takes CST for Chicago, Taipei for itself.
# Years have four digits: of year 1, which stands for "never", the standard library would make 2001.
_RFC_1123 = re.compile(r"[A-Za-z]{3}, .+ [1-9][0-9]{3} .+ (GMT|UTC|[+-][0-9]{4})")
# As servers write it: the standard library, which reads every other spelling, takes twice as long.
_USUAL = re.compile(r"[A-Za-z]{3}, ([0-9]{2}) ([A-Z][a-z]{2}) ([1-9][0-9]{3}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT")
_MONTHS = dict(
    zip(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), range(1, 13), strict=True)
)
# Midnight of the first of January in some zone is still, or already, another day in UTC.
_ZERO = re.compile(
    r"0+(\.0*)?"
    r"|(000[01]-[0-9]{2}-[0-9]{2}|1969-12-31|1970-01-0[12]).*"
    r"|[A-Za-z]{3}, ([0-9]{1,2} [A-Za-z]{3} 000[01]|31 Dec 1969|0?[12] Jan 1970) .*"
)
# Zero dates (0, 1970, year 1) and milliseconds lie outside: better unreadable than believed.
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()


def instant(value: object, zone: ZoneInfo) -> float | None:
    """Returns the Unix seconds of a date from the API; None if it is unreadable, or not of the years 2000 to 2099.

    Read are RFC 1123, ISO 8601 with `T` or a space, with or without an offset, and Unix seconds as number or text.

    Args:
        value: what the JSON holds.
        zone: the zone of dates without an offset; in the hour that clocks repeat, the first one is meant.
    """
    seconds = _seconds(value, zone)
    return seconds if seconds is not None and _EARLIEST <= seconds < _LATEST else None


def is_zero(value: object) -> bool:
    """Returns whether a date is what servers write for "never": Unix time 0, or the year 0 or 1, in any spelling."""
    if isinstance(value, str):
        return _ZERO.fullmatch(value.strip()) is not None
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool) and value == 0


def _seconds(value: object, zone: ZoneInfo) -> float | None:
    if isinstance(value, str):
        return _from_text(value.strip(), zone)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


@lru_cache(maxsize=4096)
def _from_text(text: str, zone: ZoneInfo) -> float | None:
    if _NUMBER.fullmatch(text):
        return float(text)
    try:
        if (usual := _USUAL.fullmatch(text)) and (month := _MONTHS.get(usual[2])):
            day, year, hour, minute, second = map(int, usual.group(1, 3, 4, 5, 6))
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
        if _RFC_1123.fullmatch(text):
            moment = parsedate_to_datetime(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        return None


def window(start: float, end: float, zone: ZoneInfo) -> tuple[str, str]:
    """Returns `start_t` and `end_t` for a window in Unix seconds: naive, to the second, rounded outward.

    In the hour that clocks repeat, naive text means two instants. The window is widened until
    either meaning covers it: the answer bears exact times, so too much is harmless and too little is not.
    """
    return _naive(math.floor(start), zone, outward=-1), _naive(math.ceil(end), zone, outward=1)


def _naive(seconds: int, zone: ZoneInfo, *, outward: int) -> str:
    local = datetime.fromtimestamp(seconds, zone)
    ambiguity = local.replace(fold=1).timestamp() - local.replace(fold=0).timestamp()
    return datetime.fromtimestamp(seconds + outward * ambiguity, zone).strftime("%Y-%m-%d %H:%M:%S")
