"""A report as HTML mail: the brief, who left what idle, and a link to the whole.

Mail programs drop scripts, style sheets and what lies elsewhere: there are tables, each cell with a style of its own,
and lists have a limit, as some cut off what is larger than 100 kB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from exporter.names import visible
from exporter.report.accounting.findings import idle_users
from exporter.report.accounting.periods import PeriodReport
from exporter.report.accounting.rows import Report
from exporter.report.accounting.timeline import Timeline
from exporter.report.render import brief, headline
from exporter.report.render.cells import Cells
from exporter.report.render.columns import Column, Columns, coverage_if_low
from exporter.report.render.pages import environment
from exporter.report.render.period.cells import PeriodCells
from exporter.report.render.sentences import Sentence, sentences
from exporter.speech import Speech, speech
from exporter.table import cut

_ENVIRONMENT: Final = environment(__package__)
_MOST_DAYS: Final = 31
_MOST_ROWS: Final = 20
"""Of other tables."""
_MOST_WARNINGS: Final = 10
_WARNING: Final = 400
"""Columns of one, or of a sentence with a name in it."""
_NAME: Final = 24
"""Columns of a name: a telephone shows it beside four figures."""
_PERIOD_TABLES: Final = {"budgets": _MOST_ROWS, "users": _MOST_ROWS, "days": _MOST_DAYS}
"""And the most rows of each."""
_PERIOD_FIGURES: Final = {"owned_gpu_hours", "idle_gpu_hours", "efficiency_ratio", "left", "used_ratio"}
"""The fields of those a telephone has room for."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table."""

    name: str
    notes: tuple[str, ...]
    """What stands below the name, in smaller type."""
    figures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Names at the left, figures at the right: few enough for a telephone."""

    title: str
    name: str
    figures: tuple[str, ...]
    """What heads each."""
    rows: tuple[Row, ...]
    left_out: int


def day(report: Report, timeline: Timeline, language: str, link: str | None) -> str:
    """Returns the mail of a day; the same text for the same arguments.

    Args:
        report: The figures.
        timeline: The same GPUs over the same window.
        language: Of all but the names and the warnings.
        link: Where the whole report is, if it is anywhere.
    """
    cells = Cells(report, speech(language))
    words, rows = cells.speech, idle_users(report)
    columns = coverage_if_low(Columns(cells, str, cells.marked).idle_users(), rows, cells)
    partial_day = headline.partial(report, words)
    return _rendered(
        words,
        title=headline.title(report, words),
        lines=[headline.span(report, words), *([partial_day] if partial_day else []), *_exceptions(report, words)],
        sentences=list(sentences(cells, timeline)),
        warnings=brief.other_warnings(cells),
        tables=[_table(cells.hours(words.gettext("Users by idle time")), columns, rows, _MOST_ROWS)] if rows else [],
        link=link,
    )


def period(report: PeriodReport, language: str, link: str | None) -> str:
    """Returns the mail of a week or month; the same text for the same arguments.

    Args:
        report: The figures.
        language: Of all but the names and the warnings.
        link: Where the whole report is, if it is anywhere.
    """
    cells = PeriodCells(report, speech(language))
    tables = {table.name: table for table in cells.tables()}
    return _rendered(
        cells.speech,
        title=cells.title,
        lines=[cells.span, *map(visible, cells.notes())],
        sentences=[Sentence(cut(sentence, _WARNING)) for sentence in cells.sentences()],
        warnings=report.warnings,
        tables=[
            _table(
                cells.hours(table.title) if table.is_in_hours else table.title,
                [column for column in table.columns if not column.is_figure or column.field in _PERIOD_FIGURES],
                table.rows,
                most,
            )
            for name, most in _PERIOD_TABLES.items()
            if (table := tables.get(name))
        ],
        link=link,
    )


def _exceptions(report: Report, words: Speech) -> list[str]:
    return [cut(visible(line), _WARNING) for line in headline.exceptions(report, words)]


def _table(title: str, columns: Sequence[Column[Any]], rows: Sequence[Any], most: int) -> Table:
    shown = [column for column in columns if not column.least_width]
    name, *notes = (column for column in shown if not column.is_figure)
    figures = [column for column in shown if column.is_figure]
    return Table(
        title,
        name.title,
        tuple(column.title for column in figures),
        tuple(
            Row(
                cut(name.text(row), _NAME),
                tuple(cut(column.text(row), _NAME) for column in notes),
                tuple(column.text(row) for column in figures),
            )
            for row in rows[:most]
        ),
        max(len(rows) - most, 0),
    )


def _rendered(words: Speech, *, warnings: Sequence[str], **parts: Any) -> str:
    return _ENVIRONMENT.get_template("mail.html").render(
        gettext=words.gettext,
        ngettext=words.ngettext,
        words=words,
        warnings=[cut(visible(text), _WARNING) for text in warnings[:_MOST_WARNINGS]],
        more_warnings=max(len(warnings) - _MOST_WARNINGS, 0),
        **parts,
    )
