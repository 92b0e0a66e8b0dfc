"""What users had on each of the last days, from the days that are stored in the folder of reports."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from exporter.errors import StoredDayError
from exporter.report import days
from exporter.report.accounting.day_account import DayPart
from exporter.report.accounting.usage import Total

COUNT: Final = 30
"""Of days that a page tells of."""
_PAGE: Final = "report.html"


@dataclass(frozen=True, slots=True)
class StoredDay:
    """A day of all users."""

    day: date
    totals: Mapping[str, Total] | None
    """What each user had, in GPU-seconds; None if the day is not stored, or not usable."""
    problem: str | None
    """Why it is not usable."""
    has_report: bool


_Stamp = tuple[int, int, int] | None


class StoredDays:
    """Reads each stored day once for as long as its file stays as it is.

    Args:
        directory: The folder of reports.
        zone: Of the days.
    """

    def __init__(self, directory: Path, zone: ZoneInfo) -> None:
        self._directory = directory
        self._zone = zone
        self._known: dict[date, tuple[_Stamp, StoredDay]] = {}
        self._lock = asyncio.Lock()

    async def before(self, today: date) -> list[StoredDay]:
        """Returns the days before some day, the latest first, without holding up the event loop."""
        async with self._lock:
            return await asyncio.to_thread(self._read, [today - timedelta(days=n) for n in range(1, COUNT + 1)])

    def _read(self, wanted: list[date]) -> list[StoredDay]:
        known, self._known = self._known, {}
        for day in wanted:
            stamp = _stamp(self._directory / str(day) / days.FILE)
            before = known.get(day)
            self._known[day] = before if before and before[0] == stamp else (stamp, self._day(day))
        return [self._known[day][1] for day in wanted]

    def _day(self, day: date) -> StoredDay:
        totals, problem = None, None
        try:
            totals = totals_by_user(days.stored(self._directory, day, self._zone).parts)
        except FileNotFoundError:
            pass
        except StoredDayError as error:
            problem = str(error).removeprefix(f"{self._directory}/")
        return StoredDay(day, totals, problem, _stamp(self._directory / str(day) / _PAGE) is not None)


def totals_by_user(parts: tuple[DayPart, ...]) -> dict[str, Total]:
    """Returns what each user had of a day, in GPU-seconds."""
    owned: defaultdict[str, list[DayPart]] = defaultdict(list)
    for part in parts:
        if part.is_owned:
            owned[part.username].append(part)
    return {username: Total.of(mine) for username, mine in owned.items()}


def _stamp(file: Path) -> _Stamp:
    """Returns what changes whenever a file does; None where there is none to see."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
