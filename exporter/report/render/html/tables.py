"""The tables of the HTML report, every cell as text.

A phone shows three or four columns: who, then how much was owned and how much of it idle; the rest scrolls into sight.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, TypeVar

from exporter.report.render import brief
from exporter.report.render.cells import Cells, coverage, is_told
from exporter.report.render.clock import Clock
from exporter.report.render.columns import Column, Columns, coverage_if_low, largest

_MOST_TASKS: Final = 3000
_MOST_WASTE: Final = 300
_EARLY: Final = frozenset({"owned_gpu_hours", "idle_gpu_hours"})
"""Figures that come first, wherever they stand in the catalogue."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Head:
    """Of a column."""

    title: str
    is_number: bool
    style: str
    """The class of its cells: `t` is text, `t x` an id or the like that paper has no room for."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    cells: tuple[str, ...]
    is_low: bool
    """Whether too little of it was observed."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table as the template prints it."""

    heads: tuple[Head, ...]
    covered: int | None
    """Which column is the coverage; it is there if that of any row is low, and says nothing of the others."""
    rows: tuple[Row, ...]
    left_out: str
    """How many rows only the other formats have, in words; empty if there are none."""
    count: int
    """Rows, with those."""
    is_told: bool
    """Whether no rows means that there are none."""


def tables(cells: Cells) -> dict[str, Table]:
    """Returns all tables, by the name of their list in the report; `idle_users` is the brief's."""
    report = cells.report

    def low_coverage(ratio: float | None) -> str:
        return coverage(ratio, cells.speech) if cells.is_low(ratio) else ""

    columns = Columns(cells, Clock.of(report).seconds, low_coverage)
    tasks, waste = largest(report.tasks, _MOST_TASKS), report.waste[:_MOST_WASTE]
    return {
        "idle_users": _table("users", cells, columns.idle_users(), brief.users(report)),
        "waste": _table("waste", cells, columns.waste(), waste, left_out=len(report.waste) - len(waste)),
        "users": _table("users", cells, columns.users(), report.users),
        "nodes": _table("nodes", cells, columns.nodes(), report.nodes),
        "gpus": _table("gpus", cells, columns.gpus(), report.gpus, keys=2),
        "tasks": _table("tasks", cells, columns.tasks(), tasks, left_out=len(report.tasks) - len(tasks)),
        "task_types": _table("task_types", cells, columns.task_types(), report.task_types),
        "projects": _table("projects", cells, columns.projects(), report.projects),
    }


def _table(
    which: str, cells: Cells, columns: Sequence[Column[_T]], rows: Sequence[_T], *, keys: int = 1, left_out: int = 0
) -> Table:
    """Lays out a table: `keys` columns tell the rows apart, then come the figures that matter, and the coverage."""
    shown = coverage_if_low(columns, rows, cells)
    ids = shown[len(shown) - tail :] if (tail := _names_first(reversed(shown))) > 1 else []
    ordered = [*shown[:keys], *sorted(shown[keys:], key=_place)]
    covered = next((place for place, column in enumerate(ordered) if column.coverage), None)
    ratio = (ordered[covered].coverage if covered is not None else None) or (lambda _: None)
    return Table(
        heads=tuple(
            Head(column.title, column.is_figure, "" if column.is_figure else "t x" if column in ids else "t")
            for column in ordered
        ),
        covered=covered,
        rows=tuple(Row(tuple(column.text(row) for column in ordered), cells.is_low(ratio(row))) for row in rows),
        left_out=cells.left_out(left_out) if left_out else "",
        count=len(rows) + left_out,
        is_told=is_told(which, cells.report),
    )


def _place(column: Column[_T]) -> int:
    return 0 if column.field in _EARLY else 1 if column.coverage else 2


def _names_first(shown: Iterable[Column[_T]]) -> int:
    """How many columns stand before the first figure."""
    return len(list(takewhile(lambda column: not column.is_figure, shown)))
