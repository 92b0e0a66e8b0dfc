"""What a report says: the rows that the renderers format, and that report.json publishes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Source = Literal["prometheus", "none"]
TaskSource = Literal["api", "labels", "none"]


def _open(schema: dict[str, Any]) -> None:
    """Readers have to bear fields that later versions add; only the making of a row refuses what it does not know."""
    del schema["additionalProperties"]


class _Row(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
        json_schema_extra=_open,
    )


class Usage(_Row):
    """The figures of one row. Hours are GPU-hours; null: nothing was observed to tell it from."""

    capacity_gpu_hours: float
    """GPUs × time; of a user, type, project or task: its share."""
    observed_gpu_hours: float
    coverage_ratio: float | None
    """Observed ÷ capacity."""
    owned_gpu_hours: float
    """Held by a task, shared time included."""
    unallocated_gpu_hours: float
    unknown_gpu_hours: float
    owned_observed_gpu_hours: float
    owned_unobserved_gpu_hours: float
    busy_gpu_hours: float | None
    """∫ utilization dt."""
    owned_busy_gpu_hours: float | None
    unallocated_busy_gpu_hours: float | None
    """Busy while nobody held the GPU."""
    active_gpu_hours: float | None
    """Owned and not idle."""
    idle_gpu_hours: float | None
    """Owned, with utilization below the threshold."""
    idle_vram_held_gpu_hours: float | None
    """Of these, with VRAM held."""
    idle_empty_gpu_hours: float | None
    """Of these, without."""
    efficiency_ratio: float | None
    """Busy while owned ÷ owned time observed."""
    mean_utilization_ratio: float | None
    p95_utilization_ratio: float | None
    """95th percentile of the ten-minute means."""
    peak_utilization_ratio: float | None
    """Highest ten-minute mean of any one GPU."""
    mean_vram_used_ratio: float | None
    p95_vram_used_ratio: float | None
    peak_vram_used_bytes: int | None
    """Of any one GPU."""
    energy_kwh: float | None
    facility_energy_kwh: float | None
    """Energy × `report.pue`."""
    kwh_per_busy_gpu_hour: float | None
    cost: float | None
    """Owned GPU-hours × `report.price_per_gpu_hour`, in `currency`."""


class NodeRow(_Row):
    """One host."""

    hostname: str
    gpu_count: int
    usage: Usage


class GpuRow(_Row):
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


class UserRow(_Row):
    """One user's shares."""

    username: str
    task_count: int | None
    """Null where labels alone tell the owners; there are then no `projects` and no `tasks` either."""
    gpu_count: int
    usage: Usage


class TaskTypeRow(_Row):
    """All shares of one type of task."""

    task_type: str
    task_count: int | None
    """Null where labels alone tell the owners."""
    usage: Usage


class ProjectRow(_Row):
    """All shares of one project."""

    project_uuid: str
    usernames: list[str]
    task_count: int | None
    usage: Usage


class TaskRow(_Row):
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


class WasteRow(_Row):
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


class Comparison(_Row):
    """Totals of the day before, and the median of the seven days before."""

    measure: str
    value: float | None
    day_before: float | None
    median_of_seven: float | None


class Sources(_Row):
    """Where the figures come from."""

    history: Source
    tasks: TaskSource


class Report(_Row):
    """The whole report."""

    schema_version: Literal[1] = 1
    date: str
    to: str
    timezone: str
    start: str
    end: str
    is_over: bool
    """False if the last day was not over; `end` is then the last whole minute."""
    only_users: list[str] = []
    """What `--user` narrowed it to; empty: all."""
    only_nodes: list[str] = []
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
    tasks: list[TaskRow]
    waste: list[WasteRow]
