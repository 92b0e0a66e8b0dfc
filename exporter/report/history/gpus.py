"""What the scrape history knows of the GPUs themselves: who they are, how large, when they were read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from exporter.aliases import GpuNames
from exporter.model import Task, TaskGpu
from exporter.report.history.client import PrometheusClient
from exporter.report.history.queries import (
    GPU_IDS,
    IDENTITY,
    PRESENCE,
    READ_BEFORE,
    SCRAPED,
    SCRAPES,
    TASKS_OF_GPUS,
    VRAM_PEAK,
    VRAM_TOTAL,
    VRAM_TOTAL_EARLIER,
    any_of,
    batches,
)
from exporter.report.history.responses import Series
from exporter.report.history.samples import SamplesBySeries
from exporter.report.observed import Floats, Place
from exporter.report.window import CELL_SECONDS, Window

_BEFORE = 7 * 86400.0
"""Seconds before the window in which a GPU that was read still counts."""
_TASKS_ASKED = 200
"""Ids of tasks, usually of 36 characters, in one question."""
_HOUR = 3600.0
_INSTANT = 0.001
"""Seconds: a sample on the edge of two cells is in the earlier one's range only, whichever edges the engine counts."""

_MOST_DIGITS = 6
"""Of a GPU's index."""

Identity = Mapping[str, str]
"""The labels of `amdgpu_info`, or of a counter where there is none."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """The GPUs that exporters told of in the window and the seven days before."""

    identities: Mapping[str, Sequence[Identity]]
    """Every identity each had, the preferred last; by the id under which the report tells of it."""
    names: GpuNames

    @property
    def hosts(self) -> dict[str, set[str]]:
        """The GPUs seen under each name that exporters give to hosts."""
        hosts: dict[str, set[str]] = {}
        for uuid, identities in self.identities.items():
            for labels in identities:
                hosts.setdefault(labels["hostname"], set()).add(uuid)
        return hosts

    def known_as(self, uuids: Iterable[str]) -> set[str]:
        """Returns the ids under which exporters tell of these GPUs."""
        return {name for uuid in uuids for name in self.names.known_as(uuid)}


@dataclass(frozen=True, slots=True, eq=False)
class Vram:
    """One GPU's memory in a window."""

    total_bytes: int | None
    peak_bytes: Floats
    """The highest sample in each ten-minute cell; NaN where there was none."""


async def inventory(client: PrometheusClient, window: Window, tasks: Iterable[Task]) -> Inventory:
    """Returns which GPUs there are, and by which ids they go; some servers tell of more than the seven days before.

    Args:
        client: The server.
        window: The stretch of time.
        tasks: Those of the window. A GPU that one names by an id which no exporter tells is the one on which its
            exporter saw this task.
    """
    found: dict[str, list[Identity]] = {}
    claims: list[tuple[str, str]] = []
    for labels in await client.label_sets(IDENTITY.ask(client.scope()), window.start - _BEFORE, window.end):
        if labels.get("gpu_uuid") and "alias" in labels:
            claims.append((labels["gpu_uuid"], labels["alias"]))
        elif labels.get("gpu_uuid") and _is_index(labels.get("gpu", "")) and labels.get("hostname"):
            found.setdefault(labels["gpu_uuid"], []).append(labels)
    names = GpuNames(found, claims)
    if strangers := [task for task in tasks if any(gpu.uuid not in names for gpu in task.gpus)]:
        names = GpuNames(found, [*claims, *await _seen_as(client, window, names, strangers)])
    identities: dict[str, list[Identity]] = {}
    for uuid, each in found.items():
        identities.setdefault(names.key(uuid), []).extend(each)
    return Inventory({uuid: sorted(each, key=_preference) for uuid, each in identities.items()}, names)


async def _seen_as(
    client: PrometheusClient, window: Window, names: GpuNames, tasks: Sequence[Task]
) -> set[tuple[str, str]]:
    """Returns the GPUs on which exporters saw tasks, each with the unknown id by which the task names it."""
    unknown: dict[str, list[TaskGpu]] = {}
    known: dict[str, set[str]] = {}
    for task in tasks:
        for gpu in task.gpus:
            if gpu.uuid in names:
                known.setdefault(task.task_id, set()).add(names.key(gpu.uuid))
            else:
                unknown.setdefault(task.task_id, []).append(gpu)
    claims: set[tuple[str, str]] = set()
    ids = sorted(unknown)
    for some in (ids[n : n + _TASKS_ASKED] for n in range(0, len(ids), _TASKS_ASKED)):
        question = TASKS_OF_GPUS.ask(client.scope(any_of("task_id", some)))
        for labels in await client.label_sets(question, window.start - _BEFORE, window.end):
            uuid, task_id = labels.get("gpu_uuid", ""), labels.get("task_id", "")
            meant = _numbered(unknown.get(task_id, ()), labels.get("gpu_id", ""))
            if len(meant) == 1 and uuid in names and names.key(uuid) not in known.get(task_id, ()):
                claims |= {(uuid, alias) for alias in meant}
    return claims


def _numbered(gpus: Sequence[TaskGpu], gpu_id: str) -> set[str]:
    """Returns the ids of the GPUs of a task that may bear a number: those that do, or else those that tell none."""
    alike = {gpu.uuid for gpu in gpus if gpu.gpu_id == gpu_id}
    return alike or {gpu.uuid for gpu in gpus if not (gpu.gpu_id and gpu_id)}


async def scrape_interval(client: PrometheusClient, window: Window) -> float | None:
    """Returns the seconds between the typical GPU's scrapes; None if there were none in the window."""
    for step, matcher in ((_HOUR, 'gpu="0"'), (CELL_SECONDS, "")):  # the first look is cheap, but may miss everything
        question = SCRAPES.ask(client.scope(matcher), range_seconds=CELL_SECONDS - _INSTANT)
        steps = int((window.end - window.start) / step)
        counts = await client.range(question, window.end - steps * step, window.end, step)
        most = max((series.values.max() for series in counts), default=0.0)
        if most > 0:
            return float(CELL_SECONDS / most)
    return None


async def told_of(client: PrometheusClient, window: Window, known: Inventory, uuids: Collection[str]) -> set[str]:
    """Returns those of the GPUs that exporters told of in the window, or read in the seven days before it."""
    found: set[str] = set()
    for some in batches(known.known_as(uuids), 1):
        scope = client.scope(any_of("gpu_uuid", some))
        before = await client.over(READ_BEFORE, scope, window.start - _BEFORE, window.start)
        within = await client.over(SCRAPED, scope, window.start, window.end)
        found |= {known.names.key(one.labels["gpu_uuid"]) for one in (*before, *within) if one.values[0] > 0}
    return found.intersection(uuids)


async def gpu_ids(client: PrometheusClient, window: Window, known: GpuNames, uuids: Collection[str]) -> dict[str, str]:
    """Returns the cluster-wide numbers that tasks of the window and the seven days before it knew these GPUs by."""
    numbers: dict[str, str] = {}
    for some in batches({name for uuid in uuids for name in known.known_as(uuid)}, 1):
        found = await client.over(GPU_IDS, client.scope(any_of("gpu_uuid", some)), window.start - _BEFORE, window.end)
        numbers |= {known.key(series.labels["gpu_uuid"]): series.labels["gpu_id"] for series in found}
    return numbers


async def vram(client: PrometheusClient, window: Window, known: Inventory) -> dict[str, Vram]:
    """Returns what is known of each GPU's VRAM."""
    totals, peaks = await _vram_totals(client, window, known), await _vram_peaks(client, window, known)
    unseen = np.full(len(window.edges) - 1, np.nan)
    return {uuid: Vram(totals.get(uuid), peaks.get(uuid, unseen)) for uuid in known.identities}


async def _vram_totals(client: PrometheusClient, window: Window, known: Inventory) -> dict[str, int]:
    """Returns what GPUs tell at the end of the window; of those that are silent then, the most they told in it."""
    totals: dict[str, int] = {}
    for some in batches(known.known_as(known.identities), 1):
        question = VRAM_TOTAL.ask(client.scope(any_of("gpu_uuid", some)))
        totals |= _whole_bytes(await client.instant(question, window.end), known)
    for some in batches(known.known_as(known.identities.keys() - totals.keys()), 1):
        scope = client.scope(any_of("gpu_uuid", some))
        totals |= _whole_bytes(await client.over(VRAM_TOTAL_EARLIER, scope, window.start, window.end), known)
    return totals


def _whole_bytes(told: Iterable[Series], known: Inventory) -> dict[str, int]:
    return {known.names.key(series.labels["gpu_uuid"]): int(series.values[0]) for series in told}


async def _vram_peaks(client: PrometheusClient, window: Window, known: Inventory) -> dict[str, Floats]:
    cells = len(window.edges) - 1
    first, last = window.start + CELL_SECONDS, window.start + cells * CELL_SECONDS
    peaks: dict[str, Floats] = {}
    for some in batches(known.known_as(known.identities), cells):
        question = VRAM_PEAK.ask(client.scope(any_of("gpu_uuid", some)), range_seconds=CELL_SECONDS - _INSTANT)
        for series in await client.range(question, first, last, CELL_SECONDS):
            peak = peaks.setdefault(known.names.key(series.labels["gpu_uuid"]), np.full(cells, np.nan))
            place = np.rint((series.times - first) / CELL_SECONDS).astype(int)
            inside = (place >= 0) & (place < cells)
            peak[place[inside]] = np.fmax(peak[place[inside]], series.values[inside])
    return peaks


async def absence(client: PrometheusClient, window: Window, now: float) -> str:
    """Returns why a window has no history: since when, if at all, the server has any."""
    question = PRESENCE.ask(client.scope())
    later = await client.range(question, window.start, max(now, window.start), _HOUR)
    times = [series.times[0] for series in later]
    asked = f"nothing matches {question.promql} in {window.name}"
    if not times:
        return f"{asked}, nor since: is the exporter scraped by this server, and does prometheus.matchers fit?"
    since = datetime.fromtimestamp(min(times), window.zone).isoformat(" ", "minutes")
    return f"{asked}: the history goes on about {since}: is the date before the server's retention?"


def _is_index(label: str) -> bool:
    return label.isdecimal() and len(label) <= _MOST_DIGITS


def reference_gpus(known: Mapping[str, Iterable[Identity]]) -> set[str]:
    """Returns the GPUs that ever were the first of their node, by the ids under which exporters tell of them."""
    places = [(one["hostname"], int(one["gpu"]), one["gpu_uuid"]) for each in known.values() for one in each]
    first: dict[str, int] = {}
    for hostname, index, _ in places:
        first[hostname] = min(index, first.get(hostname, index))
    return {uuid for hostname, index, uuid in places if index == first[hostname]}


def places(samples_of: SamplesBySeries) -> dict[str, tuple[Place, ...]]:
    """Returns where each GPU was, from when on, in the order of time.

    Args:
        samples_of: The device counters, by labels that tell the place.
    """
    seen: dict[str, dict[tuple[str, int], list[Floats]]] = {}
    for items, samples in samples_of.items():
        labels = dict(items)
        if len(samples) and _is_index(labels.get("gpu", "")):
            place = labels.get("hostname", ""), int(labels["gpu"])
            seen.setdefault(labels["gpu_uuid"], {}).setdefault(place, []).append(samples.times)
    return {uuid: _in_order({place: np.concatenate(times) for place, times in of.items()}) for uuid, of in seen.items()}


def _in_order(times_at: Mapping[tuple[str, int], Floats]) -> tuple[Place, ...]:
    each = list(times_at)
    times = np.concatenate(list(times_at.values()))
    order = np.argsort(times, kind="stable")
    which = np.repeat(np.arange(len(each)), [len(times_at[place]) for place in each])[order]
    moved = np.concatenate([[0], 1 + np.flatnonzero(np.diff(which))])
    return tuple(Place(float(times[order[n]]), *each[which[n]]) for n in moved)


def placed(identities: Sequence[Identity], last: Place | None) -> Identity:
    """Returns the identity at the place where a GPU was seen last; with a model where one is told.

    Args:
        identities: Every identity of the GPU, the preferred last.
        last: That place.
    """
    return max(
        reversed(identities),
        key=lambda one: last is not None and (one["hostname"], int(one["gpu"])) == (last.hostname, last.index),
    )


def _preference(labels: Identity) -> tuple[bool, list[tuple[str, str]]]:
    """Sorts those with a model, which only `amdgpu_info` tells, last: they are preferred."""
    return "model" in labels, sorted(labels.items())
