"""Which stretch of time a report is about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from exporter.errors import UsageError

_FIRST_YEAR = 2000
"""No history begins earlier, and looking for one would ask for every hour since."""
CELL_SECONDS = 600.0
"""The grid of everything drawn over time: ten minutes."""


@dataclass(frozen=True)
class Window:
    """The days from `first` to `last`, both inclusive, in a time zone: [start, end) in Unix seconds."""

    first: date
    last: date
    zone: ZoneInfo
    start: float
    end: float
    is_over: bool
    """False if the last day still goes on; it then ends at the last whole minute."""

    @property
    def seconds(self) -> float:
        """Its length: a day has 23, 24 or 25 hours."""
        return self.end - self.start

    @property
    def name(self) -> str:
        """`<date>`, or `<date>_<to>`."""
        return str(self.first) if self.first == self.last else f"{self.first}_{self.last}"

    def days(self) -> list[Window]:
        """Returns each of its days as a window of its own."""
        count = (self.last - self.first).days + 1
        days = [day_of(self.first + timedelta(days=n), self.zone) for n in range(count)]
        return [
            replace(day, end=min(day.end, self.end), is_over=day.end <= self.end)
            for day in days
            if day.start < self.end
        ]

    def days_before(self, count: int) -> list[Window]:
        """Returns so many days before its first, the latest first."""
        return [day_of(self.first - timedelta(days=n), self.zone) for n in range(1, count + 1)]

    @cached_property
    def edges(self) -> tuple[float, ...]:
        """The edges of the ten-minute cells, each day's from its own midnight; the last may be cut short."""
        edges: list[float] = []
        for day in self.days():
            count = int((day.end - day.start) // CELL_SECONDS)
            edges += [day.start + n * CELL_SECONDS for n in range(count + 1) if day.start + n * CELL_SECONDS < day.end]
        return (*edges, self.end)

    def overlap(self, start: float, end: float) -> float:
        """Returns the seconds of [start, end) that lie in the window; 0 if none do."""
        return max(0.0, min(end, self.end) - max(start, self.start))

    def local(self, instant: float) -> datetime:
        """Returns an instant on the clocks of the report's time zone."""
        return datetime.fromtimestamp(instant, self.zone)


def window(first: str | None, last: str | None, zone_name: str, now: float) -> Window:
    """Reads the dates of the command line.

    Args:
        first: YYYY-MM-DD; None: yesterday.
        last: YYYY-MM-DD, inclusive; None: the same day.
        zone_name: Of the tz database.
        now: Unix seconds.

    Raises:
        UsageError: No date, a date in the future, or an end before the start.
    """
    zone = ZoneInfo(zone_name)
    today = datetime.fromtimestamp(now, zone).date()
    begin = _date(first, "--date") if first else today - timedelta(days=1)
    finish = _date(last, "--to") if last else begin
    if begin > today or finish > today:
        raise UsageError(f"{max(begin, finish)} lies in the future: today is {today} in {zone_name}")
    if finish < begin:
        raise UsageError(f"--to {finish} lies before --date {begin}")
    end = _midnight(finish + timedelta(days=1), zone)
    over = end <= now
    start = _midnight(begin, zone)
    if not over:
        end = now - now % 60
    if end <= start:
        raise UsageError(f"{begin} has only just begun in {zone_name}: there is nothing to report yet")
    return Window(begin, finish, zone, start, end, over)


def day_of(day: date, zone: ZoneInfo) -> Window:
    """Returns a whole day that is over."""
    return Window(day, day, zone, _midnight(day, zone), _midnight(day + timedelta(days=1), zone), is_over=True)


def _date(text: str, option: str) -> date:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007  a date has no time zone
    except ValueError:
        day = date.min
    if day.year < _FIRST_YEAR:
        raise UsageError(f"{option}: expected a date such as 2025-07-22, found {text!r}")
    return day


def _midnight(day: date, zone: ZoneInfo) -> float:
    """Returns the first instant of a day; where clocks skip midnight, the first that exists."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
