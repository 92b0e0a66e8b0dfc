"""The tables of the renderers that print text: which columns each has, and every cell as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final, Generic, Protocol, TypeVar

from exporter.report.languages import Words
from exporter.report.render.figures import ABSENT, coverage, gibibytes, number, percent
from exporter.report.render.names import id_number, visible
from exporter.report.rows import NodeRow, Report, TaskRow, Usage, UserRow, WasteRow

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
    "energy_per_busy": lambda usage: number(usage.kwh_per_busy_gpu_hour),
    "cost": lambda usage: number(usage.cost),
    "coverage": lambda usage: coverage(usage.coverage_ratio),
}
"""By their names among `Words`."""

_T_contra = TypeVar("_T_contra", contravariant=True)


class _HasUsage(Protocol):
    @property
    def usage(self) -> Usage: ...


class _HasHostname(Protocol):
    @property
    def hostname(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Column(Generic[_T_contra]):
    """One column of a table of rows."""

    title: str
    text: Callable[[_T_contra], str]
    is_figure: bool = True
    """Figures are never cut short, names are."""
    least_width: int = 0
    """Of the terminal; narrower ones leave the column out."""


def node(words: Words) -> Column[_HasHostname]:
    """The column of the hostname."""
    return Column(words.node, lambda row: visible(row.hostname), is_figure=False)


def nodes(words: Words) -> list[Column[NodeRow]]:
    """The columns of the nodes."""
    return [
        node(words),
        Column(words.gpus, lambda row: str(row.gpu_count), least_width=WIDE),
        *_usage(words, "owned free unknown busy idle"),
        *_usage(words, "busy_unowned idle_vram_held energy_per_busy", WIDEST),
        *_usage(words, "efficiency"),
        *_usage(words, "mean_vram energy", WIDE),
        *_usage(words, "coverage"),
    ]


def users(report: Report, words: Words) -> list[Column[UserRow]]:
    """The columns of the users."""
    return [
        Column(words.user, lambda row: visible(row.username), is_figure=False),
        Column(words.tasks, lambda row: str(row.task_count or ABSENT)),
        Column(words.gpus, lambda row: str(row.gpu_count)),
        *_usage(words, "owned busy idle efficiency"),
        *_usage(words, "mean_vram peak_vram energy", WIDE),
        *_usage(words, "idle_vram_held p95_utilization", WIDEST),
        *_cost(report, words),
        *_usage(words, "coverage"),
    ]


def waste(report: Report, words: Words) -> list[Column[WasteRow]]:
    """The columns of the tasks that left GPUs idle."""
    covered = {row.task_id: coverage(row.usage.coverage_ratio) for row in report.tasks}
    return [
        Column(words.user, lambda row: visible(row.username), is_figure=False),
        Column(words.task_type, lambda row: visible(row.task_type) or ABSENT, is_figure=False, least_width=WIDE),
        node(words),
        Column(words.gpu_id, lambda row: _ids(row.gpu_ids), is_figure=False),
        Column(words.idle, lambda row: number(row.idle_gpu_hours)),
        Column(words.idle_vram_held, lambda row: number(row.idle_vram_held_gpu_hours), least_width=WIDE),
        Column(words.longest_idle, lambda row: number(row.longest_idle_hours)),
        Column(words.freed_gpus, lambda row: number(row.freed_gpus)),
        Column(words.coverage, lambda row: covered.get(row.task_id, ABSENT)),
        Column(words.task, lambda row: visible(row.task_id), is_figure=False, least_width=WIDE),
    ]


def tasks(words: Words) -> list[Column[TaskRow]]:
    """The columns of the tasks, but for their node."""
    return [
        Column(words.user, lambda row: visible(row.username), is_figure=False),
        Column(words.task_type, lambda row: visible(row.task_type) or ABSENT, is_figure=False, least_width=WIDE),
        Column(words.gpu_id, lambda row: _ids(row.gpu_ids), is_figure=False),
        Column(words.start, lambda row: clock(row.start)),
        Column(words.end, lambda row: clock(row.end) if row.end else words.running),
        *_usage(words, "owned"),
        *_usage(words, "busy idle", WIDE),
        *_usage(words, "efficiency"),
        *_usage(words, "energy", WIDEST),
        *_usage(words, "coverage"),
        Column(words.task, lambda row: visible(row.task_id), is_figure=False, least_width=WIDEST),
    ]


def clock(instant: str) -> str:
    """`07-22 09:05`, of an ISO 8601 time; the report's heading tells the year and the zone."""
    return f"{datetime.fromisoformat(instant):%m-%d %H:%M}"


def cost_title(report: Report, words: Words) -> str:
    """With the currency, where one is set."""
    return f"{words.cost} ({report.currency})" if report.currency else words.cost


def _usage(words: Words, names: str, least_width: int = 0) -> list[Column[_HasUsage]]:
    return [_figure(str(getattr(words, name)), FIGURES[name], least_width) for name in names.split()]


def _figure(title: str, text: Callable[[Usage], str], least_width: int) -> Column[_HasUsage]:
    return Column(title, lambda row: text(row.usage), least_width=least_width)


def _cost(report: Report, words: Words) -> list[Column[_HasUsage]]:
    return [_figure(cost_title(report, words), FIGURES["cost"], WIDE)] if report.totals.cost is not None else []


def _ids(gpu_ids: list[str]) -> str:
    """`0-3,7`: runs of numbers in a row by their ends."""
    numbers = sorted({number for gpu_id in gpu_ids if (number := id_number(gpu_id)) is not None})
    runs = [[number for _, number in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    names = [f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    names += [visible(gpu_id) for gpu_id in gpu_ids if id_number(gpu_id) is None]
    return ",".join(names) or ABSENT
