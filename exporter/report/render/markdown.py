"""The report as Markdown, for a chat or a wiki: tables of GitHub's dialect, which most of them read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from exporter.names import visible
from exporter.report.accounting.rows import Report, TaskRow
from exporter.report.languages import Language, Words, words
from exporter.report.render import columns, headline
from exporter.report.render.blocks import nothing
from exporter.report.render.columns import FIGURES, Column
from exporter.report.render.figures import marked

_MOST_ROWS: Final = 100
"""Of the lists of waste and tasks; a chat refuses longer messages, and CSV and JSON have them all."""
_MEANT: Final = re.compile(r"(?<=www)\.|(?<!\d\d):|:(?!\d\d(?![\d:]))|[!#$&*<>@\[\\\]^_`{|}~]", re.IGNORECASE)
"""What some dialect of Markdown or HTML gives a meaning to within a line, bare addresses included; not 08:19."""

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
    yield f"# {headline.title(report, speech)}"
    yield ""
    yield escaped(headline.span(report, speech))
    if partial := headline.partial(report, speech):
        yield ""
        yield f"**{partial}**"
    yield ""
    yield headline.sources(report, speech)
    for line in headline.narrowed(report, speech):
        yield ""
        yield escaped(line)
    if report.warnings:
        yield from _heading(speech.warnings)
        yield from (f"- {escaped(warning)}" for warning in report.warnings)
    hours = speech.aside.format(speech.gpu_hours)
    yield from _heading(f"{speech.totals}{hours}")
    yield from _totals(report, speech)
    yield from _heading(f"{speech.nodes}{hours}")
    yield from _table(columns.nodes(report, speech), report.nodes, nothing("nodes", report, speech))
    yield from _heading(f"{speech.users}{hours}")
    yield from _table(columns.users(report, speech), report.users, nothing("users", report, speech))
    yield from _heading(f"{speech.waste}{hours}")
    waste = report.waste[:_MOST_ROWS]
    yield from _table(columns.waste(report, speech), waste, nothing("waste", report, speech))
    yield from _left_out(len(report.waste) - len(waste), speech)
    yield from _heading(f"{speech.tasks}{hours}")
    node: Column[TaskRow] = columns.name(speech.node, lambda row: row.hostname)
    tasks = columns.largest(report.tasks, _MOST_ROWS)
    yield from _table([node, *columns.tasks(report, speech)], tasks, nothing("tasks", report, speech))
    yield from _left_out(len(report.tasks) - len(tasks), speech)


def _heading(title: str) -> Iterator[str]:
    yield from ("", f"## {title}", "")


def _totals(report: Report, speech: Words) -> Iterator[str]:
    yield "| | |"
    yield "|:--|--:|"
    for name, text in FIGURES.items():
        if name != "cost" or report.totals.cost is not None:
            yield _row([escaped(columns.title(name, report, speech)), escaped(text(report.totals))])
    covered = marked(report.totals.coverage_ratio, report.min_coverage_ratio)
    yield _row([speech.coverage, escaped(covered)])


def _left_out(count: int, speech: Words) -> Iterator[str]:
    if count:
        yield ""
        yield f"{count} {speech.left_out}"


def _table(shape: Sequence[Column[_T]], rows: Sequence[_T], otherwise: str) -> Iterator[str]:
    if not rows:
        yield otherwise
        return
    yield _row([escaped(column.title) for column in shape])
    yield "|" + "|".join("--:" if column.is_figure else ":--" for column in shape) + "|"
    for row in rows:
        yield _row([escaped(column.text(row)) for column in shape])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
