"""The report as text for terminals and mail."""

from __future__ import annotations

from operator import attrgetter
from typing import Final

from exporter.names import by_hostname, visible
from exporter.report.accounting.figures import Form
from exporter.report.accounting.rows import Comparison, GpuRow, Report
from exporter.report.accounting.split import owned
from exporter.report.accounting.timeline import Timeline
from exporter.report.render import blocks, grid, headline
from exporter.report.render.cells import Cells
from exporter.report.render.clock import Clock
from exporter.report.render.columns import Columns, coverage_last
from exporter.report.render.terminal import Page
from exporter.speech import speech
from exporter.table import Head

_MOST_WASTE: Final = 30
"""Rows of the list of waste."""
_BAR: Final = 40
"""Columns of a bar that stands for all owned time."""


def render(report: Report, timeline: Timeline, language: str, width: int, *, colour: bool = False) -> str:
    """Returns the report as lines of text; the same for the same arguments.

    Args:
        report: The figures.
        timeline: The same GPUs over the same window.
        language: Of all but the names and the warnings.
        width: Columns of the terminal; below 80, lines are as for 80.
        colour: Whether to colour it, by the escape sequences of terminals.
    """
    cells = Cells(report, speech(language))
    columns = Columns(cells, Clock.of(report).short, cells.marked)
    gettext = cells.speech.gettext
    page = Page(width, colour=colour)
    _headline(page, cells)
    _totals(page, cells)
    _split(page, cells)
    page.heading(cells.hours(gettext("Nodes")))
    page.table(coverage_last(columns.nodes()), report.nodes)
    grid.draw(page, columns, timeline)
    page.heading(cells.hours(gettext("Users")))
    if report.users:
        page.table(coverage_last(columns.users()), report.users)
    else:
        page.line(cells.nothing("users"))
    page.heading(cells.hours(gettext("Owned but idle")))
    if report.waste:
        page.table(coverage_last(columns.waste()), report.waste[:_MOST_WASTE])
    else:
        page.line(cells.nothing("waste"))
    if (left_out := len(report.waste) - _MOST_WASTE) > 0:
        page.line(cells.left_out(left_out), dim=True)
    page.heading(cells.hours(gettext("Tasks")))
    if not report.tasks:
        page.line(cells.nothing("tasks"))
    for hostname, rows in by_hostname(report.tasks, attrgetter("hostname")).items():
        page.line()
        page.line(visible(hostname), bold=True)
        page.table(coverage_last(columns.tasks(with_node=False)), rows)
    if language == "zh-TW":
        _familiar(page, report)
    return page.text()


def task_report(report: Report, language: str) -> str:
    """Returns the tasks alone, each under each of its GPUs; it needs no history."""
    return "\n".join([*blocks.task_report(report, speech(language).gettext), ""])


def _headline(page: Page, cells: Cells) -> None:
    report, words = cells.report, cells.speech
    page.line(headline.title(report, words), bold=True)
    page.line(headline.span(report, words))
    if partial := headline.partial(report, words):
        page.line(partial, fg="yellow")
    for line in headline.lines(report, words):
        page.line(visible(line))
    if report.warnings:
        page.heading(words.gettext("Warnings"))
        for warning in report.warnings:
            page.line(f"! {visible(warning)}", fg="yellow")


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


def _familiar(page: Page, report: Report) -> None:
    """The blocks of the script before, in its words and layout."""
    page.verbatim(["", *blocks.task_summary(report)])
    page.verbatim(["", "GPU 硬體對應表:"])
    for hostname, rows in by_hostname(report.gpus, attrgetter("hostname")).items():
        page.verbatim([f"{visible(hostname)}:", *blocks.hardware_map(rows)])
    page.verbatim(["", "各 GPU 平均使用率:"])
    for hostname, rows in by_hostname(report.gpus, attrgetter("hostname")).items():
        page.verbatim([f"{visible(hostname)}:", *map(_usage_line, rows)])
    page.verbatim(["", *blocks.averages(blocks.Means.of(report.totals))])
    page.verbatim(["", *blocks.task_report(report, blocks.familiar)])


def _usage_line(row: GpuRow) -> str:
    users = blocks.holders(row.users, is_free=row.usage.unallocated_gpu_hours > 0)
    return blocks.usage_line(row.gpu, blocks.Means.of(row.usage), users)
