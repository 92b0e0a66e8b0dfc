"""The report as Markdown, for a chat or a wiki: tables of GitHub's dialect, which most of them read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from exporter.names import visible
from exporter.report.accounting.figures import PAGE
from exporter.report.accounting.rows import Report
from exporter.report.accounting.split import owned
from exporter.report.accounting.timeline import Timeline
from exporter.report.render import brief, headline
from exporter.report.render.cells import Cells
from exporter.report.render.clock import Clock
from exporter.report.render.columns import Column, Columns, coverage_if_low, coverage_last, largest
from exporter.report.render.sentences import sentences
from exporter.speech import speech

_MOST_ROWS: Final = 100
"""Of the lists of waste and tasks; a chat refuses longer messages, and CSV and JSON have them all."""
_PIECES: Final = re.compile(r"([\s、，：；（）「」]+)")
"""What keeps apart the words of a text."""
_LINKED: Final = re.compile(r"://|www\.|mailto:|xmpp:|@\w|#\d|:(?!\d\d:\d\d)[\w+-]+:", re.IGNORECASE)
"""What sites make links, mentions and pictures of, backslash or not; not 08:19:32."""
_MARKS: Final = re.compile(r"[\\`*\[~|]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])|\$(?![\d,.]+$)")
"""What means something within a line, in CommonMark or GitHub's dialect; not so in tku_csie, <0.01 and US$12.50."""
_AT_START: Final = re.compile(r"[+#](?=\s|$)|#(?=#)|[-=](?=[-=\s]|$)|>|\d+[.)](?=\s|$)")
"""What makes a list, a heading, a rule or a quote of a line."""

_T = TypeVar("_T")


def render(report: Report, timeline: Timeline, language: str) -> str:
    """Returns the report as Markdown; the same text for the same arguments.

    Args:
        report: The figures.
        timeline: The same GPUs over the same window.
        language: Of all but the names and the warnings.
    """
    return "".join(f"{line}\n" for line in _lines(Cells(report, speech(language)), timeline))


def escaped(text: str) -> str:
    """Returns text that stands for nothing but itself, also inside a table, and that is read well as it is."""
    text = visible(text).strip()
    safe = "".join(map(_escaped, _PIECES.split(text)))
    if (begin := _AT_START.match(text)) and safe.startswith(begin[0]):
        mark = begin.end() - 1
        return f"{safe[:mark]}\\{safe[mark:]}"
    return safe


def _escaped(word: str) -> str:
    """A word with backslashes before its marks; in a code span if sites would make a link of it all the same."""
    if not _LINKED.search(word):
        return _MARKS.sub(r"\\\g<0>", word)
    if "\\" in word or "|" in word:  # in code no backslash keeps a cell together; such names are rare, and not friendly
        return "".join(char if char.isalnum() else f"&#{ord(char)};" for char in word)
    fence = "`" * (max(map(len, re.findall("`+", word)), default=0) + 1)
    padding = " " if "`" in word else ""
    return f"{fence}{padding}{word}{padding}{fence}"


def _lines(cells: Cells, timeline: Timeline) -> Iterator[str]:
    report, words, gettext = cells.report, cells.speech, cells.speech.gettext
    columns = Columns(cells, Clock.of(report).short, cells.marked)
    yield f"# {headline.title(report, words)}"
    yield ""
    yield escaped(headline.span(report, words))
    if partial := headline.partial(report, words):
        yield ""
        yield f"**{partial}**"
    for line in headline.exceptions(report, words):
        yield ""
        yield escaped(line)
    yield ""
    for sentence in sentences(cells, timeline, escaped):
        yield f"- **{sentence.text}**" if sentence.is_fault else f"- {sentence.text}"
    if warnings := brief.other_warnings(cells):
        yield from _heading(gettext("Warnings"))
        yield from (f"- {escaped(warning)}" for warning in warnings)
    if users := brief.users(report):
        yield from _heading(cells.hours(gettext("Users by idle time")))
        yield from _table(coverage_if_low(columns.idle_users(), users, cells), users, "")
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
