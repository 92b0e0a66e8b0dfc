"""The cluster as JSON has it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from exporter.live.ask import Used
from exporter.live.cluster import Cluster, GpuNow
from exporter.report.accounting.row import Row

_SECONDS_PER_HOUR = 3600.0


class TaskDocument(Row):
    """A task that runs on a GPU."""

    task_id: str
    username: str
    task_type: str
    start: str | None


class GpuDocument(Row):
    """One GPU; what is absent is null."""

    hostname: str
    gpu: int | None
    """Its index on the node."""
    gpu_uuid: str
    """Its unique id, 16 hex digits."""
    gpu_id: str | None
    """The cluster's number for it; null where no task tells."""
    standing: str
    """`free`, `in_use`, `held_idle`, `unclaimed` (busy without a task), `unknown` (owner unknown), `unreadable` or
    `silent` (not reporting)."""
    ownership: str
    """`owned`, `shared`, `unallocated` or `unknown`."""
    usernames: list[str]
    task_types: list[str]
    since: str | None
    """When the first of its tasks started."""
    idle_seconds: float | None
    """For how long its holders have left it idle; of one that nobody holds, for how long it has been."""
    utilization_ratio: float | None
    """0 to 1."""
    vram_used_bytes: float | None
    vram_total_bytes: float | None
    power_watts: float | None
    last_seen: str | None
    """Of one that does not report, to five minutes."""
    tasks: list[TaskDocument]


class ClusterDocument(Row):
    """All GPUs at one instant. Times are ISO 8601 with the offset of `report.timezone`."""

    time: str
    scraped_at: str | None
    """Of the newest sample."""
    standings: dict[str, int]
    """How many GPUs stand how."""
    gpus: list[GpuDocument]


class UsedDocument(Row):
    """What a user had of GPUs in some time, in GPU-hours."""

    owned_gpu_hours: float
    owned_busy_gpu_hours: float
    idle_gpu_hours: float
    """While owned."""


def document(cluster: Cluster, zone: ZoneInfo) -> ClusterDocument:
    """Returns the cluster, its times with the offset of a time zone."""
    return ClusterDocument(
        time=moment(cluster.time, zone),
        scraped_at=_instant(cluster.scraped_at, zone),
        standings={kind.key: number for kind, number in cluster.counts().items()},
        gpus=[gpu_document(gpu, zone) for gpu in cluster.gpus],
    )


def gpu_document(gpu: GpuNow, zone: ZoneInfo) -> GpuDocument:
    """Returns one GPU."""
    return GpuDocument(
        hostname=gpu.hostname,
        gpu=int(gpu.gpu) if gpu.gpu.isdecimal() else None,
        gpu_uuid=gpu.gpu_uuid,
        gpu_id=gpu.gpu_id or None,
        standing=gpu.standing.key,
        ownership=gpu.ownership.value,
        usernames=list(gpu.usernames),
        task_types=list(gpu.task_types),
        since=_instant(gpu.since, zone),
        idle_seconds=gpu.idleness.seconds,
        utilization_ratio=gpu.utilization,
        vram_used_bytes=gpu.vram_used_bytes,
        vram_total_bytes=gpu.vram_total_bytes,
        power_watts=gpu.power_watts,
        last_seen=_instant(gpu.last_seen, zone),
        tasks=[
            TaskDocument(
                task_id=task.task_id,
                username=task.username,
                task_type=task.task_type,
                start=_instant(task.start, zone),
            )
            for task in gpu.tasks
        ],
    )


def used_document(used: Used | None) -> UsedDocument:
    """Returns what a user had; None is nothing."""
    held, busy, idle = (used.held, used.busy, used.idle) if used else (0.0, 0.0, 0.0)
    return UsedDocument(
        owned_gpu_hours=held / _SECONDS_PER_HOUR,
        owned_busy_gpu_hours=busy / _SECONDS_PER_HOUR,
        idle_gpu_hours=idle / _SECONDS_PER_HOUR,
    )


def moment(seconds: float, zone: ZoneInfo) -> str:
    """Returns Unix seconds as ISO 8601 has them."""
    return datetime.fromtimestamp(seconds, zone).isoformat(timespec="seconds")


def _instant(seconds: float | None, zone: ZoneInfo) -> str | None:
    return None if seconds is None else moment(seconds, zone)
