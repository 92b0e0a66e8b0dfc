"""The brief: what matters of a report in sentences, its warnings, and who left the most idle.

Which findings there are, and in which order, accounting/findings.py decides; sentences.py puts them into words.
"""

from __future__ import annotations

from typing import Final

from exporter.names import visible
from exporter.report.accounting.findings import IdleUser, idle_users
from exporter.report.accounting.rows import Report
from exporter.report.accounting.timeline import Timeline
from exporter.report.completeness import low_coverage
from exporter.report.render import headline
from exporter.report.render.cells import Cells
from exporter.report.render.columns import Columns, coverage_if_low
from exporter.report.render.sentences import sentences
from exporter.report.render.terminal import Page
from exporter.report.warnings import warning
from exporter.speech import speech
from exporter.table import cut, wrapped

LINES: Final = 40
"""The most that a brief has, however large the cluster."""
_MARK: Final = "! "
"""Of what is wrong."""
_WARNING_LINES: Final = 2
"""Of one warning, before it is cut."""
_MOST_WARNINGS: Final = 3
_MOST_USERS: Final = 10
_HEAD_LINES: Final = 5
"""Of their table at most, those of its heading included."""


def render(report: Report, timeline: Timeline | None, language: str, width: int, *, colour: bool = False) -> str:
    """Returns the brief as lines of text, at most 40 where they are 80 columns wide or more.

    Args:
        report: The figures.
        timeline: The same GPUs over the same window; None: what only it tells is left out.
        language: Of all but the names and the warnings.
        width: Columns of the terminal; below 80, lines are as for 80.
        colour: Whether to colour it, by the escape sequences of terminals.
    """
    page = Page(width, colour=colour)
    draw(page, Cells(report, speech(language)), timeline)
    return page.text()


def draw(page: Page, cells: Cells, timeline: Timeline | None) -> None:
    """Draws the brief at the head of a page of text."""
    report, words = cells.report, cells.speech
    page.line(headline.title(report, words), bold=True)
    page.line(headline.span(report, words))
    if partial := headline.partial(report, words):
        page.line(partial, fg="yellow")
    for line in headline.exceptions(report, words):
        page.line(cut(visible(line), page.width))
    page.line()
    for sentence in sentences(cells, timeline):
        if sentence.is_fault:
            page.item(_MARK, sentence.text, fg="yellow")
        else:
            page.item("- ", sentence.text)
    remarks = other_warnings(cells)
    for remark in remarks[:_MOST_WARNINGS]:
        page.item(_MARK, visible(remark), most=_WARNING_LINES, fg="yellow")
    if (left_out := len(remarks) - _MOST_WARNINGS) > 0:
        page.item(_MARK, _more_warnings(cells, left_out), fg="yellow")
    _draw_users(page, cells)


def users(report: Report) -> list[IdleUser]:
    """Returns the users of the table, those with the most idle time first."""
    return idle_users(report)[:_MOST_USERS]


def other_warnings(cells: Cells) -> list[str]:
    """Returns the report's warnings but for those that a sentence of the brief tells better."""
    report = cells.report
    told: set[str] = set()
    if report.sources.history != "none":
        told = {warning(fault, cells.speech) for fault in low_coverage(report.nodes, report.min_coverage_ratio)}
    return [text for text in report.warnings if text not in told]


def is_cut(cells: Cells, width: int) -> bool:
    """Returns whether a brief of this width does not show every warning in full."""
    remarks = other_warnings(cells)
    longest = max((len(list(wrapped(visible(remark), width - len(_MARK)))) for remark in remarks), default=0)
    return len(remarks) > _MOST_WARNINGS or longest > _WARNING_LINES


def _draw_users(page: Page, cells: Cells) -> None:
    """Draws as many users as there is room for."""
    left_idle = idle_users(cells.report)
    room = min(_MOST_USERS, LINES - len(page) - _HEAD_LINES)
    if not left_idle or room < 2:
        return
    shown = left_idle if len(left_idle) <= room else left_idle[: room - 1]
    page.heading(cells.hours(cells.speech.gettext("Users by idle time")))
    columns = Columns(cells, str, cells.marked).idle_users()
    page.table(coverage_if_low(columns, shown, cells), shown)
    if left_out := len(left_idle) - len(shown):
        ngettext = cells.speech.ngettext
        page.line(ngettext("and {count} more user", "and {count} more users", left_out).format(count=left_out))


def _more_warnings(cells: Cells, count: int) -> str:
    ngettext = cells.speech.ngettext
    return ngettext("and {count} more warning", "and {count} more warnings", count).format(count=count)
