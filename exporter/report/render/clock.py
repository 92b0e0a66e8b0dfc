"""Times as people read them: on the clocks of the report's zone, with their offset from UTC where it matters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from exporter.report.accounting.rows import Report

_OFFSET: Final = len("+08:00")


@dataclass(frozen=True, slots=True)
class Clock:
    """Writes the ISO 8601 times of one report."""

    year: str
    """Of its first day: times of other years are written with theirs."""
    offset: str | None
    """Of all its days; None if clocks change, an hour then occurs twice. Times of other offsets are written with it."""

    @classmethod
    def of(cls, report: Report) -> Clock:
        """That of a report."""
        zone = ZoneInfo(report.timezone)
        first, last = date.fromisoformat(report.date), date.fromisoformat(report.to)
        midnights = [datetime.combine(first + timedelta(n), time(), zone) for n in range((last - first).days + 2)]
        changes = len({midnight.utcoffset() for midnight in midnights}) > 1
        return cls(report.date[:4], None if changes else report.start[-_OFFSET:])

    def full(self, iso: str) -> str:
        """`2025-07-22 08:19`, or `2025-10-26 02:30 +02:00`."""
        return f"{iso[:10]} {iso[11:16]} {self._offset(iso)}".rstrip()

    def seconds(self, iso: str) -> str:
        """`2025-07-22 08:19:32`, or `2025-10-26 02:30:00 +02:00`."""
        return f"{iso[:10]} {iso[11:19]} {self._offset(iso)}".rstrip()

    def short(self, iso: str) -> str:
        """`07-22 08:19`, `2024-07-22 08:19` in a report of another year, or `10-26 02:30+02`."""
        day = iso[:10].removeprefix(f"{self.year}-")
        return f"{day} {iso[11:16]}{self._offset(iso).removesuffix(':00')}"

    def _offset(self, iso: str) -> str:
        offset = iso[-_OFFSET:]
        return "" if offset == self.offset else offset
