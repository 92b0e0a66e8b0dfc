r"""Tables of machine-readable figures: full precision, in the units of their names, empty for null.

The columns are the fields of the rows in report.json, those of `usage` behind the others; lists are joined by `+`,
names that have one with `\+` in its place.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final

from pydantic import BaseModel

from exporter.names import joined, visible
from exporter.report.accounting.figures import Usage
from exporter.report.accounting.rows import GpuRow, Report, TaskRow, UserRow

ENCODING: Final = "utf-8-sig"
"""Of CSV files. Without a byte order mark Excel in Taiwan takes them for Big5 and garbles every Chinese name."""

_FORMULA: Final = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")  # noqa: RUF001  full-width signs start formulas, too
_Scalar = str | float | None
_Cell = _Scalar | list[str]


def gpus(report: Report) -> str:
    """One line a GPU, with its users."""
    return _table(GpuRow, report.gpus)


def users(report: Report) -> str:
    """One line a user, with the shares of all their tasks."""
    return _table(UserRow, report.users)


def tasks(report: Report) -> str:
    """One line a task, with its share."""
    return _table(TaskRow, report.tasks)


def lines(rows: Iterable[Sequence[_Cell]]) -> str:
    """Rows of CSV, quoted where needed, that no spreadsheet takes for formulas."""
    return "".join(_line([_cell(value) for value in row]) for row in rows)


def _table(kind: type[BaseModel], rows: Sequence[GpuRow | UserRow | TaskRow]) -> str:
    keys = [name for name in kind.model_fields if name != "usage"]
    figures = list(Usage.model_fields)
    values = ([getattr(row, key) for key in keys] + [getattr(row.usage, figure) for figure in figures] for row in rows)
    return lines([keys + figures, *values])


def _line(cells: Sequence[_Scalar]) -> str:
    """Ends with a line feed. The writer quotes carriage returns only if lines end with them, so they first do."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: _Cell) -> _Scalar:
    """A cell; text that a spreadsheet would run as a formula starts with an apostrophe, numbers stay numbers.

    What would steer a terminal is made visible: people look at such files with `cat`, and NUL ends a field for many.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        value = joined(value)
    if not isinstance(value, str):
        return value
    return ("'" if _FORMULA.match(value) else "") + visible(value)
