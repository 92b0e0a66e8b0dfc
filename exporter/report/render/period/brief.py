"""The brief of a week or month: what matters in sentences, its warnings, and who left the most idle."""

from __future__ import annotations

from typing import Final

from exporter.names import visible
from exporter.report.accounting.periods import PeriodReport
from exporter.report.render.period.cells import PeriodCells
from exporter.report.render.terminal import Page
from exporter.speech import speech

_TABLES: Final = ("budgets", "users")
_MOST_ROWS: Final = 10
_MOST_WARNINGS: Final = 10


def render(report: PeriodReport, language: str, width: int) -> str:
    """Returns the brief as lines of text; the same for the same arguments.

    Args:
        report: The figures.
        language: Of all but the names and the warnings.
        width: Columns; below 80, lines are as for 80.
    """
    page, cells = Page(width, colour=False), PeriodCells(report, speech(language))
    draw(page, cells, _MOST_WARNINGS)
    for table in cells.tables():
        if table.name in _TABLES:
            page.heading(cells.hours(table.title) if table.is_in_hours else table.title)
            page.table(table.columns, table.rows[:_MOST_ROWS])
            if (left_out := len(table.rows) - _MOST_ROWS) > 0:
                page.line(cells.left_out(left_out))
    return page.text()


def draw(page: Page, cells: PeriodCells, most: int | None = None) -> None:
    """Draws what stands at the head of every page of text, with at most so many warnings."""
    page.line(cells.title, bold=True)
    page.line(cells.span)
    for note in cells.notes():
        page.line(visible(note))
    for sentence in cells.sentences():
        page.line(sentence)
    if cells.report.warnings:
        page.heading(cells.speech.gettext("Warnings"))
        for warning in cells.report.warnings[:most]:
            page.line(f"! {visible(warning)}", fg="yellow")
        if most and (left_out := len(cells.report.warnings) - most) > 0:
            more = cells.speech.ngettext("and {count} more warning", "and {count} more warnings", left_out)
            page.line(more.format(count=left_out))
