"""The report as text for terminals and mail."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Final, TypeVar

from exporter.names import by_hostname, visible
from exporter.report.accounting.figures import Form
from exporter.report.accounting.rows import Comparison, Report
from exporter.report.accounting.split import owned
from exporter.report.accounting.timeline import Timeline
from exporter.report.render import blocks, brief, grid
from exporter.report.render.cells import Cells
from exporter.report.render.clock import Clock
from exporter.report.render.columns import TITLES, Column, Columns, coverage_last
from exporter.report.render.terminal import Page
from exporter.speech import speech
from exporter.table import Head

_MOST_ROWS: Final = 15
"""Of users, types, projects and waste, the largest first; `full` has all."""
_BAR: Final = 40
"""Columns of a bar that stands for all owned time."""

_T = TypeVar("_T")


def render(report: Report, timeline: Timeline, language: str, width: int, *, colour: bool = False) -> str:
    """Returns the report as lines of text, the brief first; the same for the same arguments.

    Args:
        report: The figures.
        timeline: The same GPUs over the same window.
        language: Of all but the names and the warnings.
        width: Columns of the terminal; below 80, lines are as for 80.
        colour: Whether to colour it, by the escape sequences of terminals.
    """
    page, cells = Page(width, colour=colour), Cells(report, speech(language))
    _sections(page, cells, timeline, _MOST_ROWS)
    return page.text()


def full(report: Report, timeline: Timeline, language: str, width: int, *, colour: bool = False) -> str:
    """Returns the same with all rows, every task, and the blocks of the script before; for its arguments see there."""
    page, cells = Page(width, colour=colour), Cells(report, speech(language))
    _sections(page, cells, timeline, None)
    page.heading(cells.hours(cells.speech.gettext("Tasks")))
    if not report.tasks:
        page.line(cells.nothing("tasks"))
    columns = Columns(cells, Clock.of(report).short, cells.marked)
    for hostname, rows in by_hostname(report.tasks, attrgetter("hostname")).items():
        page.line()
        page.line(visible(hostname), bold=True)
        page.table(coverage_last(columns.tasks(with_node=False)), rows)
    page.verbatim(blocks.everything(report, blocks.familiar if language == "zh-TW" else cells.speech.gettext))
    return page.text()


def task_report(report: Report, language: str) -> str:
    """Returns the tasks alone, each under each of its GPUs; it needs no history."""
    return "\n".join([*blocks.task_report(report, speech(language).gettext), ""])


def _sections(page: Page, cells: Cells, timeline: Timeline, most: int | None) -> None:
    """Adds all but the tasks; of the lists that grow with the number of people at most so many rows."""
    report, gettext = cells.report, cells.speech.gettext
    columns = Columns(cells, Clock.of(report).short, cells.marked)
    brief.draw(page, cells, timeline)
    if brief.is_cut(cells, page.width):
        page.heading(gettext("Warnings"))
        for warning in report.warnings:
            page.item("! ", visible(warning), fg="yellow")
    _totals(page, cells)
    _split(page, cells)
    _table(page, cells, "nodes", columns.nodes(), report.nodes)
    grid.draw(page, columns, timeline)
    _table(page, cells, "users", columns.users(), report.users, most=most)
    _table(page, cells, "task_types", columns.task_types(), report.task_types, most=most)
    _table(page, cells, "projects", columns.projects(), report.projects, most=most)
    _table(page, cells, "waste", columns.waste(), report.waste, most=most)


def _table(
    page: Page,
    cells: Cells,
    which: str,
    columns: Sequence[Column[_T]],
    rows: Sequence[_T],
    *,
    most: int | None = None,
) -> None:
    page.heading(cells.hours(cells.speech.gettext(TITLES[which])))
    if rows:
        page.table(coverage_last(columns), rows[:most])
    else:
        page.line(cells.nothing(which))
    if left_out := len(rows[most:] if most else ()):
        page.line(cells.left_out(left_out), dim=True)


def _totals(page: Page, cells: Cells) -> None:
    gettext = cells.speech.gettext
    earlier = {row.measure: row for row in cells.report.comparison}
    page.heading(cells.hours(gettext("Totals")))
    heads = [
        Head(),
        Head(is_figure=True),
        Head(gettext("day before"), is_figure=True),
        Head(gettext("7-day median"), is_figure=True),
    ]
    page.grid(
        heads,
        [[title, value, *_before(cells, form, earlier.get(field))] for field, form, title, value in cells.totals()],
    )


def _before(cells: Cells, form: Form, row: Comparison | None) -> list[str]:
    if row is None:
        return ["", ""]
    return [
        cells.speech.aside(cells.value(form, past), changed)
        if (changed := cells.change(form, row.value, past))
        else cells.value(form, past)
        for past in (row.day_before, row.median_of_seven)
    ]


def _split(page: Page, cells: Cells) -> None:
    usage = cells.report.totals
    page.heading(cells.hours(cells.speech.gettext("Split of the owned time")))
    page.grid(
        [Head(), Head(is_figure=True), Head()],
        [
            [cells.speech.gettext(kind.value), cells.speech.number(hours), _bar(hours, usage.owned_gpu_hours)]
            for kind, hours in owned(usage).items()
        ],
    )


def _bar(hours: float | None, whole: float) -> str:
    return "#" * round(_BAR * hours / whole) if hours and whole else ""
