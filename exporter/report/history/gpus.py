"""What the scrape history knows of the GPUs themselves: who they are, how large, when they were read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from exporter.report.history.client import PrometheusClient
from exporter.report.history.queries import (
    GPU_IDS,
    IDENTITY,
    PRESENCE,
    READ_BEFORE,
    SCRAPES,
    VRAM_PEAK,
    VRAM_TOTAL,
    any_of,
    batches,
)
from exporter.report.history.samples import SamplesBySeries
from exporter.report.observed import Floats
from exporter.report.window import CELL_SECONDS, Window

_BEFORE = 7 * 86400.0
"""Seconds before the window in which a GPU that was read still counts."""
_HOUR = 3600.0
_INSTANT = 0.001
"""Seconds: a sample on the edge of two cells is in the earlier one's range only, whichever edges the engine counts."""

_MOST_DIGITS = 6
"""Of a GPU's index."""

Identity = Mapping[str, str]
"""The labels of `amdgpu_info`, or of a counter where there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Vram:
    """One GPU's memory in a window."""

    total_bytes: int | None
    peak_bytes: Floats
    """The highest sample in each ten-minute cell; NaN where there was none."""


async def identities(client: PrometheusClient, window: Window) -> dict[str, list[Identity]]:
    """Returns every identity each GPU had in the window and the seven days before; some servers tell more than that."""
    found: dict[str, list[Identity]] = {}
    for labels in await client.label_sets(IDENTITY.ask(client.scope()), window.start - _BEFORE, window.end):
        index = labels.get("gpu", "")
        if labels.get("gpu_uuid") and index.isdecimal() and len(index) <= _MOST_DIGITS and labels.get("hostname"):
            found.setdefault(labels["gpu_uuid"], []).append(labels)
    return {uuid: sorted(labels, key=_preference) for uuid, labels in found.items()}


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


async def read_before(client: PrometheusClient, window: Window, uuids: Collection[str]) -> set[str]:
    """Returns those of the GPUs that were read in the seven days before the window."""
    found: set[str] = set()
    for some in batches(uuids, 1):
        question = READ_BEFORE.ask(client.scope(any_of("gpu_uuid", some)), range_seconds=_BEFORE)
        found |= {
            series.labels["gpu_uuid"] for series in await client.instant(question, window.start) if series.values[0] > 0
        }
    return found.intersection(uuids)


async def gpu_ids(client: PrometheusClient, window: Window, uuids: Collection[str]) -> dict[str, str]:
    """Returns the cluster-wide numbers that tasks of the window and the seven days before it knew these GPUs by."""
    numbers: dict[str, str] = {}
    for some in batches(uuids, 1):
        question = GPU_IDS.ask(client.scope(any_of("gpu_uuid", some)), range_seconds=window.seconds + _BEFORE)
        found = await client.instant(question, window.end)
        numbers |= {series.labels["gpu_uuid"]: series.labels["gpu_id"] for series in found}
    return numbers


async def vram(client: PrometheusClient, window: Window, uuids: Collection[str]) -> dict[str, Vram]:
    """Returns what is known of each GPU's VRAM."""
    totals, peaks = await _vram_totals(client, window, uuids), await _vram_peaks(client, window, uuids)
    unseen = np.full(len(window.edges) - 1, np.nan)
    return {uuid: Vram(totals.get(uuid), peaks.get(uuid, unseen)) for uuid in uuids}


async def _vram_totals(client: PrometheusClient, window: Window, uuids: Collection[str]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for some in batches(uuids, 1):
        question = VRAM_TOTAL.ask(client.scope(any_of("gpu_uuid", some)), range_seconds=window.end - window.start)
        for series in await client.instant(question, window.end):
            totals[series.labels["gpu_uuid"]] = int(series.values[0])
    return totals


async def _vram_peaks(client: PrometheusClient, window: Window, uuids: Collection[str]) -> dict[str, Floats]:
    cells = len(window.edges) - 1
    first, last = window.start + CELL_SECONDS, window.start + cells * CELL_SECONDS
    peaks: dict[str, Floats] = {}
    for some in batches(uuids, cells):
        question = VRAM_PEAK.ask(client.scope(any_of("gpu_uuid", some)), range_seconds=CELL_SECONDS - _INSTANT)
        for series in await client.range(question, first, last, CELL_SECONDS):
            peaks[series.labels["gpu_uuid"]] = peak = np.full(cells, np.nan)
            place = np.rint((series.times - first) / CELL_SECONDS).astype(int)
            inside = (place >= 0) & (place < cells)
            peak[place[inside]] = series.values[inside]
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


def reference_gpus(known: Mapping[str, Iterable[Identity]]) -> set[str]:
    """Returns the GPUs that ever were the first of their node."""
    places = [(one["hostname"], int(one["gpu"]), uuid) for uuid, identities in known.items() for one in identities]
    first: dict[str, int] = {}
    for hostname, index, _ in places:
        first[hostname] = min(index, first.get(hostname, index))
    return {uuid for hostname, index, uuid in places if index == first[hostname]}


def placed(known: Mapping[str, Sequence[Identity]], samples_of: SamplesBySeries) -> dict[str, Identity]:
    """Returns each GPU's identity at the host and index at which it was seen last; with a model where one is told.

    Args:
        known: Every identity of each GPU, the preferred last.
        samples_of: The device counters, by labels that tell the place.
    """
    last: dict[str, tuple[float, str, str]] = {}
    for items, samples in samples_of.items():
        labels = dict(items)
        if len(samples):
            place = (samples.times[-1], labels.get("hostname", ""), labels.get("gpu", ""))
            last[labels["gpu_uuid"]] = max(place, last.get(labels["gpu_uuid"], place))
    return {
        uuid: max(reversed(each), key=lambda one: (one["hostname"], one["gpu"]) == last.get(uuid, (0.0, "", ""))[1:])
        for uuid, each in known.items()
    }


def _preference(labels: Identity) -> tuple[bool, list[tuple[str, str]]]:
    """Sorts those with a model, which only `amdgpu_info` tells, last: they are preferred."""
    return "model" in labels, sorted(labels.items())
