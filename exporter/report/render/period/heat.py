"""Users × days: what each user owned on each day, as shades."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from exporter.names import visible
from exporter.report.accounting.figures import FIGURES
from exporter.report.accounting.periods import PeriodUserRow
from exporter.report.render.cells import title
from exporter.report.render.period.cells import PeriodCells
from exporter.speech import ABSENT

_SHADES: Final = 10


@dataclass(frozen=True, slots=True)
class HeatCell:
    """What one user owned on one day."""

    text: str
    """GPU-hours."""
    shade: int | None
    """0 to 9, in tenths of the most that any user owned on any day; None: nothing, or not known."""
    is_mostly_idle: bool
    hint: str


@dataclass(frozen=True, slots=True)
class HeatRow:
    """One user."""

    username: str
    cells: Sequence[HeatCell]


@dataclass(frozen=True, slots=True)
class Heat:
    """All users and days."""

    most: str
    """GPU-hours that the strongest shade stands for."""
    days: Sequence[str]
    users: Sequence[HeatRow]


def heat(cells: PeriodCells) -> Heat:
    """Returns the map of a report."""
    report = cells.report
    most = max((hours or 0.0 for row in report.users for hours in row.owned_gpu_hours_by_day), default=0.0)
    return Heat(
        most=cells.speech.number(most, 1),
        days=[row.date[8:] for row in report.days],
        users=[HeatRow(visible(row.username), list(_cells(cells, row, most))) for row in report.users],
    )


def _cells(cells: PeriodCells, user: PeriodUserRow, most: float) -> Iterator[HeatCell]:
    days = zip(cells.report.days, user.owned_gpu_hours_by_day, user.idle_gpu_hours_by_day, strict=True)
    for day, owned, idle in days:
        if owned is None or idle is None:
            yield HeatCell(ABSENT, None, is_mostly_idle=False, hint=cells.day(day))
            continue
        hours = {FIGURES["owned_gpu_hours"]: owned, FIGURES["idle_gpu_hours"]: idle}
        told = [
            cells.speech.named(title(figure, cells.speech), cells.value(figure, value))
            for figure, value in hours.items()
        ]
        yield HeatCell(
            cells.speech.number(owned, 0) if owned else "",
            min(_SHADES - 1, int(owned / most * _SHADES)) if owned else None,
            is_mostly_idle=owned > 0 and idle > owned / 2,
            hint=" · ".join((cells.day(day), *told)),
        )
