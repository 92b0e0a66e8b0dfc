"""Text for terminals: headings, lines and tables that stay aligned beside wide characters."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from rich.box import Box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from exporter.report.render.columns import Column

LEAST_WIDTH: Final = 80
"""Narrower terminals get lines of this width, and wrap them."""

_T = TypeVar("_T")

_RULED: Final = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
"""A rule below the heads. ASCII: the box characters are two columns wide in some terminals of East Asia."""


@dataclass(frozen=True, slots=True)
class Head:
    """Of a column of a table."""

    title: str = ""
    is_figure: bool = False
    """Aligned right and, while anything else can give way, never cut."""
    is_fixed: bool = False
    """Never cut either."""


class Page:
    """Text under construction, `width` columns wide."""

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
        self._console.print()
        self._console.print(Text(f"== {title} ==", "bold"))

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
            [Head(_stacked(column.title), is_figure=column.is_figure) for column in shown],
            ([column.text(row) for column in shown] for row in rows),
        )

    def grid(self, heads: Sequence[Head], rows: Iterable[Sequence[str | Text]]) -> None:
        """A table of cells, without a line of heads if none has a title."""
        table = Table(
            box=_RULED,
            show_edge=False,
            show_header=any(head.title for head in heads),
            pad_edge=False,
            padding=(0, 1, 0, 0),
            header_style="bold",
        )
        for head in heads:
            table.add_column(
                Text(head.title),
                justify="right" if head.is_figure else "left",
                no_wrap=head.is_figure or head.is_fixed,
                overflow="ellipsis",
                vertical="bottom",
            )
        for row in rows:
            table.add_row(
                *(Text(cell, no_wrap=True, overflow="ellipsis") if isinstance(cell, str) else cell for cell in row)
            )
        self._console.print(table)

    def text(self) -> str:
        """All of it, without blanks at the ends of lines."""
        return "".join(f"{line.rstrip()}\n" for line in self._text.getvalue().splitlines())


def _stacked(title: str) -> str:
    """A long head on two lines: cut at its first blank or, in Chinese, in the middle."""
    if " " in title:
        return title.replace(" ", "\n", 1)
    middle = len(title) // 2
    return title if title.isascii() or len(title) <= 4 else f"{title[:middle]}\n{title[middle:]}"
