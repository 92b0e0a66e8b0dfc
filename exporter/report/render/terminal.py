"""Text for terminals under construction: headings, lines and tables, with or without colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import click
import wcwidth

from exporter.report.render.columns import Column
from exporter.table import LEAST_WIDTH, Cell, Head, layout, stacked, width_of, wrapped

_T = TypeVar("_T")


class Page:
    """Text, `width` columns wide."""

    def __init__(self, width: int, *, colour: bool) -> None:
        self.width = max(width, LEAST_WIDTH)
        self._colour = colour
        self._lines: list[str] = []

    def __len__(self) -> int:
        return len(self._lines)

    def heading(self, title: str) -> None:
        """Adds a title, a line above it left free."""
        self.line()
        self.line(f"== {title} ==", bold=True)

    def line(self, text: str = "", **style: Any) -> None:
        """Adds a line of text, wrapped if it is too long, in a style as `click.style` takes it."""
        lines = [text] if width_of(text) <= self.width else wrapped(text, self.width)
        self._lines += (self.painted(line, **style) for line in lines)

    def item(self, mark: str, text: str, *, most: int | None = None, **style: Any) -> None:
        """Adds a text behind a mark, its further lines indented; those after so many are left out, and an … says so."""
        lines = list(wrapped(mark + text, self.width, " " * len(mark)))
        if most and len(lines) > most:
            last = wcwidth.clip(lines[most - 1], 0, self.width - 1).rstrip() + "…"
            lines = [*lines[: most - 1], last]
        self._lines += (self.painted(line, **style) for line in lines)

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
        titles = max(len(lines) - len(rows) - 1, 0)
        self._lines += (self.painted(line, bold=True) for line in lines[:titles])
        self._lines += lines[titles:]

    def grouped(self, heads: Sequence[Head], groups: Mapping[str, Sequence[Sequence[Cell]]]) -> None:
        """Adds a table under one line of heads, in which a title stands above each group of rows."""
        rows = [row for group in groups.values() for row in group]
        self.grid(heads, rows)
        below = iter(self._lines[len(self) - len(rows) :])
        del self._lines[len(self) - len(rows) :]
        for title, group in groups.items():
            self.line(title, bold=True)
            self._lines += islice(below, len(group))

    def painted(self, text: str, **style: Any) -> str:
        """Returns the text in a style, if this page has colour at all."""
        return click.style(text, **style) if self._colour and style and text else text

    def text(self) -> str:
        """Returns all of it, without blanks at the ends of lines."""
        return "".join(f"{line.rstrip()}\n" for line in self._lines)
