"""Plain columns for a terminal, aligned beside wide characters."""

from __future__ import annotations

from collections.abc import Sequence

import wcwidth

from exporter.names import visible


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lays out a heading and rows; the last column is not padded."""
    lines = [[visible(cell) for cell in line] for line in (headings, *rows)]
    widths = [max(wcwidth.wcswidth(line[n]) for line in lines) for n in range(len(headings))]
    return "\n".join("  ".join(map(_padded, line, widths)).rstrip() for line in lines)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - wcwidth.wcswidth(text))
