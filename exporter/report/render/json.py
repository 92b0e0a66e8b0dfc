"""The report for programs: JSON that keeps to docs/report.schema.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import TypeAdapter

from exporter.report.accounting.rows import Report, TaskRow, WasteRow

_REPORT: Final = TypeAdapter(Report)
_LONG: Final[dict[str, TypeAdapter[Any]]] = {"tasks": TypeAdapter(list[TaskRow]), "waste": TypeAdapter(list[WasteRow])}
"""The lists that may be, in the order of the fields."""
_PIECE: Final = 1000
"""Rows that are put into text at once."""


def render(report: Report) -> str:
    """Returns the whole report, unrounded; null is what cannot be told."""
    return b"".join(pieces(report)).decode()


def pieces(report: Report) -> Iterator[bytes]:
    """Yields the same as UTF-8, piece by piece: 100,000 tasks take 200 MB."""
    rest = _REPORT.dump_json(report.model_copy(update={name: [] for name in _LONG}), indent=2) + b"\n"
    for name, rows in _LONG.items():
        # Nowhere else: within a JSON string there is no line feed, and fields of rows are indented further.
        before, empty, rest = rest.partition(b'\n  "%b": []' % name.encode())
        yield before + empty.removesuffix(b"]")
        yield from _rows(rows, getattr(report, name))
    yield rest


def _rows(kind: TypeAdapter[Any], rows: Any) -> Iterator[bytes]:
    """Yields the rows of a list, and its end."""
    for first in range(0, len(rows), _PIECE):
        text = kind.dump_json(rows[first : first + _PIECE], indent=2)
        yield b"," * (first > 0) + text.removeprefix(b"[").removesuffix(b"\n]").replace(b"\n", b"\n  ")
    yield b"\n  ]" if rows else b"]"
