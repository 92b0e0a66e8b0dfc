"""The cluster as JSON has it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from exporter.live.ask import Used
from exporter.live.cluster import Cluster, GpuNow
from exporter.standing import Standing

_SECONDS_PER_HOUR = 3600.0


def document(cluster: Cluster, zone: ZoneInfo) -> dict[str, Any]:
    """Returns the cluster in values that JSON knows: base units, ISO 8601 times with the offset of a time zone."""
    return {
        "time": _instant(cluster.time, zone),
        "scraped_at": _instant(cluster.scraped_at, zone),
        "standings": {kind.key: cluster.count(kind) for kind in Standing},
        "gpus": [gpu_document(gpu, cluster.time, zone) for gpu in cluster.gpus],
    }


def gpu_document(gpu: GpuNow, now: float, zone: ZoneInfo) -> dict[str, Any]:
    """Returns one GPU; what is absent is null."""
    return {
        "hostname": gpu.hostname,
        "gpu": int(gpu.gpu) if gpu.gpu.isdecimal() else None,
        "gpu_uuid": gpu.gpu_uuid,
        "gpu_id": gpu.gpu_id or None,
        "standing": gpu.standing.key,
        "ownership": gpu.ownership.value,
        "usernames": list(gpu.usernames),
        "task_types": list(gpu.task_types),
        "since": _instant(gpu.since, zone),
        "idle_seconds": gpu.idle_seconds(now),
        "utilization_ratio": gpu.utilization,
        "vram_used_bytes": gpu.vram_used_bytes,
        "vram_total_bytes": gpu.vram_total_bytes,
        "power_watts": gpu.power_watts,
        "last_seen": _instant(gpu.last_seen, zone),
        "tasks": [
            {
                "task_id": task.task_id,
                "username": task.username,
                "task_type": task.task_type,
                "start": _instant(task.start, zone),
            }
            for task in gpu.tasks
        ],
    }


def used_document(used: Used | None) -> dict[str, float]:
    """Returns what a user had, in GPU-hours."""
    held, busy, idle = (used.held, used.busy, used.idle) if used else (0.0, 0.0, 0.0)
    return {
        "owned_gpu_hours": held / _SECONDS_PER_HOUR,
        "owned_busy_gpu_hours": busy / _SECONDS_PER_HOUR,
        "idle_gpu_hours": idle / _SECONDS_PER_HOUR,
    }


def _instant(seconds: float | None, zone: ZoneInfo) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, zone).isoformat(timespec="seconds")
