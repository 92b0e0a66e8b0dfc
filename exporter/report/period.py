"""Which week or month a report is about."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from exporter.errors import UsageError
from exporter.report.window import Window, day_of

Kind = Literal["week", "month"]

_WEEK = re.compile(r"(2\d{3})-W(\d\d)", re.ASCII)
_MONTH = re.compile(r"(2\d{3})-(\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """A week from Monday to Sunday, or a month of the calendar, as far as its days are over."""

    kind: Kind
    name: str
    """`2026-W47` (ISO 8601) or `2026-11`."""
    first: date
    last: date
    """The last that is over."""
    zone: ZoneInfo
    is_over: bool
    """False if days of it are still to come."""

    def days(self) -> list[Window]:
        """Returns its days that are over."""
        return _days(self.first, (self.last - self.first).days + 1, self.zone)

    def before(self) -> Period:
        """Returns what it is compared with: the one before, of an unfinished one as many of its first days."""
        start, end = _bounds(self.kind, self.first - timedelta(days=1))
        if not self.is_over:
            end = min(end, start + (self.last - self.first))
        return Period(self.kind, period_name(self.kind, start), start, end, self.zone, self.is_over)


def week(text: str, zone_name: str, now: float) -> Period:
    """Reads `--week`.

    Args:
        text: YYYY-Www.
        zone_name: Of the tz database.
        now: Unix seconds.

    Raises:
        UsageError: No week, or one of which no day is over.
    """
    found = _WEEK.fullmatch(text)
    try:
        monday = date.fromisocalendar(int(found[1]), int(found[2]), 1) if found else None
    except ValueError:
        monday = None
    if monday is None:
        raise UsageError(f"--week: expected a week such as 2026-W47, found {text!r}")
    return _period("week", text, monday, zone_name, now)


def month(text: str, zone_name: str, now: float) -> Period:
    """Reads `--month`.

    Args:
        text: YYYY-MM.
        zone_name: Of the tz database.
        now: Unix seconds.

    Raises:
        UsageError: No month, or one of which no day is over.
    """
    found = _MONTH.fullmatch(text)
    try:
        first = date(int(found[1]), int(found[2]), 1) if found else None
    except ValueError:
        first = None
    if first is None:
        raise UsageError(f"--month: expected a month such as 2026-11, found {text!r}")
    return _period("month", text, first, zone_name, now)


def period_name(kind: Kind, day: date) -> str:
    """Returns the name of the week or month that a day is in."""
    if kind == "month":
        return f"{day:%Y-%m}"
    year, number, _ = day.isocalendar()
    return f"{year}-W{number:02d}"


def _period(kind: Kind, name: str, first: date, zone_name: str, now: float) -> Period:
    zone = ZoneInfo(zone_name)
    yesterday = datetime.fromtimestamp(now, zone).date() - timedelta(days=1)
    _, last = _bounds(kind, first)
    if yesterday < first:
        raise UsageError(f"no day of {name} is over yet: yesterday was {yesterday} in {zone_name}")
    return Period(kind, name, first, min(last, yesterday), zone, last <= yesterday)


def _bounds(kind: Kind, day: date) -> tuple[date, date]:
    """Returns the first and the last day of the week or month that a day is in."""
    if kind == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=6)
    return day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _days(first: date, count: int, zone: ZoneInfo) -> list[Window]:
    return [day_of(first + timedelta(days=n), zone) for n in range(count)]
