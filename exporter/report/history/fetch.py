"""The scrape history of a window: every GPU that exporters tell of, and what it did."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from exporter.aliases import GpuNames
from exporter.report.history import gpus
from exporter.report.history.client import PrometheusClient
from exporter.report.history.concurrency import both
from exporter.report.history.counters import NEVER_SEEN
from exporter.report.history.gpu_counters import GpuCounters, Reader, Told
from exporter.report.history.gpus import Inventory, Vram
from exporter.report.history.responses import Remark, Unsound
from exporter.report.history.sampler import Sampler
from exporter.report.history.samples import COUNTERS
from exporter.report.observed import Cells, ObservedGpu
from exporter.report.window import Window

_EDGE = 3600.0
"""Seconds read before and after the window, so that a gap across its edges has samples on either side."""


@dataclass(frozen=True, slots=True)
class History:
    """What the scrape history knows of a window."""

    gpus: tuple[ObservedGpu, ...]
    """Those that exporters told of in the window, or read in the seven days before, by unique id; maybe none."""
    names: GpuNames
    hosts: Mapping[str, Collection[str]]
    """The unique ids of the GPUs seen under each name that exporters bear."""
    remarks: tuple[Remark, ...]
    """The server's, by their text."""
    unsound: tuple[tuple[str, Unsound], ...] = ()
    """What is wrong with samples, by the name of the query."""


async def fetch(client: PrometheusClient, window: Window, told: Told | None) -> History:
    """Reads a window.

    Args:
        client: The server.
        window: The stretch of time.
        told: Who held what: where tasks start and end the counters are exact; None: what the owner series gained is
            read instead.

    Raises:
        HistoryError: As the client raises it.
    """
    known = await gpus.inventory(client, window, told.tasks if told else ())
    counters = await _counters(client, window, known, told)
    found = {uuid for uuid, each in counters.items() if each.cells.observed_seconds.any()}
    found |= await gpus.told_of(client, window, known, known.identities.keys() - found)
    observed = []
    for uuid in sorted(found):
        mine = counters[uuid]
        labels = gpus.placed(known.identities[uuid], mine.places[-1] if mine.places else None)
        observed.append(
            ObservedGpu(
                uuid=uuid,
                index=int(labels["gpu"]),
                hostname=labels["hostname"],
                model=labels.get("model", ""),
                card=labels.get("card", ""),
                at=mine.curve.at,
                cells=mine.cells,
                owners=mine.gains,
                places=mine.places,
            )
        )
    return History(tuple(observed), known.names, known.hosts, client.remarks, client.unsound)


async def _counters(
    client: PrometheusClient, window: Window, known: Inventory, told: Told | None
) -> dict[str, GpuCounters]:
    """Returns those of all GPUs known."""
    interval = await gpus.scrape_interval(client, window) if known.identities else None
    counters: dict[str, GpuCounters] = {}
    if interval is None:
        vram = await gpus.vram(client, window, known)
    else:
        sampler = Sampler(client, window.start - _EDGE, window.end + _EDGE, interval, known)
        reader = Reader(sampler, window, known, told)
        some, *others = reader.in_turn()
        sampled, vram = await both(reader.sampled(some), gpus.vram(client, window, known))
        for following in others:
            sampled, found = await both(reader.sampled(following), reader.counters(sampled, vram))
            counters |= found
        counters |= await reader.counters(sampled, vram)
    return _never_seen(window, vram, known.identities.keys() - counters) | counters


def _never_seen(window: Window, vram: Mapping[str, Vram], uuids: Iterable[str]) -> dict[str, GpuCounters]:
    nothing = np.zeros((len(window.edges) - 1, COUNTERS))
    cells = {uuid: Cells.of(nothing, vram[uuid].peak_bytes, vram[uuid].total_bytes) for uuid in uuids}
    return {uuid: GpuCounters(NEVER_SEEN, mine, (), {}) for uuid, mine in cells.items()}
