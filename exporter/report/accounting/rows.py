"""What a report says: the rows that the renderers format, and that report.json publishes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, Self, TypeGuard

from pydantic import Field, PlainSerializer, ValidatorFunctionWrapHandler, WrapValidator

from exporter.report.accounting.figures import Usage
from exporter.report.accounting.invoices import Invoice
from exporter.report.accounting.on_demand import OnDemand
from exporter.report.accounting.row import Row

HistoryFrom = Literal["prometheus", "none"]
OwnersFrom = Literal["api", "history", "labels", "none"]


class NodeRow(Row):
    """One host."""

    hostname: str
    gpu_count: int
    usage: Usage


class GpuRow(Row):
    """One GPU; `gpu` and `gpu_uuid` are null where the inventory lists one that was never seen."""

    hostname: str
    gpu: int | None
    gpu_uuid: str | None
    gpu_id: str | None
    """The consumption API's cluster-wide number."""
    model: str | None
    card: str | None
    users: list[str]
    usage: Usage


class UserRow(Row):
    """One user's shares."""

    username: str
    task_count: int | None
    """Null where labels alone tell the owners; there are then no `projects` and no `tasks` either."""
    gpu_count: int
    usage: Usage


class TaskTypeRow(Row):
    """All shares of one type of task."""

    task_type: str
    task_count: int | None
    """Null where labels alone tell the owners."""
    usage: Usage


class ProjectRow(Row):
    """All shares of one project."""

    project_uuid: str
    project_name: str | None
    """As `report.projects` names it."""
    usernames: list[str]
    task_count: int | None
    usage: Usage


class TaskRow(Row):
    """One task's shares in the window."""

    task_id: str
    username: str
    task_type: str
    project_uuid: str
    image: str
    hostname: str
    gpu_uuids: list[str]
    gpu_ids: list[str]
    gpu_model: str
    gpu_memory_mib: int | None
    start: str
    """ISO 8601, not clipped to the window."""
    end: str | None
    """Null if it ended after the window, or not at all."""
    running: bool
    seconds_in_window: float
    """Of the task, however many GPUs it has."""
    usage: Usage


class TaskRows(OnDemand[TaskRow]):
    """Tasks whose rows are made when they are asked for; how large each is is known before."""

    def __init__(self, owned_gpu_hours: Sequence[float], make: Callable[[int], TaskRow]) -> None:
        """Makes none yet.

        Args:
            owned_gpu_hours: Of each task.
            make: As for OnDemand.
        """
        super().__init__(len(owned_gpu_hours), make)
        self.owned_gpu_hours = owned_gpu_hours

    @classmethod
    def of(cls, rows: Sequence[TaskRow]) -> Self:
        """Returns rows that are there already."""
        return cls([row.usage.owned_gpu_hours for row in rows], rows.__getitem__)


class WasteRow(Row):
    """A task that held GPUs and left them idle."""

    username: str
    task_id: str
    task_type: str
    hostname: str
    gpu_ids: list[str]
    idle_gpu_hours: float
    idle_vram_held_gpu_hours: float
    longest_idle_hours: float
    """The longest stretch in which one of its GPUs was idle throughout, in whole ten-minute cells."""
    freed_gpus: float
    """What giving it back would have freed: GPUs, averaged over the window."""
    coverage_ratio: float
    """Of the task's share: observed ÷ held."""
    cost: float | None


class Comparison(Row):
    """Totals of the day before, and the median of the seven days before."""

    measure: str
    value: float | None
    day_before: float | None
    median_of_seven: float | None


class Sources(Row):
    """Where the figures come from."""

    history: HistoryFrom
    tasks: OwnersFrom


def _as_made(rows: object, validated: ValidatorFunctionWrapHandler) -> object:
    return rows if isinstance(rows, OnDemand) else validated(rows)


class Report(Row):
    """The whole report."""

    schema_version: Literal[1] = 1
    date: str
    to: str
    timezone: str
    start: str
    end: str
    is_over: bool
    """False if the last day was not over; `end` is then the last whole minute."""
    only_users: list[str] = Field(default=[])
    """What `--user` narrowed it to; empty: all."""
    only_nodes: list[str] = Field(default=[])
    """What `--node` narrowed it to; empty: all."""
    currency: str | None
    min_coverage_ratio: float
    """`report.min_coverage`: less calls for a mark."""
    sources: Sources
    warnings: list[str]
    totals: Usage
    comparison: list[Comparison]
    nodes: list[NodeRow]
    gpus: list[GpuRow]
    users: list[UserRow]
    task_types: list[TaskTypeRow]
    projects: list[ProjectRow]
    tasks: Annotated[Sequence[TaskRow], WrapValidator(_as_made), PlainSerializer(list, return_type=list[TaskRow])]
    waste: Annotated[Sequence[WasteRow], WrapValidator(_as_made), PlainSerializer(list, return_type=list[WasteRow])]
    invoices: list[Invoice]
    """What each project pays; none without prices."""


def is_low(ratio: float | None, least: float) -> TypeGuard[float]:
    """Returns whether a coverage calls for a mark; that of nothing never does."""
    return ratio is not None and ratio < least
