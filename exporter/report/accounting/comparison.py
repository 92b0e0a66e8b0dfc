"""A day's totals beside those of the seven days before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from statistics import median

import numpy as np

from exporter.metering.shares import slices
from exporter.model import Ownership
from exporter.report.accounting.figures import Usage
from exporter.report.accounting.rows import Comparison
from exporter.report.accounting.usage import HOUR, JOULES_PER_KWH
from exporter.report.history.client import PrometheusClient
from exporter.report.history.queries import BY_GPU_DAILY, UNOWNED_DAILY
from exporter.report.history.responses import Series
from exporter.report.window import Window, day_of
from exporter.tasks.ownership import Holdings

DAYS = 7
_LOOKS = 6
"""Samples a day, one every four hours: what a restart loses lies between two of them."""

Measures = dict[str, float]
"""Of one day, by the name of a field of Usage."""


def days_before(window: Window) -> list[Window]:
    """The seven days before a window's first, the latest first."""
    return [day_of(window.first - timedelta(days=n), window.zone) for n in range(1, DAYS + 1)]


async def observed(client: PrometheusClient, day: Window, uuids: Collection[str]) -> Measures:
    """What the counters of these GPUs gained on a day; empty where the history does not reach.

    To within the day's edges: a counter is looked at every four hours, so that a restart costs what it had gained
    since the last look.
    """
    gained: defaultdict[str, float] = defaultdict(float)
    for query in (BY_GPU_DAILY, UNOWNED_DAILY):
        found = await client.range(query.ask(client.scope()), day.start, day.end, day.seconds / _LOOKS)
        for name, seconds in _gains(found, uuids):
            gained[name] += seconds
    seen, busy = gained["amdgpu_observed_seconds_total"], gained["amdgpu_busy_seconds_total"]
    if not seen:
        return {}
    owned_seen = seen - gained["amdgpu_owner_seconds_total"]
    owned_busy = busy - gained["amdgpu_owner_busy_seconds_total"]
    owned_idle = gained["amdgpu_idle_seconds_total"] - gained["amdgpu_owner_idle_seconds_total"]
    measures = {
        "owned_busy_gpu_hours": owned_busy / HOUR,
        "idle_gpu_hours": owned_idle / HOUR,
        "mean_utilization_ratio": busy / seen,
        "energy_kwh": gained["amdgpu_energy_joules_total"] / JOULES_PER_KWH,
    }
    return measures | ({"efficiency_ratio": owned_busy / owned_seen} if owned_seen > 0 else {})


def owned(holdings: Holdings, day: Window, uuids: Collection[str], users: Collection[str]) -> Measures:
    """What tasks held of these GPUs on a day, of these users if any are named."""
    seconds = 0.0
    for uuid in uuids:
        for piece in slices(holdings.holds({uuid}), day.start, day.end):
            if piece.ownership in {Ownership.OWNED, Ownership.SHARED}:
                mine = sum(not users or task.username in users for task in piece.tasks)
                seconds += (piece.end - piece.start) * mine / len(piece.tasks)
    return {"owned_gpu_hours": seconds / HOUR}


def compared(totals: Usage, before: Sequence[Measures]) -> list[Comparison]:
    """A row for each measure that the day before, or all seven days, have.

    Args:
        totals: Of the day reported.
        before: Of the seven days before, the latest first.
    """
    names = dict.fromkeys(name for measures in before for name in measures)
    rows = []
    for name in names:
        values = [measures[name] for measures in before if name in measures]
        rows.append(
            Comparison(
                measure=name,
                value=getattr(totals, name),
                day_before=before[0].get(name),
                median_of_seven=median(values) if len(values) == DAYS else None,
            )
        )
    return [row for row in rows if row.day_before is not None or row.median_of_seven is not None]


def _gains(found: Sequence[Series], uuids: Collection[str]) -> Iterator[tuple[str, float]]:
    """By metric, what each GPU's series gained between looks; one that fell started anew from 0."""
    for series in found:
        if series.labels.get("gpu_uuid") in uuids:
            steps = np.diff(series.values)
            yield series.labels["__name__"], float(np.where(steps < 0, series.values[1:], steps).sum())
