"""Text for terminals: headings, lines and tables that stay aligned beside wide characters."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from exporter.report.render.columns import Column

LEAST_WIDTH: Final = 80
"""Narrower terminals get lines of this width, and wrap them."""

_GAP: Final = "  "
_LEAST_NAME: Final = 4
"""Columns that a name keeps, however little room there is."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Head:
    """Of a column of a table."""

    title: str = ""
    is_figure: bool = False
    """Aligned right and never cut."""
    is_fixed: bool = False
    """Never cut either."""


class Page:
    """Text under construction, `width` columns wide.

    Tables are laid out here, by rich's widths of characters: its own tables take a millisecond a row, and squeeze
    figures as readily as names.
    """

    def __init__(self, width: int, *, colour: bool) -> None:
        self.width = max(width, LEAST_WIDTH)
        self._text = io.StringIO()
        self._console = Console(
            file=self._text,
            width=self.width,
            force_terminal=colour,
            no_color=not colour,
            color_system="standard" if colour else None,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
            _environ={},
        )

    def heading(self, title: str) -> None:
        """A title, a line above it left free."""
        self.line()
        self.line(f"== {title} ==", "bold")

    def line(self, text: str = "", style: str = "") -> None:
        """A line of text, wrapped if it is too long."""
        self._console.print(Text(text, style))

    def verbatim(self, lines: Iterable[str]) -> None:
        """Lines as they are, however long."""
        self._text.writelines(f"{line}\n" for line in lines)

    def table(self, columns: Sequence[Column[_T]], rows: Sequence[_T]) -> None:
        """A table of the columns that the width has room for."""
        shown = [column for column in columns if column.least_width <= self.width]
        self.grid(
            [Head(stacked(column.title), is_figure=column.is_figure) for column in shown],
            [[column.text(row) for column in shown] for row in rows],
        )

    def grid(self, heads: Sequence[Head], rows: Sequence[Sequence[str | Text]]) -> None:
        """A table of cells, without a line of heads if none has a title."""
        titles = _bottom_aligned([head.title for head in heads])
        widths = self._widths(heads, [*titles, *rows])
        if titles:
            for line in titles:
                self.line(self._row(heads, widths, line).rstrip(), "bold")
            # ASCII: the box characters are two columns wide in some terminals of East Asia.
            self.line("-" * (sum(widths) + len(_GAP) * (len(widths) - 1)))
        self.verbatim(self._row(heads, widths, row) for row in rows)

    def text(self) -> str:
        """All of it, without blanks at the ends of lines."""
        return "".join(f"{line.rstrip()}\n" for line in self._text.getvalue().splitlines())

    def _widths(self, heads: Sequence[Head], rows: Sequence[Sequence[str | Text]]) -> list[int]:
        """Of the columns; if they are too many, the widest names give way."""
        widths = [max((_width(cell) for cell in column), default=0) for column in zip(*rows, strict=True)] or [0]
        names = [place for place, head in enumerate(heads) if not head.is_figure and not head.is_fixed]
        excess = sum(widths) + len(_GAP) * (len(widths) - 1) - self.width
        for _ in range(excess):
            widest = max(names, key=lambda place: widths[place], default=None)
            if widest is None or widths[widest] <= _LEAST_NAME:
                break
            widths[widest] -= 1
        return widths

    def _row(self, heads: Sequence[Head], widths: Sequence[int], cells: Sequence[str | Text]) -> str:
        return _GAP.join(
            self._aligned(cell, width, to_right=head.is_figure)
            for head, width, cell in zip(heads, widths, cells, strict=True)
        )

    def _aligned(self, cell: str | Text, width: int, *, to_right: bool) -> str:
        blank = " " * (width - _width(cell))
        if isinstance(cell, Text):
            return self._styled(cell) + blank
        if _width(cell) > width:
            cell = set_cell_size(cell, width - 1).rstrip() + "…"
            blank = " " * (width - _width(cell))
        return blank + cell if to_right else cell + blank

    def _styled(self, text: Text) -> str:
        with self._console.capture() as captured:
            self._console.print(text, end="", soft_wrap=True)
        return captured.get()


def _width(cell: str | Text) -> int:
    return cell_len(cell.plain if isinstance(cell, Text) else cell)


def stacked(title: str) -> str:
    """A long head on two lines: cut at the blank or, in Chinese, between the characters nearest to its middle."""
    middle = len(title) // 2
    blanks = [place for place, char in enumerate(title) if char == " "]
    if blanks:
        place = min(blanks, key=lambda place: abs(place - middle))
        return f"{title[:place]}\n{title[place + 1 :]}"
    return title if title.isascii() or len(title) <= 4 else f"{title[:middle]}\n{title[middle:]}"


def _bottom_aligned(titles: Sequence[str]) -> list[list[str]]:
    """The lines of heads; none if there are no titles."""
    if not any(titles):
        return []
    upward = zip_longest(*(reversed(title.split("\n")) for title in titles), fillvalue="")
    return [list(line) for line in upward][::-1]
