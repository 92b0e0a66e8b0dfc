"""The report as Markdown, for a chat or a wiki: tables of GitHub's dialect, which most of them read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from exporter.names import visible
from exporter.report.accounting.figures import PAGE
from exporter.report.accounting.rows import Report
from exporter.report.accounting.split import owned
from exporter.report.render import headline
from exporter.report.render.cells import Cells
from exporter.report.render.clock import Clock
from exporter.report.render.columns import Column, Columns, coverage_last, largest
from exporter.speech import speech

_MOST_ROWS: Final = 100
"""Of the lists of waste and tasks; a chat refuses longer messages, and CSV and JSON have them all."""
_MEANT: Final = re.compile(r"(?<=www)\.|(?<!\d\d):|:(?!\d\d(?![\d:]))|[!#$&*<>@\[\\\]^_`{|}~]", re.IGNORECASE)
"""What some dialect of Markdown or HTML gives a meaning to within a line, bare addresses included; not 08:19."""

_T = TypeVar("_T")


def render(report: Report, language: str) -> str:
    """Returns the report as Markdown; the same text for the same arguments.

    Args:
        report: The figures.
        language: Of all but the names and the warnings.
    """
    return "".join(f"{line}\n" for line in _lines(Cells(report, speech(language))))


def escaped(text: str) -> str:
    """Text that stands for nothing but itself, also inside a table: its marks as numeric character references.

    Backslashes would leave addresses links, and wikis differ in what can be escaped by them.
    """
    return _MEANT.sub(lambda match: f"&#{ord(match[0])};", visible(text))


def _lines(cells: Cells) -> Iterator[str]:
    report, words, gettext = cells.report, cells.speech, cells.speech.gettext
    columns = Columns(cells, Clock.of(report).short, cells.marked)
    yield f"# {headline.title(report, words)}"
    yield ""
    yield escaped(headline.span(report, words))
    if partial := headline.partial(report, words):
        yield ""
        yield f"**{partial}**"
    for line in headline.lines(report, words):
        yield ""
        yield escaped(line)
    if report.warnings:
        yield from _heading(gettext("Warnings"))
        yield from (f"- {escaped(warning)}" for warning in report.warnings)
    yield from _heading(cells.hours(gettext("Totals")))
    yield from _pairs((title, value) for _, _, title, value in cells.totals())
    yield from _heading(cells.hours(gettext("Split of the owned time")))
    yield from _pairs((gettext(kind.value), words.number(hours)) for kind, hours in owned(report.totals).items())
    yield from _heading(cells.hours(gettext("Nodes")))
    yield from _table(columns.nodes(), report.nodes, cells.nothing("nodes"))
    yield from _heading(cells.hours(gettext("Users")))
    yield from _table(columns.users(), report.users, cells.nothing("users"))
    yield from _heading(cells.hours(gettext("Owned but idle")))
    waste = report.waste[:_MOST_ROWS]
    yield from _table(columns.waste(), waste, cells.nothing("waste"))
    yield from _left_out(len(report.waste) - len(waste), cells)
    yield from _heading(cells.hours(gettext("Tasks")))
    tasks = largest(report.tasks, _MOST_ROWS)
    yield from _table(columns.tasks(), tasks, cells.nothing("tasks"))
    yield from _left_out(len(report.tasks) - len(tasks), cells)


def _heading(title: str) -> Iterator[str]:
    yield from ("", f"## {title}", "")


def _pairs(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield "| | |"
    yield "|:--|--:|"
    yield from (_row([escaped(title), escaped(value)]) for title, value in pairs)


def _left_out(count: int, cells: Cells) -> Iterator[str]:
    if count:
        yield ""
        yield cells.left_out(count)


def _table(columns: Sequence[Column[_T]], rows: Sequence[_T], otherwise: str) -> Iterator[str]:
    if not rows:
        yield otherwise
        return
    shown = [column for column in coverage_last(columns) if column.least_width < PAGE]
    yield _row([escaped(column.title) for column in shown])
    yield "|" + "|".join("--:" if column.is_figure else ":--" for column in shown) + "|"
    for row in rows:
        yield _row([escaped(column.text(row)) for column in shown])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
