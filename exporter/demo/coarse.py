"""Weeks of scrapes, made in seconds: what the exporter's counters of its GPUs would have been, in closed form.

No service is lived through. Of owners' series there is nobody's, from which a report tells what was owned on the days
before its own; who held what, the consumption API tells.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from exporter import config
from exporter.demo.cluster import Cluster
from exporter.demo.history import history
from exporter.demo.remote_write import Column
from exporter.demo.schedule import READ_SECONDS
from exporter.metering.shares import slices
from exporter.metrics import OWNER
from exporter.model import UNALLOCATED, Amounts, Answer
from exporter.ownership import Holdings
from exporter.report.history.queries import DEVICES, OWNERS
from exporter.report.observed import ENERGY, Floats

SCRAPE_SECONDS = 240
"""Prometheus finds a sample at an instant if it is less than five minutes old."""
_VRAM_USED = "amdgpu_vram_used_bytes"
_KEPT = (
    *filter(None, (*DEVICES.metrics, *OWNERS.metrics)),
    _VRAM_USED,
    "amdgpu_info",
    "amdgpu_up",
    "amdgpu_vram_total_bytes",
)


def coarse_history(cluster: Cluster, hostname: str, start: float, end: float) -> list[Column]:
    """Returns what reports ask for of one node, as if its exporter had started at `start` and missed nothing.

    Args:
        cluster: The nodes and their tasks.
        hostname: Which node.
        start: Unix seconds, with the counters at 0.
        end: Unix seconds, of the last scrape; the others are every `SCRAPE_SECONDS`.
    """
    seconds = np.append(np.arange(start, end, SCRAPE_SECONDS), end)
    times_ms = np.round(1000 * seconds).astype(np.int64)
    hardware, metering = cluster.nodes[hostname], config.Metering()
    holdings = Holdings(Answer(cluster.tasks(start, end), (), as_of=end))
    told: dict[tuple[str, str], Floats] = {}
    for gpu in hardware.gpus:
        gained = (
            hardware.truth(gpu.index, before, after, metering.idle_threshold, metering.vram_held)
            for before, after in pairwise(seconds.tolist())
        )
        counters = np.cumsum(np.array([Amounts(), *gained]), axis=0)
        counters[:, ENERGY] += hardware.reading(gpu.index, seconds[0], taken=0.0).energy_joules
        told |= {(str(metric), gpu.uuid): counters[:, n] for n, metric in enumerate(DEVICES.metrics)}
        unowned = np.zeros_like(counters)
        for piece in slices(holdings.holds({gpu.uuid}), start, end):
            inner = seconds[(seconds > piece.start) & (seconds < piece.end)].tolist()
            for before, after in pairwise((piece.start, *inner, piece.end) if not piece.tasks else ()):
                unowned[np.searchsorted(seconds, after)] += hardware.truth(
                    gpu.index, before, after, metering.idle_threshold, metering.vram_held
                )
        unowned = np.cumsum(unowned, axis=0)
        told |= {(str(metric), gpu.uuid): unowned[:, n] for n, metric in enumerate(OWNERS.metrics)}
        vram = (hardware.workload.load(gpu.index, at).vram_used_bytes for at in seconds.tolist())
        told[_VRAM_USED, gpu.uuid] = np.fromiter(vram, dtype=np.float64)
    first = history(cluster, hostname, start, start + READ_SECONDS, scrape_seconds=READ_SECONDS, only=_KEPT)
    columns = []
    for one in first:
        labels = dict(one.labels)
        if labels["__name__"] not in OWNERS.metrics:
            labels = {name: value for name, value in labels.items() if name not in OWNER}
        elif labels["ownership"] != UNALLOCATED.ownership:
            continue
        key = labels["__name__"], labels.get("gpu_uuid", "")
        columns.append(Column(labels, times_ms, told.get(key, np.full(len(seconds), one.values[-1]))))
    return columns
