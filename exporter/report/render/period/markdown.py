"""A week or month as Markdown, for a chat or a wiki."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from exporter.report.accounting.periods import PeriodReport
from exporter.report.render.markdown import escaped
from exporter.report.render.period.cells import PeriodCells, Table
from exporter.speech import speech

_MOST_ROWS: Final = 100


def render(report: PeriodReport, language: str) -> str:
    """Returns the report as Markdown; the same text for the same arguments.

    Args:
        report: The figures.
        language: Of all but the names and the warnings.
    """
    return "".join(f"{line}\n" for line in _lines(PeriodCells(report, speech(language))))


def _lines(cells: PeriodCells) -> Iterator[str]:
    report, _ = cells.report, cells.speech.gettext
    yield f"# {cells.title}"
    for line in (cells.span, *cells.notes(), *cells.sentences()):
        yield from ("", escaped(line))
    if report.warnings:
        yield from ("", f"## {_('Warnings')}", "")
        yield from (f"- {escaped(warning)}" for warning in report.warnings)
    yield from ("", f"## {cells.hours(_('Totals'))}", "")
    heads = ["", "", *([cells.before, ""] if report.before else [])]
    yield from _table(heads, [row[: len(heads)] for row in cells.totals()], figures=[False, True, True, True])
    for table in cells.tables():
        yield from ("", f"## {cells.hours(table.title) if table.is_in_hours else table.title}", "")
        yield from _rows(table)
        if len(table.rows) > _MOST_ROWS:
            yield from ("", cells.left_out(len(table.rows) - _MOST_ROWS))


def _rows(table: Table) -> Iterator[str]:
    heads = [column.title for column in table.columns]
    rows = ([column.text(row) for column in table.columns] for row in table.rows[:_MOST_ROWS])
    return _table(heads, rows, figures=[column.is_figure for column in table.columns])


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], figures: Sequence[bool]) -> Iterator[str]:
    yield _row(heads)
    yield "|" + "|".join("--:" if is_figure else ":--" for _, is_figure in zip(heads, figures, strict=False)) + "|"
    yield from (_row(row) for row in rows)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(escaped, cells))} |"
