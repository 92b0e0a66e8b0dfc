"""The tables of the HTML report: which columns each has, and every cell as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import takewhile
from typing import Any, Final, Generic, Protocol, TypeVar

from exporter.report.languages import Words
from exporter.report.render.figures import ABSENT, coverage, gibibytes, number, percent
from exporter.report.rows import GpuRow, NodeRow, ProjectRow, Report, TaskRow, TaskTypeRow, Usage, UserRow, WasteRow

LOW_COVERAGE: Final = 0.99
"""Figures with less than this part of the time observed are marked."""

_MOST_TASKS: Final = 3000
_MOST_WASTE: Final = 300

_T = TypeVar("_T")
_T_contra = TypeVar("_T_contra", contravariant=True)


class _HasUsage(Protocol):
    @property
    def usage(self) -> Usage: ...


_FIGURES: Final[Mapping[str, Callable[[Usage], str]]] = {
    "capacity": lambda usage: number(usage.capacity_gpu_hours),
    "owned": lambda usage: number(usage.owned_gpu_hours),
    "free": lambda usage: number(usage.unallocated_gpu_hours),
    "unknown": lambda usage: number(usage.unknown_gpu_hours),
    "busy": lambda usage: number(usage.busy_gpu_hours),
    "busy_unowned": lambda usage: number(usage.unallocated_busy_gpu_hours),
    "active": lambda usage: number(usage.active_gpu_hours),
    "idle": lambda usage: number(usage.idle_gpu_hours),
    "idle_vram_held": lambda usage: number(usage.idle_vram_held_gpu_hours),
    "efficiency": lambda usage: percent(usage.efficiency_ratio),
    "mean_utilization": lambda usage: percent(usage.mean_utilization_ratio),
    "p95_utilization": lambda usage: percent(usage.p95_utilization_ratio),
    "peak_utilization": lambda usage: percent(usage.peak_utilization_ratio),
    "mean_vram": lambda usage: percent(usage.mean_vram_used_ratio),
    "p95_vram": lambda usage: percent(usage.p95_vram_used_ratio),
    "peak_vram": lambda usage: gibibytes(usage.peak_vram_used_bytes),
    "energy": lambda usage: number(usage.energy_kwh),
    "energy_per_busy": lambda usage: number(usage.kwh_per_busy_gpu_hour),
    "cost": lambda usage: number(usage.cost),
}
"""By their names among `Words`."""

_SHARE: Final = "owned busy active idle idle_vram_held efficiency p95_utilization mean_vram peak_vram energy"
_WHOLE: Final = (
    "owned free unknown busy busy_unowned idle idle_vram_held efficiency "
    "mean_utilization p95_utilization mean_vram p95_vram peak_vram energy"
)


@dataclass(frozen=True, slots=True)
class _Column(Generic[_T_contra]):
    title: str
    text: Callable[[_T_contra], str]
    is_number: bool = False


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


def tables(report: Report, words: Words) -> dict[str, Table]:
    """All tables, by the name of their list in the report."""
    usage = _UsageColumns(words, report)
    return {
        "waste": _waste(report, words, usage),
        "users": _users(report, words, usage),
        "nodes": _nodes(report, words, usage),
        "gpus": _gpus(report, words, usage),
        "tasks": _tasks(report, words, usage),
        "task_types": _task_types(report, words, usage),
        "projects": _projects(report, words, usage),
    }


class _UsageColumns:
    """The figures of a row, with what they are called in one language."""

    def __init__(self, words: Words, report: Report) -> None:
        self._words = words
        self.cost_title = f"{words.cost} ({report.currency})" if report.currency else words.cost
        self.has_cost = report.totals.cost is not None

    def named(self, names: str) -> list[_Column[_HasUsage]]:
        """Those named, and the cost where there is one."""
        titles = {name: str(getattr(self._words, name)) for name in names.split()}
        if "energy" in titles:
            titles["energy"] += " (kWh)"
        if self.has_cost:
            titles["cost"] = self.cost_title
        return [_figure(title, _FIGURES[name]) for name, title in titles.items()]


def _figure(title: str, text: Callable[[Usage], str]) -> _Column[_HasUsage]:
    return _Column(title, lambda row: text(row.usage), is_number=True)


def _waste(report: Report, words: Words, usage: _UsageColumns) -> Table:
    columns: list[_Column[WasteRow]] = [
        _Column(words.user, lambda row: row.username),
        _Column(words.task_type, lambda row: row.task_type or ABSENT),
        _Column(words.node, lambda row: row.hostname),
        _Column(words.gpu_id, lambda row: ", ".join(row.gpu_ids) or ABSENT),
        _Column(words.idle, lambda row: number(row.idle_gpu_hours), is_number=True),
        _Column(words.idle_vram_held, lambda row: number(row.idle_vram_held_gpu_hours), is_number=True),
        _Column(words.longest_idle, lambda row: number(row.longest_idle_hours), is_number=True),
        _Column(words.freed_gpus, lambda row: number(row.freed_gpus), is_number=True),
    ]
    if usage.has_cost:
        columns.append(_Column(usage.cost_title, lambda row: number(row.cost), is_number=True))
    ids: list[_Column[WasteRow]] = [_Column(words.task, lambda row: row.task_id)]
    observed = {row.task_id: row.usage.coverage_ratio for row in report.tasks}
    rows = report.waste[:_MOST_WASTE]
    left_out = len(report.waste) - len(rows)
    return _table(words, columns, rows, ids, covered=lambda row: observed.get(row.task_id), left_out=left_out)


def _users(report: Report, words: Words, usage: _UsageColumns) -> Table:
    columns: list[_Column[UserRow]] = [
        _Column(words.user, lambda row: row.username),
        _Column(words.tasks, _task_count, is_number=True),
        _Column(words.gpus, lambda row: f"{row.gpu_count:,}", is_number=True),
        *usage.named(_SHARE + " energy_per_busy"),
    ]
    return _table(words, columns, report.users)


def _nodes(report: Report, words: Words, usage: _UsageColumns) -> Table:
    columns: list[_Column[NodeRow]] = [
        _Column(words.node, lambda row: row.hostname),
        _Column(words.gpus, lambda row: f"{row.gpu_count:,}", is_number=True),
        *usage.named("capacity " + _WHOLE),
    ]
    return _table(words, columns, report.nodes)


def _gpus(report: Report, words: Words, usage: _UsageColumns) -> Table:
    columns: list[_Column[GpuRow]] = [
        _Column(words.node, lambda row: row.hostname),
        _Column(words.gpu, lambda row: ABSENT if row.gpu is None else str(row.gpu)),
        _Column(words.gpu_id, lambda row: row.gpu_id or ABSENT),
        _Column(words.users, lambda row: " + ".join(row.users) or ABSENT),
        *usage.named(_WHOLE),
    ]
    ids: list[_Column[GpuRow]] = [
        _Column(words.card, lambda row: row.card or ABSENT),
        _Column(words.gpu_uuid, lambda row: row.gpu_uuid or ABSENT),
    ]
    return _table(words, columns, report.gpus, ids)


def _tasks(report: Report, words: Words, usage: _UsageColumns) -> Table:
    columns: list[_Column[TaskRow]] = [
        _Column(words.user, lambda row: row.username),
        _Column(words.task_type, lambda row: row.task_type or ABSENT),
        _Column(words.node, lambda row: row.hostname),
        _Column(words.gpu_id, lambda row: ", ".join(row.gpu_ids) or ABSENT),
        _Column(words.start, lambda row: _clock(row.start)),
        _Column(words.end, lambda row: _clock(row.end) if row.end else words.running),
        _Column(words.duration, lambda row: number(row.seconds_in_window / 3600), is_number=True),
        *usage.named("owned busy idle idle_vram_held efficiency mean_vram peak_vram energy"),
    ]
    ids: list[_Column[TaskRow]] = [
        _Column(words.image, lambda row: row.image or ABSENT),
        _Column(words.project, lambda row: row.project_uuid or ABSENT),
        _Column(words.task, lambda row: row.task_id),
    ]
    rows = _largest(report.tasks)
    return _table(words, columns, rows, ids, left_out=len(report.tasks) - len(rows))


def _task_types(report: Report, words: Words, usage: _UsageColumns) -> Table:
    columns: list[_Column[TaskTypeRow]] = [
        _Column(words.task_type, lambda row: row.task_type or ABSENT),
        _Column(words.tasks, _task_count, is_number=True),
        *usage.named(_SHARE),
    ]
    return _table(words, columns, report.task_types)


def _projects(report: Report, words: Words, usage: _UsageColumns) -> Table:
    columns: list[_Column[ProjectRow]] = [
        _Column(words.project, lambda row: row.project_uuid or ABSENT),
        _Column(words.users, lambda row: " + ".join(row.usernames)),
        _Column(words.tasks, _task_count, is_number=True),
        *usage.named(_SHARE),
    ]
    return _table(words, columns, report.projects)


def _task_count(row: UserRow | TaskTypeRow | ProjectRow) -> str:
    """Absent where labels alone tell the owners: whoever has a row had a task."""
    return number(row.task_count or None, 0)


def _covered(row: Any) -> float | None:
    ratio: float | None = row.usage.coverage_ratio
    return ratio


def _table(
    words: Words,
    columns: Sequence[_Column[_T]],
    rows: Sequence[_T],
    ids: Sequence[_Column[_T]] = (),
    *,
    covered: Callable[[_T], float | None] = _covered,
    left_out: int = 0,
) -> Table:
    """Text, how much of the figures was observed, the figures, and the ids that few look at."""
    lead = len(list(takewhile(lambda column: not column.is_number, columns)))
    ratio: _Column[_T] = _Column(words.coverage, lambda row: coverage(covered(row)), is_number=True)
    every = [*columns[:lead], ratio, *columns[lead:], *ids]
    return Table(
        heads=tuple((column.title, column.is_number) for column in every),
        lead=lead,
        tail=len(ids),
        rows=tuple(Row(tuple(column.text(row) for column in every), is_low(covered(row))) for row in rows),
        left_out=left_out,
    )


def is_low(ratio: float | None) -> bool:
    """Whether a coverage calls for a mark."""
    return ratio is not None and ratio < LOW_COVERAGE


def _largest(tasks: list[TaskRow]) -> list[TaskRow]:
    """Those with the most owned time, in the order that they had."""
    kept = {id(row) for row in nlargest(_MOST_TASKS, tasks, key=lambda row: row.usage.owned_gpu_hours)}
    return [row for row in tasks if id(row) in kept]


def _clock(iso: str) -> str:
    """`2025-07-22 08:19:32`; the zone stands at the top of the page."""
    return iso[:19].replace("T", " ")
