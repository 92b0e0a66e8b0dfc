"""Lines and columns for a terminal, aligned beside wide characters: for the commands, and for the report's text."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, NamedTuple

import wcwidth

from exporter.names import visible

LEAST_WIDTH: Final = 80
"""Narrower terminals get lines of this width, and wrap them."""
_GAP: Final = "  "
_LONGEST_LINE: Final = 4
"""Characters of a Chinese head that stay on one line."""
_LEAST_NAME: Final = 4
"""Columns that a name keeps, however little room there is."""

_WIDE: Final = r"\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"
_PIECES: Final = re.compile(rf"\s+|[（「『]*(?:[{_WIDE}]|[^\s{_WIDE}]+)[、。，：；）」』\uff01\uff1f]*")
"""Between these a line may end: at blanks, and in Chinese anywhere but within its brackets and before its stops."""


@dataclass(frozen=True, slots=True)
class Head:
    """Of a column of a table."""

    title: str = ""
    """Of one line or more."""
    is_figure: bool = False
    """Aligned right and never cut."""
    is_fixed: bool = False
    """Never cut either."""


class Painted(NamedTuple):
    """A cell with escape sequences in it."""

    plain: str
    """Without them."""
    text: str


Cell = str | Painted


def terminal_width() -> int:
    """Returns the columns of the terminal that stdout is, or of one that is as narrow as lines get."""
    return max(LEAST_WIDTH, shutil.get_terminal_size().columns)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a heading and rows as lines; the last column is not padded."""
    lines = [[visible(cell) for cell in line] for line in (headings, *rows)]
    heads = [Head(is_fixed=True) for _ in headings]
    return "\n".join(line.rstrip() for line in layout(heads, lines))


def layout(heads: Sequence[Head], rows: Sequence[Sequence[Cell]], width: int | None = None) -> Iterator[str]:
    """Lays out heads, a rule below them, and rows; without titles, the rows alone.

    Args:
        heads: One a column.
        rows: Cells without control characters.
        width: Columns of the terminal, to fit which names give way; None: as many as it takes.
    """
    titles = _bottom_aligned([head.title for head in heads])
    widths = _widths(heads, [*titles, *rows], width)
    if titles:
        yield from (_row(heads, widths, line).rstrip() for line in titles)
        # ASCII: the box characters are two columns wide in some terminals of East Asia.
        yield "-" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    yield from (_row(heads, widths, row) for row in rows)


def stacked(title: str) -> str:
    """Returns a long head on two lines, cut near its middle: at a blank, before a unit or, in Chinese, anywhere."""
    middle = len(title) // 2
    cuts = [place for place, char in enumerate(title) if char in " （"]
    if not cuts and not title.isascii() and len(title) > _LONGEST_LINE:
        cuts = [middle]
    if not cuts:
        return title
    cut = min(cuts, key=lambda place: abs(place - middle))
    return f"{title[:cut]}\n{title[cut:].lstrip()}"


def width_of(text: str) -> int:
    """Returns how many columns a text without control characters takes: 陳怡君 takes six."""
    return len(text) if text.isascii() else wcwidth.wcswidth(text)


def wrapped(text: str, width: int, indent: str = "") -> Iterator[str]:
    """Yields a text in lines of at most so many columns, those after the first indented.

    wcwidth.wrap takes a Chinese sentence for one word.
    """
    line = ""
    for piece in _pieces(text, width - width_of(indent)):
        if line.strip() and width_of(line + piece.rstrip()) > width:
            yield line.rstrip()
            line = indent + piece.lstrip()
        else:
            line += piece
    if line.strip():
        yield line.rstrip()


def cut(text: str, width: int) -> str:
    """Returns a text of at most so many columns; an … stands for what is left out."""
    return text if width_of(text) <= width else wcwidth.clip(text, 0, width - 1).rstrip() + "…"


def _bottom_aligned(titles: Sequence[str]) -> list[list[str]]:
    """The lines of heads; none if there are no titles."""
    if not any(titles):
        return []
    upward = zip_longest(*(reversed(title.split("\n")) for title in titles), fillvalue="")
    return [list(line) for line in upward][::-1]


def _widths(heads: Sequence[Head], rows: Sequence[Sequence[Cell]], room: int | None) -> list[int]:
    """Of the columns; if they are too many, the widest names give way."""
    widths = [max(map(_width, column), default=0) for column in zip(*rows, strict=True)] or [0]
    names = [place for place, head in enumerate(heads) if not head.is_figure and not head.is_fixed]
    excess = 0 if room is None else sum(widths) + len(_GAP) * (len(widths) - 1) - room
    for _ in range(excess):
        widest = max(names, key=lambda place: widths[place], default=None)
        if widest is None or widths[widest] <= _LEAST_NAME:
            break
        widths[widest] -= 1
    return widths


def _row(heads: Sequence[Head], widths: Sequence[int], cells: Sequence[Cell]) -> str:
    return _GAP.join(
        _aligned(cell, width, to_right=head.is_figure) for head, width, cell in zip(heads, widths, cells, strict=True)
    )


def _aligned(cell: Cell, width: int, *, to_right: bool) -> str:
    blank = width - _width(cell)
    if isinstance(cell, Painted):
        return cell.text + " " * blank
    if blank < 0:
        cell = wcwidth.clip(cell, 0, width - 1).rstrip() + "…"
        blank = width - width_of(cell)
    return " " * blank + cell if to_right else cell + " " * blank


def _width(cell: Cell) -> int:
    return width_of(cell.plain if isinstance(cell, Painted) else cell)


def _pieces(text: str, most: int) -> Iterator[str]:
    """Yields what a line cannot end within, cut where it is wider than a line."""
    for piece in _PIECES.findall(text):
        rest = piece
        while width_of(rest) > most:
            head = wcwidth.clip(rest, 0, most).rstrip()
            yield head
            rest = rest.removeprefix(head)
        yield rest
