"""Asks Prometheus for the cluster as it is now."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.live import queries
from exporter.live.cluster import Cluster, GpuNow, gpus_now, with_histories
from exporter.live.grid import Instants, rows
from exporter.live.idleness import Idleness, idleness, total
from exporter.metering.idle_clock import STEP_SECONDS as _STEP
from exporter.report.history.client import PrometheusClient
from exporter.report.history.concurrency import both
from exporter.report.history.queries import Query, any_of, batches
from exporter.report.history.responses import Series

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
    (gpus, newest, seen), idle = await both(_present(client, now), _idle(client, now))
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
    at = Instants.until(now, now - start, max(_LEAST_STEP, (now - start) * len(there) / _MOST_SAMPLES))
    found = [(_owner_of(series), series) for series in await client.range(question, at.first, at.last, at.step)]
    owners = sorted({owner for owner, _ in found})
    gained: defaultdict[str, float] = defaultdict(float)
    for owner, counters in zip(owners, rows(found, owners, at), strict=True):
        gained[owner[0]] += total(counters)
    return Used(*(gained[f"amdgpu_owner_{part}seconds_total"] for part in ("", "busy_", "idle_")))


def _owner_of(series: Series) -> tuple[str, ...]:
    """Returns the metric, and what tells its series of one user apart but for replicas."""
    return tuple(series.labels.get(label, "") for label in ("__name__", "gpu_uuid", "ownership", "task_type"))


async def _present(client: PrometheusClient, now: float) -> tuple[list[GpuNow], float | None, dict[str, float]]:
    """Returns the GPUs, when the newest sample of them came, and when those that are silent were last seen, by id."""
    gauges, scraped, known = await asyncio.gather(
        client.instant(queries.GAUGES.ask(client.scope()), now),
        client.instant(queries.SCRAPED_AT.ask(client.scope()), now),
        client.label_sets(queries.KNOWN.ask(client.scope()), now - _KNOWN_SECONDS, now),
    )
    known = [labels for labels in known if {"hostname", "gpu", "gpu_uuid"} <= labels.keys()]
    gpus = gpus_now([(series.labels, float(series.values[-1])) for series in gauges], known)
    newest = max((float(series.values[-1]) for series in scraped), default=None)
    return gpus, newest, await _last_seen(client, gpus, now)


async def _idle(client: PrometheusClient, now: float) -> dict[str, Idleness]:
    """Returns for how long GPUs have been idle, by unique id."""
    found: dict[str, Idleness] = {}
    wanted: list[str] | None = None
    for span, step in _LOOKS:
        for uuid, looked in (await _looked_back(client, wanted, Instants.until(now, span, step))).items():
            found[uuid] = found[uuid].looked_further(looked) if uuid in found else looked
        wanted = [uuid for uuid, looked in found.items() if looked.may_be_longer]
    return found


async def _looked_back(client: PrometheusClient, uuids: Sequence[str] | None, at: Instants) -> dict[str, Idleness]:
    """Returns for how long GPUs have been idle that both counters tell of, by unique id.

    Args:
        client: Of Prometheus.
        uuids: Of which GPUs; None: of all.
        at: The instants that are looked at.
    """
    found = await _history(client, queries.OBSERVED_AND_IDLE, uuids, at)
    observed, idle = ([one for one in found if one[1].labels["__name__"] == name] for name in (_OBSERVED, _IDLE))
    told = sorted({uuid for uuid, _ in observed} & {uuid for uuid, _ in idle})
    return dict(zip(told, idleness(rows(observed, told, at), rows(idle, told, at), at.step), strict=True))


async def _last_seen(client: PrometheusClient, gpus: Iterable[GpuNow], now: float) -> dict[str, float]:
    """Returns when GPUs that do not report did last, by unique id, in Unix seconds."""
    at = Instants.until(now, _KNOWN_SECONDS, _STEP)
    found = await _history(client, queries.LAST_SEEN, [gpu.gpu_uuid for gpu in gpus if not gpu.reports], at)
    told = {uuid for uuid, _ in found}
    steps_ago = np.argmax(~np.isnan(rows(found, told, at))[:, ::-1], axis=1).tolist()
    return {uuid: now - steps * at.step for uuid, steps in zip(told, steps_ago, strict=True)}


async def _history(
    client: PrometheusClient, query: Query, uuids: Sequence[str] | None, at: Instants
) -> list[tuple[str, Series]]:
    """Returns what series of GPUs, or of all without any, were at instants, each with its GPU's unique id."""
    scopes = [any_of("gpu_uuid", batch) for batch in batches(uuids, 2.0 * at.count)] if uuids is not None else [""]
    asked = (client.range(query.ask(client.scope(scope)), at.first, at.last, at.step) for scope in scopes)
    return [(series.labels["gpu_uuid"], series) for found in await asyncio.gather(*asked) for series in found]
