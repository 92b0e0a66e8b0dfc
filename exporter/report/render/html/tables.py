"""The tables of the HTML report: which columns each has, and every cell as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, TypeVar

from exporter.report.accounting.rows import GpuRow, NodeRow, ProjectRow, Report, TaskRow, TaskTypeRow, UserRow
from exporter.report.languages import Words
from exporter.report.render import columns
from exporter.report.render.blocks import is_told
from exporter.report.render.clock import Clock
from exporter.report.render.columns import Column, HasUsage, name
from exporter.report.render.figures import coverage, is_low, number

_MOST_TASKS: Final = 3000
_MOST_WASTE: Final = 300

_T = TypeVar("_T")

_SHARE: Final = "owned busy active idle idle_vram_held efficiency p95_utilization mean_vram peak_vram energy"
_WHOLE: Final = (
    "owned free unknown busy busy_unowned idle idle_vram_held efficiency "
    "mean_utilization p95_utilization mean_vram p95_vram peak_vram energy"
)


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
    left_out: int
    """Rows that only the other formats have."""
    is_told: bool
    """Whether no rows means that there are none."""


def tables(report: Report, words: Words) -> dict[str, Table]:
    """All tables, by the name of their list in the report."""
    made = _Tables(report, words)
    return {
        "waste": made.waste(),
        "users": made.users(),
        "nodes": made.nodes(),
        "gpus": made.gpus(),
        "tasks": made.tasks(),
        "task_types": made.task_types(),
        "projects": made.projects(),
    }


@dataclass(frozen=True, slots=True)
class _Tables:
    """Text first, then how much of the figures was observed, the figures, and the ids that few look at."""

    report: Report
    words: Words

    def waste(self) -> Table:
        *shown, _covered = columns.waste(self.report, self.words)
        rows = self.report.waste[:_MOST_WASTE]
        left_out = len(self.report.waste) - len(rows)
        return self._table("waste", shown, rows, lambda row: row.coverage_ratio, left_out)

    def users(self) -> Table:
        shown: list[Column[UserRow]] = [
            name(self.words.user, lambda row: row.username),
            Column(self.words.tasks, lambda row: number(row.task_count, 0)),
            Column(self.words.gpus, lambda row: number(row.gpu_count, 0)),
            *self._figures(f"{_SHARE} energy_per_busy cost"),
        ]
        return self._table("users", shown, self.report.users, _coverage)

    def nodes(self) -> Table:
        shown: list[Column[NodeRow]] = [
            name(self.words.node, lambda row: row.hostname),
            Column(self.words.gpus, lambda row: number(row.gpu_count, 0)),
            *self._figures(f"capacity {_WHOLE}"),
        ]
        return self._table("nodes", shown, self.report.nodes, _coverage)

    def gpus(self) -> Table:
        shown: list[Column[GpuRow]] = [
            name(self.words.node, lambda row: row.hostname),
            name(self.words.gpu, lambda row: None if row.gpu is None else str(row.gpu)),
            name(self.words.gpu_id, lambda row: row.gpu_id),
            name(self.words.users, lambda row: " + ".join(row.users)),
            *self._figures(_WHOLE),
            name(self.words.card, lambda row: row.card),
            name(self.words.gpu_uuid, lambda row: row.gpu_uuid),
        ]
        return self._table("gpus", shown, self.report.gpus, _coverage)

    def tasks(self) -> Table:
        clock = Clock.of(self.report)
        shown: list[Column[TaskRow]] = [
            name(self.words.user, lambda row: row.username),
            name(self.words.task_type, lambda row: row.task_type),
            name(self.words.node, lambda row: row.hostname),
            name(self.words.gpu_id, lambda row: columns.gpu_ids(row.gpu_ids)),
            name(self.words.start, lambda row: clock.seconds(row.start)),
            name(self.words.end, lambda row: clock.seconds(row.end) if row.end else self.words.running),
            Column(self.words.duration, lambda row: number(row.seconds_in_window / 3600)),
            *self._figures("owned busy idle idle_vram_held efficiency mean_vram peak_vram energy cost"),
            name(self.words.image, lambda row: row.image),
            name(self.words.project, lambda row: row.project_uuid),
            name(self.words.task, lambda row: row.task_id),
        ]
        rows = columns.largest(self.report.tasks, _MOST_TASKS)
        return self._table("tasks", shown, rows, _coverage, len(self.report.tasks) - len(rows))

    def task_types(self) -> Table:
        shown: list[Column[TaskTypeRow]] = [
            name(self.words.task_type, lambda row: row.task_type),
            Column(self.words.tasks, lambda row: number(row.task_count, 0)),
            *self._figures(f"{_SHARE} cost"),
        ]
        return self._table("task_types", shown, self.report.task_types, _coverage)

    def projects(self) -> Table:
        shown: list[Column[ProjectRow]] = [
            name(self.words.project, lambda row: row.project_uuid),
            name(self.words.users, lambda row: " + ".join(row.usernames)),
            Column(self.words.tasks, lambda row: number(row.task_count, 0)),
            *self._figures(f"{_SHARE} cost"),
        ]
        return self._table("projects", shown, self.report.projects, _coverage)

    def _figures(self, names: str) -> list[Column[HasUsage]]:
        return columns.usage(names, self.report, self.words)

    def _table(
        self,
        which: str,
        shown: list[Column[_T]],
        rows: list[_T],
        covered: Callable[[_T], float | None],
        left_out: int = 0,
    ) -> Table:
        lead = _names_first(shown)
        ratio: Column[_T] = Column(self.words.coverage, lambda row: coverage(covered(row)))
        every = [*shown[:lead], ratio, *shown[lead:]]
        least = self.report.min_coverage_ratio
        return Table(
            heads=tuple((column.title, column.is_figure) for column in every),
            lead=lead,
            tail=_names_first(reversed(shown)),
            rows=tuple(Row(tuple(column.text(row) for column in every), is_low(covered(row), least)) for row in rows),
            left_out=left_out,
            is_told=is_told(which, self.report),
        )


def _names_first(shown: Iterable[Column[_T]]) -> int:
    """How many columns stand before the first figure."""
    return len(list(takewhile(lambda column: not column.is_figure, shown)))


def _coverage(row: HasUsage) -> float | None:
    return row.usage.coverage_ratio
