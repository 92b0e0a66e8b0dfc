"""The report as Markdown, for a chat or a wiki: tables of GitHub's dialect, which most of them read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from exporter.report.languages import Language, Words, words
from exporter.report.render import columns
from exporter.report.render.columns import FIGURES, Column
from exporter.report.render.names import visible
from exporter.report.rows import Report, TaskRow

_MOST_ROWS: Final = 100
"""Of the lists of waste and tasks; a chat refuses longer messages, and CSV and JSON have them all."""
_MEANT: Final = re.compile(r"(?<=www)\.|[!#$&*:<>@\[\\\]^_`{|}~]", re.IGNORECASE)
"""What some dialect of Markdown or HTML gives a meaning to within a line, bare addresses included."""

_T = TypeVar("_T")


def render(report: Report, language: Language) -> str:
    """The report as Markdown.

    Args:
        report: The figures.
        language: Of all but the names and the warnings.

    Returns:
        The same text for the same arguments.
    """
    return "".join(f"{line}\n" for line in _lines(report, words(language)))


def escaped(text: str) -> str:
    """Text that stands for nothing but itself, also inside a table: its marks as numeric character references.

    Backslashes would leave addresses links, and wikis differ in what can be escaped by them.
    """
    return _MEANT.sub(lambda match: f"&#{ord(match[0])};", visible(text))


def _lines(report: Report, speech: Words) -> Iterator[str]:
    dates = report.date if report.date == report.to else f"{report.date} – {report.to}"
    yield f"# {speech.title} {dates}"
    yield ""
    yield f"{report.start} – {report.end} ({escaped(report.timezone)})"
    if not report.is_over:
        yield ""
        yield f"**{speech.partial} {report.end}**"
    if report.warnings:
        yield from _heading(speech.warnings)
        yield from (f"- {escaped(warning)}" for warning in report.warnings)
    yield from _heading(f"{speech.totals} ({speech.gpu_hours})")
    yield from _totals(report, speech)
    yield from _heading(f"{speech.nodes} ({speech.gpu_hours})")
    yield from _table(columns.nodes(report, speech), report.nodes)
    yield from _heading(f"{speech.users} ({speech.gpu_hours})")
    yield from _table(columns.users(report, speech), report.users)
    yield from _heading(f"{speech.waste} ({speech.gpu_hours})")
    yield from _first(columns.waste(report, speech), report.waste, speech)
    node: Column[TaskRow] = columns.name(speech.node, lambda row: row.hostname)
    yield from _heading(f"{speech.tasks} ({speech.gpu_hours})")
    yield from _first([node, *columns.tasks(report, speech)], report.tasks, speech)


def _heading(title: str) -> Iterator[str]:
    yield from ("", f"## {title}", "")


def _totals(report: Report, speech: Words) -> Iterator[str]:
    yield "| | |"
    yield "|:--|--:|"
    for name, text in FIGURES.items():
        if name != "cost" or report.totals.cost is not None:
            yield _row([escaped(columns.title(name, report, speech)), escaped(text(report.totals))])


def _first(shape: Sequence[Column[_T]], rows: Sequence[_T], speech: Words) -> Iterator[str]:
    yield from _table(shape, rows[:_MOST_ROWS])
    if (left_out := len(rows) - _MOST_ROWS) > 0:
        yield ""
        yield f"{left_out} {speech.left_out}"


def _table(shape: Sequence[Column[_T]], rows: Sequence[_T]) -> Iterator[str]:
    yield _row([escaped(column.title) for column in shape])
    yield "|" + "|".join("--:" if column.is_figure else ":--" for column in shape) + "|"
    for row in rows:
        yield _row([escaped(column.text(row)) for column in shape])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
