"""Asks Prometheus for the cluster as it is now."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.live import queries
from exporter.live.cluster import Cluster, GpuNow, gpus_now, with_histories
from exporter.live.idleness import Idleness, idleness, total
from exporter.metering.idle_clock import STEP_SECONDS as _STEP
from exporter.model import Ownership
from exporter.report.history.client import PrometheusClient
from exporter.report.history.queries import Query, any_of, batches
from exporter.report.history.responses import Series
from exporter.report.observed import Floats

_KNOWN_SECONDS = 86400.0
"""For how long a GPU that no longer reports is missed."""
_LOOKS = ((900.0, _STEP), (86400.0, _STEP), (30 * 86400.0, 3600.0))
"""How far back, and in which steps, it is looked for activity; the further only for GPUs that had none till then."""
_OBSERVED = "amdgpu_observed_seconds_total"
_IDLE = "amdgpu_idle_seconds_total"
_MOST_SAMPLES = 100_000
_LEAST_STEP = 300.0


@dataclass(frozen=True, slots=True)
class Used:
    """What a user had of GPUs in some time, in GPU-seconds."""

    held: float
    busy: float
    idle: float


async def cluster(client: PrometheusClient, now: float) -> Cluster:
    """Returns every GPU that reports, and those that did within a day.

    Args:
        client: Of Prometheus.
        now: Unix seconds.

    Raises:
        HistoryError: Prometheus has no answer.
    """
    gauges, scraped, known = await asyncio.gather(
        client.instant(queries.GAUGES.ask(client.scope()), now),
        client.instant(queries.SCRAPED_AT.ask(client.scope()), now),
        client.label_sets(queries.KNOWN.ask(client.scope()), now - _KNOWN_SECONDS, now),
    )
    known = [labels for labels in known if {"hostname", "gpu", "gpu_uuid"} <= labels.keys()]
    gpus = gpus_now([(series.labels, float(series.values[-1])) for series in gauges], known)
    idle, seen = await asyncio.gather(_idle(client, gpus, now), _last_seen(client, gpus, now))
    newest = max((float(series.values[-1]) for series in scraped), default=None)
    return Cluster(now, with_histories(gpus, idle, seen, now), newest, tuple(remark.text for remark in client.remarks))


async def used(client: PrometheusClient, username: str, start: float, now: float) -> Used | None:
    """Returns what a user had of GPUs since some time; None if there is no series of theirs.

    Near: a restart of an exporter costs at most a step, five minutes of a month of a few GPUs.

    Args:
        client: Of Prometheus.
        username: As the tasks tell it.
        start: Unix seconds.
        now: Unix seconds.
    """
    scope = client.scope(any_of("username", [username]))
    question = queries.USED_BY.ask(scope)
    there = await client.label_sets(queries.USED_BY_LABELS.ask(scope), start, now)
    if not there:
        return None
    step = max(_LEAST_STEP, (now - start) * len(there) / _MOST_SAMPLES)
    count = int((now - start) // step)
    first = now - count * step
    gained: defaultdict[str, float] = defaultdict(float)
    for series in await client.range(question, first, now, step):
        gained[series.labels["__name__"]] += total(_on_grid(series, first, step, count + 1))
    return Used(*(gained[f"amdgpu_owner_{part}seconds_total"] for part in ("", "busy_", "idle_")))


async def _idle(client: PrometheusClient, gpus: Collection[GpuNow], now: float) -> dict[str, Idleness]:
    """Returns for how long GPUs have been idle, by unique id."""
    wanted = [gpu.gpu_uuid for gpu in gpus if gpu.is_readable and gpu.ownership is not Ownership.UNKNOWN]
    found: dict[str, Idleness] = {}
    for span, step in _LOOKS:
        for uuid, counters in (
            await _grids(client, queries.OBSERVED_AND_IDLE, wanted, now, span=span, step=step)
        ).items():
            if _OBSERVED in counters and _IDLE in counters:
                looked = idleness(counters[_OBSERVED], counters[_IDLE], step)
                # Longer steps may take what was idle of late for part of an active one.
                if uuid not in found or (looked.seconds or 0.0) > (found[uuid].seconds or 0.0):
                    found[uuid] = looked
        wanted = [uuid for uuid in wanted if uuid in found and found[uuid].may_be_longer]
    return found


async def _last_seen(client: PrometheusClient, gpus: Iterable[GpuNow], now: float) -> dict[str, float]:
    """Returns when GPUs that do not report did last, by unique id, in Unix seconds."""
    silent = [gpu.gpu_uuid for gpu in gpus if not gpu.reports]
    found = {}
    for uuid, by_name in (
        await _grids(client, queries.LAST_SEEN, silent, now, span=_KNOWN_SECONDS, step=_STEP)
    ).items():
        told = np.nonzero(~np.isnan(by_name[""]))[0]
        found[uuid] = now - (len(by_name[""]) - 1 - float(told[-1])) * _STEP
    return found


async def _grids(
    client: PrometheusClient, query: Query, uuids: Sequence[str], now: float, *, span: float, step: float
) -> dict[str, dict[str, Floats]]:
    """Returns counters of GPUs by unique id and metric, at instants `step` apart up to now; NaN where there is none."""
    count = int(span // step)
    start = now - count * step
    asked = [
        client.range(query.ask(client.scope(any_of("gpu_uuid", batch))), start, now, step)
        for batch in batches(uuids, 2.0 * count)
    ]
    found: defaultdict[str, dict[str, Floats]] = defaultdict(dict)
    for series in [one for answer in await asyncio.gather(*asked) for one in answer]:
        found[series.labels["gpu_uuid"]][series.labels.get("__name__", "")] = _on_grid(series, start, step, count + 1)
    return found


def _on_grid(series: Series, start: float, step: float, count: int) -> Floats:
    """Returns the values at `count` instants; VictoriaMetrics moves instants to multiples of the step."""
    places = np.rint((series.times - start) / step).astype(int).clip(0, count - 1)
    values = np.full(count, np.nan)
    values[places] = series.values
    return values
