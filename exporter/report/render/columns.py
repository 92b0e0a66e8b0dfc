"""The columns of every table, each cell as text: names, the figures that the catalogue says, ids that few look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import groupby
from operator import attrgetter
from typing import Final, Generic, Protocol, TypeVar

from exporter.names import visible
from exporter.report.accounting.figures import FIGURES, PAGE, WIDE, WIDEST, Figure, Form, TableName, Usage
from exporter.report.accounting.findings import Holding, IdleUser
from exporter.report.accounting.rows import (
    GpuRow,
    NodeRow,
    ProjectRow,
    TaskRow,
    TaskRows,
    TaskTypeRow,
    UserRow,
    WasteRow,
)
from exporter.report.render.cells import Cells
from exporter.speech import ABSENT, N_

TITLES: Final = {
    "nodes": N_("Nodes"),
    "gpus": N_("GPUs"),
    "users": N_("Users"),
    "task_types": N_("Task types"),
    "projects": N_("Projects"),
    "waste": N_("Owned but idle"),
    "tasks": N_("Tasks"),
}
"""Of the tables, by the name of their list in the report."""
_MOST_DIGITS: Final = 9
"""Of the API's number of a GPU, if it is one; Python refuses to read thousands."""

_T = TypeVar("_T")
_T_contra = TypeVar("_T_contra", contravariant=True)


class HasUsage(Protocol):
    """A row of nearly every table."""

    @property
    def usage(self) -> Usage:
        """Its figures."""


@dataclass(frozen=True, slots=True)
class Column(Generic[_T_contra]):
    """One column of a table of rows."""

    title: str
    text: Callable[[_T_contra], str]
    is_figure: bool = True
    """Figures are never cut short, names are."""
    is_fixed: bool = False
    """Whether it is no figure, and yet never cut."""
    least_width: int = 0
    """Of the terminal; narrower ones leave the column out."""
    coverage: Callable[[_T_contra], float | None] | None = None
    """What it shows, if that is how much of the row was observed."""
    field: str = ""
    """Of the row or its usage, if it is a figure of that."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one report's tables, each in the order of the page."""

    cells: Cells
    time: Callable[[str], str]
    """Writes an instant."""
    coverage: Callable[[float | None], str]
    """Writes a coverage, with its mark where that is part of the text."""

    def nodes(self) -> list[Column[NodeRow]]:
        """Returns those of the nodes."""
        return [
            self._name(N_("Node"), lambda row: row.hostname),
            self._count(N_("GPUs"), lambda row: row.gpu_count, WIDE),
            *self.figures("nodes"),
        ]

    def gpus(self) -> list[Column[GpuRow]]:
        """Returns those of the GPUs."""
        return [
            self._name(N_("Node"), lambda row: row.hostname),
            self._name(N_("GPU"), lambda row: None if row.gpu is None else str(row.gpu)),
            self._name(N_("GPU id"), lambda row: row.gpu_id),
            self._name(N_("Users"), lambda row: " + ".join(row.users)),
            *self.figures("gpus"),
            self._name(N_("Card"), lambda row: row.card),
            self._name(N_("Unique id"), lambda row: row.gpu_uuid),
        ]

    def users(self) -> list[Column[UserRow]]:
        """Returns those of the users."""
        return [
            self._name(N_("User"), lambda row: row.username),
            self._count(N_("Tasks"), lambda row: row.task_count),
            self._count(N_("GPUs"), lambda row: row.gpu_count),
            *self.figures("shares"),
        ]

    def task_types(self) -> list[Column[TaskTypeRow]]:
        """Returns those of the task types."""
        return [
            self._name(N_("Task type"), lambda row: row.task_type),
            self._count(N_("Tasks"), lambda row: row.task_count),
            *self.figures("shares"),
        ]

    def projects(self) -> list[Column[ProjectRow]]:
        """Returns those of the projects."""
        return [
            self._name(N_("Project"), lambda row: row.project_name or row.project_uuid),
            self._name(N_("Users"), lambda row: " + ".join(row.usernames)),
            self._count(N_("Tasks"), lambda row: row.task_count),
            *self.figures("shares"),
        ]

    def tasks(self, *, with_node: bool = True) -> list[Column[TaskRow]]:
        """Returns those of the tasks, without the node where that stands above the table."""
        running = self.cells.speech.gettext("running")
        node: list[Column[TaskRow]] = [self._name(N_("Node"), lambda row: row.hostname)] if with_node else []
        return [
            self._name(N_("User"), lambda row: row.username),
            self._name(N_("Task type"), lambda row: row.task_type, WIDE),
            *node,
            self._ids(N_("GPU id"), lambda row: row.gpu_ids),
            self._time(N_("Start"), lambda row: self.time(row.start)),
            self._time(N_("End"), lambda row: self.time(row.end) if row.end else running),
            self._number(N_("Hours in window"), lambda row: row.seconds_in_window / 3600, PAGE),
            *self.figures("tasks"),
            self._name(N_("Image"), lambda row: row.image, PAGE),
            self._name(N_("Project"), lambda row: row.project_uuid, PAGE),
            self._name(N_("Task"), lambda row: row.task_id, WIDEST),
        ]

    def waste(self) -> list[Column[WasteRow]]:
        """Returns those of the tasks that left GPUs idle."""
        cost = FIGURES["cost"]
        costs: list[Column[WasteRow]] = [
            Column(self._word(cost.word), lambda row: self.cells.value(cost.form, row.cost), least_width=WIDEST)
        ]
        if not cost.is_told(self.cells.report.totals):
            costs = []
        return [
            self._name(N_("User"), lambda row: row.username),
            self._name(N_("Task type"), lambda row: row.task_type, WIDE),
            self._name(N_("Node"), lambda row: row.hostname),
            self._ids(N_("GPU id"), lambda row: row.gpu_ids),
            Column(
                self._word(FIGURES["coverage_ratio"].word),
                lambda row: self.coverage(row.coverage_ratio),
                coverage=lambda row: row.coverage_ratio,
            ),
            self._number(FIGURES["idle_gpu_hours"].word, lambda row: row.idle_gpu_hours, field="idle_gpu_hours"),
            self._number(FIGURES["idle_vram_held_gpu_hours"].word, lambda row: row.idle_vram_held_gpu_hours, WIDE),
            self._number(N_("Longest idle"), lambda row: row.longest_idle_hours),
            self._number(N_("Would free"), lambda row: row.freed_gpus),
            *costs,
            self._name(N_("Task"), lambda row: row.task_id, WIDE),
        ]

    def idle_users(self) -> list[Column[IdleUser]]:
        """Returns those of the brief's users."""
        covered: Column[IdleUser] = Column(
            self._word(FIGURES["coverage_ratio"].word),
            lambda row: self.coverage(row.coverage),
            coverage=lambda row: row.coverage,
        )
        return [
            self._name(N_("User"), lambda row: row.username),
            self._number(FIGURES["idle_gpu_hours"].word, lambda row: row.idle_hours, field="idle_gpu_hours"),
            Column(self._word(N_("Of the owned")), lambda row: self.cells.speech.percent(row.part)),
            self._number(N_("Would free"), lambda row: row.freed_gpus),
            Column(self._word(N_("Most of it")), lambda row: self._holding(row.worst), is_figure=False),
            covered,
        ]

    def _holding(self, worst: Holding | None) -> str:
        if worst is None or worst.task_type is None or worst.hostname is None:
            return ABSENT
        hours = self.cells.speech.number(worst.idle_hours)
        return f"{hours} · {visible(worst.task_type)} · {visible(worst.hostname)}"

    def figures(self, table: TableName) -> list[Column[HasUsage]]:
        """Returns the figures that a table shows."""
        shown = ((name, figure, figure.least_width(table)) for name, figure in self.cells.told().items())
        return [self._figure(name, figure, width) for name, figure, width in shown if width is not None]

    def _word(self, word: str) -> str:
        return self.cells.speech.gettext(word)

    def _name(self, word: str, text: Callable[[_T], str | None], least_width: int = 0) -> Column[_T]:
        """A column of what others chose, or a dash."""
        return Column(
            self._word(word), lambda row: visible(text(row) or "") or ABSENT, is_figure=False, least_width=least_width
        )

    def _ids(self, word: str, ids: Callable[[_T], list[str]]) -> Column[_T]:
        return Column(self._word(word), lambda row: gpu_ids(ids(row)), is_figure=False)

    def _time(self, word: str, text: Callable[[_T], str]) -> Column[_T]:
        return Column(self._word(word), text, is_figure=False, is_fixed=True)

    def _count(self, word: str, value: Callable[[_T], int | None], least_width: int = 0) -> Column[_T]:
        return Column(self._word(word), lambda row: self.cells.speech.number(value(row), 0), least_width=least_width)

    def _number(self, word: str, value: Callable[[_T], float], least_width: int = 0, field: str = "") -> Column[_T]:
        return Column(
            self._word(word), lambda row: self.cells.speech.number(value(row)), least_width=least_width, field=field
        )

    def _figure(self, field: str, figure: Figure, least_width: int) -> Column[HasUsage]:
        value = attrgetter(f"usage.{field}")
        if figure.form is Form.COVERAGE:
            return Column(
                self.cells.title(figure), lambda row: self.coverage(value(row)), least_width=least_width, coverage=value
            )
        return Column(
            self.cells.title(figure),
            lambda row: self.cells.value(figure.form, value(row)),
            least_width=least_width,
            field=field,
        )


def coverage_last(columns: Sequence[Column[_T]]) -> list[Column[_T]]:
    """Returns the same with the coverage behind all others, as lines of text have it."""
    return sorted(columns, key=lambda column: column.coverage is not None)


def coverage_if_low(columns: Sequence[Column[_T]], rows: Sequence[_T], cells: Cells) -> list[Column[_T]]:
    """Returns the same without the coverage unless that of a row is below the least that is expected."""
    return [
        column
        for column in columns
        if column.coverage is None or any(cells.is_low(column.coverage(row)) for row in rows)
    ]


def largest(tasks: Sequence[TaskRow], most: int) -> list[TaskRow]:
    """Returns those with the most owned time, in the order that they had."""
    rows = tasks if isinstance(tasks, TaskRows) else TaskRows.of(tasks)
    kept = nlargest(most, range(len(rows)), key=rows.owned_gpu_hours.__getitem__)
    return [rows[place] for place in sorted(kept)]


def gpu_ids(ids: list[str]) -> str:
    """Returns `0-3,7`: runs of numbers in a row by their ends."""
    numbers = sorted({number for gpu_id in ids if (number := _id_number(gpu_id)) is not None})
    runs = [[number for _, number in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    names = [f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    names += [visible(gpu_id) for gpu_id in ids if _id_number(gpu_id) is None]
    return ",".join(names) or ABSENT


def _id_number(gpu_id: str) -> int | None:
    return int(gpu_id) if gpu_id.isdecimal() and len(gpu_id) <= _MOST_DIGITS else None
