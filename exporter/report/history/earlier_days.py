"""What GPUs gained on days before the window: a coarse look, which costs little, to compare a day with."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from exporter.model import Amounts
from exporter.report.history.client import PrometheusClient
from exporter.report.history.concurrency import together
from exporter.report.history.queries import BY_GPU_DAILY, UNOWNED_DAILY, Query
from exporter.report.history.responses import Series
from exporter.report.observed import ObservedDay
from exporter.report.window import Window

_LOOKS = 6
"""Samples a day, one every four hours: what a reset loses lies between two of them."""
_FIELDS = {
    "amdgpu_observed_seconds_total": "observed_seconds",
    "amdgpu_busy_seconds_total": "busy_seconds",
    "amdgpu_idle_seconds_total": "idle_seconds",
    "amdgpu_energy_joules_total": "energy_joules",
}
_UNOWNED_FIELDS = {
    "amdgpu_owner_seconds_total": "observed_seconds",
    "amdgpu_owner_busy_seconds_total": "busy_seconds",
    "amdgpu_owner_idle_seconds_total": "idle_seconds",
}


async def earlier_days(client: PrometheusClient, days: Sequence[Window], uuids: Collection[str]) -> list[ObservedDay]:
    """Returns what these GPUs gained on each of some days.

    To within a day's edges: a counter is looked at every four hours, so that a reset costs what it had gained since
    the last look.

    Raises:
        HistoryError: As the client raises it.
    """
    return await together(_day(client, day, uuids) for day in days)


async def _day(client: PrometheusClient, day: Window, uuids: Collection[str]) -> ObservedDay:
    whole = await _gained(client, BY_GPU_DAILY, day, uuids, _FIELDS)
    return ObservedDay(whole, await _gained(client, UNOWNED_DAILY, day, uuids, _UNOWNED_FIELDS))


async def _gained(
    client: PrometheusClient, query: Query, day: Window, uuids: Collection[str], fields: Mapping[str, str]
) -> Amounts:
    found = await client.range(query.ask(client.scope()), day.start, day.end, day.seconds / _LOOKS)
    gained = dict.fromkeys(fields.values(), 0.0)
    for metric, amount in gains(found, uuids):
        gained[fields[metric]] += amount
    return Amounts(**gained)


def gains(found: Sequence[Series], uuids: Collection[str]) -> Iterator[tuple[str, float]]:
    """Yields, by metric, what each series of these GPUs gained between looks; one that fell was reset to 0."""
    for series in found:
        if series.labels.get("gpu_uuid") in uuids:
            steps = np.diff(series.values)
            yield series.labels["__name__"], float(np.where(steps < 0, series.values[1:], steps).sum())
