"""A week or month as text for terminals and mail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from exporter.report.accounting.periods import PeriodReport
from exporter.report.render.period import brief
from exporter.report.render.period.cells import PeriodCells
from exporter.report.render.period.heat import HeatCell, heat
from exporter.report.render.terminal import Page
from exporter.speech import ABSENT, speech
from exporter.table import Head, Painted

_MOST_USERS: Final = 40
"""Rows of the heat map."""
_TICK: Final = 3
"""Days from one label of its axis to the next."""
_PITCH: Final = 2
"""Columns of a day."""


def render(report: PeriodReport, language: str, width: int, *, colour: bool = False) -> str:
    """Returns the report as lines of text; the same for the same arguments.

    Args:
        report: The figures.
        language: Of all but the names and the warnings.
        width: Columns of the terminal; below 80, lines are as for 80.
        colour: Whether to colour it, by the escape sequences of terminals.
    """
    cells = PeriodCells(report, speech(language))
    page = Page(width, colour=colour)
    _ = cells.speech.gettext
    brief.draw(page, cells)
    page.heading(cells.hours(_("Totals")))
    heads = [
        Head(),
        Head(is_figure=True),
        Head(cells.before if report.before else "", is_figure=True),
        Head(is_figure=True),
    ]
    page.grid(
        heads, [[name, value, past if report.before else "", change] for name, value, past, change in cells.totals()]
    )
    for table in cells.tables():
        page.heading(cells.hours(table.title) if table.is_in_hours else table.title)
        page.table(table.columns, table.rows)
        if table.name == "users":
            _heat(page, cells)
    return page.text()


def _heat(page: Page, cells: PeriodCells) -> None:
    """Draws users × days, a digit each."""
    drawn = heat(cells)
    page.heading(cells.speech.gettext("Users by day"))
    note = cells.speech.gettext("Tenths of the most that one user owned on one day: {hours} GPU-hours; a dot: nothing.")
    page.line(note.format(hours=drawn.most))
    labels = "".join(day.ljust(_TICK * _PITCH) for day in drawn.days[::_TICK]).rstrip()
    page.grid(
        [Head(), Head(labels, is_fixed=True)],
        [[row.username, _strip(page, row.cells)] for row in drawn.users[:_MOST_USERS]],
    )


def _strip(page: Page, cells: Sequence[HeatCell]) -> Painted:
    plain = shown = ""
    for cell in cells:
        char = ABSENT if cell.text == ABSENT else "." if cell.shade is None else str(cell.shade)
        plain += char + " " * (_PITCH - 1)
        shown += page.painted(char, fg="red" if cell.is_mostly_idle else None) + " " * (_PITCH - 1)
    return Painted(plain, shown)
