"""Text for terminals under construction: headings, lines and tables, with or without colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

import click
import wcwidth

from exporter.report.render.columns import Column
from exporter.table import Cell, Head, layout, stacked, width_of

LEAST_WIDTH: Final = 80
"""Narrower terminals get lines of this width, and wrap them."""

_T = TypeVar("_T")


class Page:
    """Text, `width` columns wide."""

    def __init__(self, width: int, *, colour: bool) -> None:
        self.width = max(width, LEAST_WIDTH)
        self._colour = colour
        self._lines: list[str] = []

    def heading(self, title: str) -> None:
        """Adds a title, a line above it left free."""
        self.line()
        self.line(f"== {title} ==", bold=True)

    def line(self, text: str = "", **style: Any) -> None:
        """Adds a line of text, wrapped if it is too long, in a style as `click.style` takes it."""
        wrapped = [text] if width_of(text) <= self.width else wcwidth.wrap(text, self.width)
        self._lines += (self.painted(line, **style) for line in wrapped)

    def verbatim(self, lines: Iterable[str]) -> None:
        """Adds lines as they are, however long."""
        self._lines += lines

    def table(self, columns: Sequence[Column[_T]], rows: Sequence[_T]) -> None:
        """Adds a table of the columns that the width has room for."""
        shown = [column for column in columns if column.least_width <= self.width]
        self.grid(
            [Head(stacked(column.title), is_figure=column.is_figure, is_fixed=column.is_fixed) for column in shown],
            [[column.text(row) for column in shown] for row in rows],
        )

    def grid(self, heads: Sequence[Head], rows: Sequence[Sequence[Cell]]) -> None:
        """Adds a table of cells, without a line of heads if none has a title."""
        lines = list(layout(heads, rows, self.width))
        titles = len(lines) - len(rows) - 1
        self._lines += (self.painted(line, bold=True) for line in lines[: max(titles, 0)])
        self._lines += lines[max(titles, 0) :]

    def painted(self, text: str, **style: Any) -> str:
        """Returns the text in a style, if this page has colour at all."""
        return click.style(text, **style) if self._colour and style and text else text

    def text(self) -> str:
        """Returns all of it, without blanks at the ends of lines."""
        return "".join(f"{line.rstrip()}\n" for line in self._lines)
