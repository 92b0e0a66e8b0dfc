"""The report for programs: JSON that keeps to docs/report.schema.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import TypeAdapter

from exporter.report.accounting.rows import Report, TaskRow

_REPORT: Final = TypeAdapter(Report)
_TASKS: Final = TypeAdapter(list[TaskRow])
_NO_TASKS: Final = b'\n  "tasks": []'
"""Nowhere else: within a JSON string there is no line feed, and fields of rows are indented further."""
_PIECE: Final = 1000
"""Tasks that are put into text at once."""


def render(report: Report) -> str:
    """Returns the whole report, unrounded; null is what cannot be told."""
    return b"".join(pieces(report)).decode()


def pieces(report: Report) -> Iterator[bytes]:
    """Yields the same as UTF-8, piece by piece: 100,000 tasks take 200 MB."""
    others = _REPORT.dump_json(report.model_copy(update={"tasks": []}), indent=2) + b"\n"
    before, no_tasks, after = others.partition(_NO_TASKS)
    yield before
    yield no_tasks.removesuffix(b"]")
    for first in range(0, len(report.tasks), _PIECE):
        rows = _TASKS.dump_json(report.tasks[first : first + _PIECE], indent=2)
        yield b"," * (first > 0) + rows.removeprefix(b"[").removesuffix(b"\n]").replace(b"\n", b"\n  ")
    yield b"\n  ]" if report.tasks else b"]"
    yield after
