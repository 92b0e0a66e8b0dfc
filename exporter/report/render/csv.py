r"""Tables of figures for programs and spreadsheets: in the units of their names, empty for null.

The columns are the fields of the rows in report.json, those of `usage` behind the others. Programs find them by these
names; people who ask for a language get its words as headings, in the same order. Figures have at most six decimals,
which is 4 ms of a GPU-hour; lists are joined by `+`, names that have one with `\+` in its place. Times are on the
clocks of the report's zone in the form of ISO 8601 that spreadsheets take for a time; where clocks change, and an
hour occurs twice, they have their offset.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from pydantic import BaseModel

from exporter.names import joined, visible
from exporter.report.accounting.figures import FIGURES, Figure, Form
from exporter.report.accounting.rows import GpuRow, Report, TaskRow, UserRow
from exporter.report.render.clock import Clock
from exporter.speech import N_, Speech, speech

ENCODING: Final = "utf-8-sig"
"""Of CSV files. Without a byte order mark Excel in Taiwan takes them for Big5 and garbles every Chinese name."""

_FORMULA: Final = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")  # noqa: RUF001  full-width signs start formulas, too
_DECIMALS: Final = 6
_TIMES: Final = frozenset({"start", "end"})
_WORDS: Final = {
    "hostname": N_("Node"),
    "gpu": N_("GPU"),
    "gpu_uuid": N_("Unique id"),
    "gpu_id": N_("GPU id"),
    "model": N_("GPU model"),
    "card": N_("Card"),
    "users": N_("Users"),
    "username": N_("User"),
    "task_count": N_("Tasks"),
    "gpu_count": N_("GPUs"),
    "task_id": N_("Task"),
    "task_type": N_("Task type"),
    "project_uuid": N_("Project"),
    "image": N_("Image"),
    "gpu_uuids": N_("Unique id"),
    "gpu_ids": N_("GPU id"),
    "gpu_model": N_("GPU model"),
    "gpu_memory_mib": N_("GPU memory (MiB)"),
    "start": N_("Start"),
    "end": N_("End"),
    "running": N_("Running"),
    "seconds_in_window": N_("Seconds in window"),
}
"""What the fields that are no figures are called."""
_Scalar = str | float | None
_Cell = _Scalar | list[str]


def gpus(report: Report, language: str | None = None) -> str:
    """One line a GPU, with its users; the headings in a language, or the names of the fields."""
    return _table(GpuRow, report.gpus, report, language)


def users(report: Report, language: str | None = None) -> str:
    """One line a user, with the shares of all their tasks; headings as in `gpus`."""
    return _table(UserRow, report.users, report, language)


def tasks(report: Report, language: str | None = None) -> str:
    """One line a task, with its share; headings as in `gpus`."""
    return _table(TaskRow, report.tasks, report, language)


def lines(rows: Iterable[Sequence[_Cell]]) -> str:
    """Rows of CSV, quoted where needed, that no spreadsheet takes for formulas."""
    return "".join(_line([_cell(value) for value in row]) for row in rows)


def _table(
    kind: type[BaseModel], rows: Sequence[GpuRow | UserRow | TaskRow], report: Report, language: str | None
) -> str:
    keys = [name for name in kind.model_fields if name != "usage"]
    time = Clock.of(report).seconds
    values = (
        [_keyed(key, getattr(row, key), time) for key in keys] + [getattr(row.usage, figure) for figure in FIGURES]
        for row in rows
    )
    names = [*keys, *FIGURES]
    return lines([names if language is None else _headings(names, report, speech(language)), *values])


def _keyed(key: str, value: Any, time: Callable[[str], str]) -> _Cell:
    return time(value) if key in _TIMES and value is not None else value


def _headings(names: Iterable[str], report: Report, words: Speech) -> list[str]:
    """The words for fields, each with its unit, if it is a figure that has one."""
    return [_figure(FIGURES[name], report, words) if name in FIGURES else words.gettext(_WORDS[name]) for name in names]


def _figure(figure: Figure, report: Report, words: Speech) -> str:
    word = words.gettext(figure.word)
    unit = {
        Form.HOURS: words.gettext(N_("GPU-hours")),
        Form.ENERGY: "kWh",
        Form.BYTES: words.gettext(N_("bytes")),
        Form.MONEY: report.currency or "",
    }.get(figure.form, "")
    return words.aside(word, unit) if unit else word


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
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list):
        value = joined(value)
    if not isinstance(value, str):
        return value
    return ("'" if _FORMULA.match(value) else "") + visible(value)


def _number(value: float) -> str:
    """Returns `12.5`: at most six decimals, and never 1e-06."""
    text = f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
