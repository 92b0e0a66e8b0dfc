"""Which days the demo remembers, and how closely."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from exporter.report import period
from exporter.report.period import Period, period_name
from exporter.report.window import Window, day_of

_LEAST_DAYS = 35
_LEAD_SECONDS = 3600.0
"""Before the first day, and around yesterday, so that edges of days lie between scrapes."""
_PAUSE_SECONDS = 60.0
"""Between the last remembered scrape and the demo's own."""

Stretch = tuple[float, float]
"""Start and end in Unix seconds."""


@dataclass(frozen=True, slots=True)
class Past:
    """The days that are over, and the stretches of time whose scrapes are remembered."""

    days: tuple[Window, ...]
    """In order; the last is yesterday."""
    earlier: Stretch
    """Up to yesterday: in outline."""
    fine: Stretch
    """Yesterday, and an hour on either side: as a node lives through it."""
    later: Stretch | None
    """Since then: in outline; None if that is no time to speak of."""

    @classmethod
    def before(cls, now: float, timezone: str) -> Past:
        """Returns the past of an instant: all of last month, and at least 35 days.

        Args:
            now: Unix seconds.
            timezone: Whose days.
        """
        zone = ZoneInfo(timezone)
        today = datetime.fromtimestamp(now, zone).date()
        last_month = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
        first = min(last_month, today - timedelta(days=_LEAST_DAYS))
        days = tuple(day_of(first + timedelta(days=n), zone) for n in range((today - first).days))
        ended = now - _PAUSE_SECONDS
        seam, fine_end = days[-1].start - _LEAD_SECONDS, min(days[-1].end + _LEAD_SECONDS, ended)
        later = (fine_end, ended) if ended - fine_end > _LEAD_SECONDS else None
        return cls(days, (days[0].start - _LEAD_SECONDS, seam), (seam, fine_end), later)

    def periods(self) -> list[Period]:
        """Returns the weeks and months of which all days that are over are remembered, weeks first."""
        zone, now = self.days[0].zone.key, self.days[-1].end
        found = [period.week(period_name("week", day.first), zone, now) for day in self.days]
        found += [period.month(period_name("month", day.first), zone, now) for day in self.days]
        return [one for one in dict.fromkeys(found) if one.first >= self.days[0].first]
