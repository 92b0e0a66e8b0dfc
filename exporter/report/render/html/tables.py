"""The tables of the HTML report, every cell as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Final, TypeVar

from exporter.report.render.cells import Cells, coverage, is_told
from exporter.report.render.clock import Clock
from exporter.report.render.columns import Column, Columns, largest

_MOST_TASKS: Final = 3000
_MOST_WASTE: Final = 300

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    cells: tuple[str, ...]
    is_low: bool
    """Whether too little of it was observed."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table as the template prints it."""

    heads: tuple[tuple[str, bool], ...]
    """Titles, and whether numbers stand below."""
    lead: int
    """How many columns of text come first; that of the coverage follows them."""
    tail: int
    """How many come last."""
    rows: tuple[Row, ...]
    left_out: str
    """How many rows only the other formats have, in words; empty if there are none."""
    count: int
    """Rows, with those."""
    is_told: bool
    """Whether no rows means that there are none."""


def tables(cells: Cells) -> dict[str, Table]:
    """Returns all tables, by the name of their list in the report."""
    report = cells.report
    columns = Columns(cells, Clock.of(report).seconds, partial(coverage, speech=cells.speech))
    tasks, waste = largest(report.tasks, _MOST_TASKS), report.waste[:_MOST_WASTE]
    return {
        "waste": _table("waste", cells, columns.waste(), waste, len(report.waste) - len(waste)),
        "users": _table("users", cells, columns.users(), report.users),
        "nodes": _table("nodes", cells, columns.nodes(), report.nodes),
        "gpus": _table("gpus", cells, columns.gpus(), report.gpus),
        "tasks": _table("tasks", cells, columns.tasks(), tasks, len(report.tasks) - len(tasks)),
        "task_types": _table("task_types", cells, columns.task_types(), report.task_types),
        "projects": _table("projects", cells, columns.projects(), report.projects),
    }


def _table(which: str, cells: Cells, shown: Sequence[Column[_T]], rows: Sequence[_T], left_out: int = 0) -> Table:
    """Names first, then how much of the figures was observed, the figures, and the ids that few look at."""
    lead = _names_first(shown)
    (covered,) = (column for column in shown if column.coverage)
    ordered = [*shown[:lead], covered, *(column for column in shown[lead:] if column is not covered)]
    ratio = covered.coverage or (lambda _: None)
    return Table(
        heads=tuple((column.title, column.is_figure) for column in ordered),
        lead=lead,
        tail=_names_first(reversed(shown)),
        rows=tuple(Row(tuple(column.text(row) for column in ordered), cells.is_low(ratio(row))) for row in rows),
        left_out=cells.left_out(left_out) if left_out else "",
        count=len(rows) + left_out,
        is_told=is_told(which, cells.report),
    )


def _names_first(shown: Iterable[Column[_T]]) -> int:
    """How many columns stand before the first figure."""
    return len(list(takewhile(lambda column: not column.is_figure, shown)))
