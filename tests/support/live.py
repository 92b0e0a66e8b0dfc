"""A small cluster as Prometheus holds it: each GPU stands somewhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from exporter.demo.remote_write import STALE, Column

NOW = 1_772_600_000.0
STEP = 30.0
HOUR = 3600.0
BEGAN = NOW - 26 * HOUR
"""Of the exporters."""


def series(name: str, values: Any, times: Any, **labels: str) -> Column:
    return Column({"__name__": name, **labels}, np.rint(times * 1000).astype(np.int64), np.asarray(values, dtype=float))


def gpu(
    index: int,
    *,
    hostname: str = "colab-gpu1",
    user: str | None = None,
    held: float = 20 * HOUR,
    active_until: float = NOW,
    until: float = NOW,
) -> Iterator[Column]:
    """A GPU that was scraped till some time, and active at half load till another one."""
    device = {"hostname": hostname, "gpu": str(index), "gpu_uuid": f"{hostname[-1]}{index:015x}"}
    times = np.arange(BEGAN, until + 1, STEP)
    since, idle = times - BEGAN, np.maximum(0.0, times - active_until)
    gone = () if until == NOW else (until + STEP,)
    ownership = "unallocated" if user is None else "owned"
    owner = {"username": user or "", "task_type": "LAB" if user else "", "ownership": ownership}
    load = 0.5 if active_until >= NOW else 0.0

    def one(name: str, values: Any, **labels: str) -> Column:
        told = np.broadcast_to(values, times.shape)
        ends = [STALE] * len(gone)
        return series(name, np.append(told, ends), np.append(times, gone), **device, **labels)

    yield one("amdgpu_up", 1.0)
    yield one("amdgpu_observed_seconds_total", since)
    yield one("amdgpu_idle_seconds_total", idle)
    yield one("amdgpu_utilization_ratio", load, **owner)
    yield one("amdgpu_vram_used_bytes", 2**30, **owner)
    yield one("amdgpu_vram_total_bytes", 2**34)
    yield one("amdgpu_power_watts", 150.0)
    if user is not None:
        owned = np.maximum(0.0, times - (NOW - held))
        yield one("amdgpu_owner_seconds_total", owned, **owner)
        yield one("amdgpu_owner_busy_seconds_total", owned / 2, **owner)
        yield one("amdgpu_owner_idle_seconds_total", np.minimum(idle, owned), **owner)
        yield one("amdgpu_task_info", 1.0, task_id=f"t{index}", username=user, task_type="LAB", gpu_id="27")
        yield one("amdgpu_task_start_timestamp_seconds", NOW - held, task_id=f"t{index}")


def moved(columns: Iterable[Column], to: float) -> list[Column]:
    """The same as of another time than NOW."""
    by = round((to - NOW) * 1000)
    return [Column(column.labels, column.times_ms + by, column.values) for column in columns]


CLUSTER = [
    *gpu(0, user="amy"),
    *gpu(1, user="陳怡君", active_until=NOW - 3 * HOUR),
    *gpu(2, active_until=BEGAN),
    *gpu(3),
    *gpu(0, hostname="colab-gpu2", user="amy", until=NOW - 2 * HOUR),
    *gpu(1, hostname="colab-gpu2", user="amy", held=0.5 * HOUR, active_until=BEGAN),
]
