"""The columns of tables, every cell as text, and which of them the renderers that print text show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import groupby
from typing import Final, Generic, Protocol, TypeVar

from exporter.names import visible
from exporter.report.accounting.figures import Usage
from exporter.report.accounting.rows import NodeRow, Report, TaskRow, UserRow, WasteRow
from exporter.report.languages import Words
from exporter.report.render.clock import Clock
from exporter.report.render.figures import ABSENT, gibibytes, marked, number, percent

WIDE: Final = 120
"""Columns of a terminal from which tables show more figures."""
WIDEST: Final = 160

FIGURES: Final[Mapping[str, Callable[[Usage], str]]] = {
    "capacity": lambda usage: number(usage.capacity_gpu_hours),
    "owned": lambda usage: number(usage.owned_gpu_hours),
    "free": lambda usage: number(usage.unallocated_gpu_hours),
    "unknown": lambda usage: number(usage.unknown_gpu_hours),
    "busy": lambda usage: number(usage.busy_gpu_hours),
    "busy_unowned": lambda usage: number(usage.unallocated_busy_gpu_hours),
    "active": lambda usage: number(usage.active_gpu_hours),
    "idle": lambda usage: number(usage.idle_gpu_hours),
    "idle_vram_held": lambda usage: number(usage.idle_vram_held_gpu_hours),
    "idle_empty": lambda usage: number(usage.idle_empty_gpu_hours),
    "efficiency": lambda usage: percent(usage.efficiency_ratio),
    "mean_utilization": lambda usage: percent(usage.mean_utilization_ratio),
    "p95_utilization": lambda usage: percent(usage.p95_utilization_ratio),
    "peak_utilization": lambda usage: percent(usage.peak_utilization_ratio),
    "mean_vram": lambda usage: percent(usage.mean_vram_used_ratio),
    "p95_vram": lambda usage: percent(usage.p95_vram_used_ratio),
    "peak_vram": lambda usage: gibibytes(usage.peak_vram_used_bytes),
    "energy": lambda usage: number(usage.energy_kwh),
    "facility_energy": lambda usage: number(usage.facility_energy_kwh),
    "energy_per_busy": lambda usage: number(usage.kwh_per_busy_gpu_hour),
    "cost": lambda usage: number(usage.cost),
}
"""By their names among `Words`."""

_MOST_DIGITS: Final = 9
"""Of the API's number of a GPU, if it is one; Python refuses to read thousands."""
_KWH: Final = frozenset({"energy", "facility_energy"})

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
    least_width: int = 0
    """Of the terminal; narrower ones leave the column out."""


def name(title: str, text: Callable[[_T], str | None], least_width: int = 0) -> Column[_T]:
    """A column of what others chose, or a dash."""
    return Column(title, lambda row: visible(text(row) or "") or ABSENT, is_figure=False, least_width=least_width)


def title(figure: str, report: Report, words: Words) -> str:
    """What one of `FIGURES` is called, with its unit where that is neither GPU-hours nor in the cells."""
    unit = "kWh" if figure in _KWH else report.currency if figure == "cost" else None
    word: str = getattr(words, figure)
    return f"{word} ({unit})" if unit else word


def usage(figures: str, report: Report, words: Words, least_width: int = 0) -> list[Column[HasUsage]]:
    """The columns of some of `FIGURES`; of the cost only where there is a price."""
    names = [figure for figure in figures.split() if figure != "cost" or report.totals.cost is not None]
    return [_figure(title(figure, report, words), FIGURES[figure], least_width) for figure in names]


# Of each table below, the last column is the coverage.


def nodes(report: Report, words: Words) -> list[Column[NodeRow]]:
    """The columns of the nodes."""
    return [
        name(words.node, lambda row: row.hostname),
        Column(words.gpus, lambda row: str(row.gpu_count), least_width=WIDE),
        *usage("owned free unknown busy idle", report, words),
        *usage("busy_unowned idle_vram_held energy_per_busy", report, words, WIDEST),
        *usage("efficiency", report, words),
        *usage("mean_vram energy", report, words, WIDE),
        _covered(report, words),
    ]


def users(report: Report, words: Words) -> list[Column[UserRow]]:
    """The columns of the users."""
    return [
        name(words.user, lambda row: row.username),
        Column(words.tasks, lambda row: number(row.task_count, 0)),
        Column(words.gpus, lambda row: str(row.gpu_count)),
        *usage("owned busy idle efficiency", report, words),
        *usage("mean_vram peak_vram energy", report, words, WIDE),
        *usage("idle_vram_held p95_utilization", report, words, WIDEST),
        *usage("cost", report, words, WIDE),
        _covered(report, words),
    ]


def waste(report: Report, words: Words) -> list[Column[WasteRow]]:
    """The columns of the tasks that left GPUs idle."""
    cost: Column[WasteRow] = Column(title("cost", report, words), lambda row: number(row.cost), least_width=WIDEST)
    return [
        name(words.user, lambda row: row.username),
        name(words.task_type, lambda row: row.task_type, WIDE),
        name(words.node, lambda row: row.hostname),
        Column(words.gpu_id, lambda row: gpu_ids(row.gpu_ids), is_figure=False),
        Column(words.idle, lambda row: number(row.idle_gpu_hours)),
        Column(words.idle_vram_held, lambda row: number(row.idle_vram_held_gpu_hours), least_width=WIDE),
        Column(words.longest_idle, lambda row: number(row.longest_idle_hours)),
        Column(words.freed_gpus, lambda row: number(row.freed_gpus)),
        *([cost] if report.totals.cost is not None else []),
        name(words.task, lambda row: row.task_id, WIDE),
        Column(words.coverage, lambda row: marked(row.coverage_ratio, report.min_coverage_ratio)),
    ]


def tasks(report: Report, words: Words) -> list[Column[TaskRow]]:
    """The columns of the tasks, but for their node."""
    clock = Clock.of(report)
    return [
        name(words.user, lambda row: row.username),
        name(words.task_type, lambda row: row.task_type, WIDE),
        Column(words.gpu_id, lambda row: gpu_ids(row.gpu_ids), is_figure=False),
        Column(words.start, lambda row: clock.short(row.start)),
        Column(words.end, lambda row: clock.short(row.end) if row.end else words.running),
        *usage("owned", report, words),
        *usage("busy idle", report, words, WIDE),
        *usage("efficiency", report, words),
        *usage("energy", report, words, WIDEST),
        name(words.task, lambda row: row.task_id, WIDEST),
        _covered(report, words),
    ]


def largest(tasks: Sequence[TaskRow], most: int) -> list[TaskRow]:
    """Those with the most owned time, in the order that they had."""
    kept = {id(row) for row in nlargest(most, tasks, key=lambda row: row.usage.owned_gpu_hours)}
    return [row for row in tasks if id(row) in kept]


def gpu_ids(ids: list[str]) -> str:
    """`0-3,7`: runs of numbers in a row by their ends."""
    numbers = sorted({number for gpu_id in ids if (number := _id_number(gpu_id)) is not None})
    runs = [[number for _, number in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    names = [f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    names += [visible(gpu_id) for gpu_id in ids if _id_number(gpu_id) is None]
    return ",".join(names) or ABSENT


def _id_number(gpu_id: str) -> int | None:
    return int(gpu_id) if gpu_id.isdecimal() and len(gpu_id) <= _MOST_DIGITS else None


def _figure(title: str, text: Callable[[Usage], str], least_width: int) -> Column[HasUsage]:
    return Column(title, lambda row: text(row.usage), least_width=least_width)


def _covered(report: Report, words: Words) -> Column[HasUsage]:
    return _figure(words.coverage, lambda usage: marked(usage.coverage_ratio, report.min_coverage_ratio), 0)
