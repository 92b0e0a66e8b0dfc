"""The counters of GPUs where a report asks for them, from as few samples as tell what all of them would.

A grid of samples, ten minutes wide, tells most of it: between two of them only sums are ever asked for. Where more
is asked for, every sample is read: around the instants at which tasks start and end, and where counters were reset,
appeared or ended.

The samples of a thousand GPUs with a hundred tasks a day each take gigabytes. So some GPUs are read at a time, and what
they accrued is computed while the samples of the next arrive.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.errors import TasksError
from exporter.model import Amounts, Answer, Hold, Owner, Task
from exporter.ownership import Holdings
from exporter.report.history import gpus
from exporter.report.history.counters import CounterCurve, device_curve, lost_or_found
from exporter.report.history.gap_division import rows_across
from exporter.report.history.gpus import Inventory, Vram
from exporter.report.history.lives import resets, strayed
from exporter.report.history.owner_series import owner_gains
from exporter.report.history.queries import DEVICES
from exporter.report.history.replicas import replicas_merged_by
from exporter.report.history.sampler import Sampler, Span
from exporter.report.history.samples import Samples, SamplesBySeries, completed
from exporter.report.history.scrape_gaps import gaps_across, gaps_divided, spans_around_gaps
from exporter.report.observed import Cells, Floats, Place
from exporter.report.window import CELL_SECONDS, Window

_BRACKETED_GPUS = 256
"""Up to so many, the samples on either side of each edge of a cell are read. Each of the two costs the server a look at
all samples of the window; with one, an edge lies on the line between samples ten minutes apart, up to a scrape interval
from the nearer."""
_MOST_ROWS = 330_000
"""Scrapes read at a time: 18 MB of counters, some six times as much while they are put together and the next arrive. A
day of a thousand GPUs with four tasks each has no more."""
_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of who held what."""

    tasks: Sequence[Task]
    """All that overlap the window."""
    holdings: Holdings
    between: Callable[[float, float], Awaitable[Holdings]]
    """Asks who held what from one instant, in Unix seconds, to another: scrapes may fail across the window's edges."""


@dataclass(frozen=True, slots=True, eq=False)
class GpuCounters:
    """What is kept of one GPU's samples."""

    curve: CounterCurve
    """At the window's edges, and where tasks start or end."""
    cells: Cells
    places: tuple[Place, ...]
    """Where it was, from when on."""
    gains: Mapping[Owner, Amounts]
    """Of the owner series, if they were asked for."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """The samples of some GPUs that matter; by GPU but for `tables`."""

    tables: SamplesBySeries
    devices: Mapping[str, Samples]


class Reader:
    """Reads the counters of a window.

    Args:
        sampler: Reads the window and its surroundings.
        window: The stretch of time.
        known: The GPUs.
        told: Who held what: where tasks start and end the counters are exact; None: what the owner series gained is
            read instead.
    """

    def __init__(self, sampler: Sampler, window: Window, known: Inventory, told: Told | None) -> None:
        self._sampler = sampler
        self._window = window
        self._known = known
        self._told = told
        self._exact = {uuid: self._instants(uuid) for uuid in sorted(known.identities)}
        self._is_bracketed = len(known.identities) <= _BRACKETED_GPUS
        self._on_grid = (1 + self._is_bracketed) * (sampler.end - sampler.start) / CELL_SECONDS
        """Scrapes of each GPU."""
        self._slot = sampler.slot(list(self._exact.values()), self._on_grid, _MOST_ROWS)
        self._beyond: dict[Span, Holdings] = {}
        """Who held what across the window's edges."""

    def in_turn(self) -> list[list[str]]:
        """Returns the GPUs in parts, each of no more samples than memory should hold at once; at least one."""
        parts: list[list[str]] = [[]]
        rows = 0.0
        for uuid, instants in self._exact.items():
            mine = self._on_grid + self._sampler.rows_near(instants, self._slot)
            if parts[-1] and rows + mine > _MOST_ROWS:
                parts.append([])
                rows = 0.0
            parts[-1].append(uuid)
            rows += mine
        return parts

    async def sampled(self, uuids: Iterable[str]) -> Sampled:
        """Reads the samples of some GPUs."""
        tables = await self._tables({uuid: self._exact[uuid] for uuid in uuids})
        return Sampled(tables, replicas_merged_by(_gpu_of, tables, self._sampler.apart))

    async def counters(self, sampled: Sampled, vram: Mapping[str, Vram]) -> dict[str, GpuCounters]:
        """Returns what is kept of these samples, by GPU; of one that was not scraped nothing.

        Args:
            sampled: Of some GPUs.
            vram: The memory of each GPU.
        """
        devices = sampled.devices
        curves = {}
        for uuid, samples in devices.items():
            curves[uuid] = device_curve(samples, self._sampler.start)
            await asyncio.sleep(0)  # other samples arrive meanwhile
        gains: dict[str, dict[Owner, Amounts]] = {}
        if self._told is None:
            gains = await owner_gains(self._sampler, self._window, devices)
        else:
            curves |= await self._bent(self._told, sampled, curves, vram)
        places, edges = gpus.places(sampled.tables), np.array(self._window.edges)
        kept = {}
        for uuid, curve in curves.items():
            amounts = np.diff(curve.at_each(edges), axis=0)
            cells = Cells.of(amounts, vram[uuid].peak_bytes, vram[uuid].total_bytes)
            kept[uuid] = GpuCounters(curve.only_at(self._exact[uuid]), cells, places.get(uuid, ()), gains.get(uuid, {}))
            await asyncio.sleep(0)
        return kept

    def _holds(self, uuid: str) -> Sequence[Hold]:
        return self._told.holdings.holds(self._known.names.aliases(uuid)) if self._told else ()

    def _instants(self, uuid: str) -> Floats:
        """Returns the edges of the window, and when tasks of a GPU start and end within it; ascending, each once."""
        start, end = self._window.start, self._window.end
        edges = (edge for hold in self._holds(uuid) for edge in (hold.start, hold.end) if start < edge < end)
        return np.unique([start, end, *edges])

    async def _bent(
        self, told: Told, sampled: Sampled, curves: Mapping[str, CounterCurve], vram: Mapping[str, Vram]
    ) -> dict[str, CounterCurve]:
        """Returns the curves of the GPUs whose tasks start or end while scrapes failed."""
        holds, window = {uuid: self._holds(uuid) for uuid in curves}, self._window
        for gap in gaps_across(sampled.devices.values(), (window.start, window.end), self._sampler.least_gap):
            beyond = await self._held_in(told, gap)
            holds = {uuid: _united(each, beyond.holds(self._known.names.aliases(uuid))) for uuid, each in holds.items()}
        return await gaps_divided(self._sampler, window, sampled.devices, curves, holds, vram=vram)

    async def _held_in(self, told: Told, gap: Span) -> Holdings:
        """Returns who held what; nothing if nobody answers, as the window's own answer is good without it.

        Scrapes of many GPUs fail together: they are asked about once, in whole minutes.
        """
        start, end = math.floor(gap[0] / _MINUTE) * _MINUTE, math.ceil(gap[1] / _MINUTE) * _MINUTE
        if (start, end) not in self._beyond:
            try:
                self._beyond[start, end] = await told.between(start, end)
            except TasksError:
                self._beyond[start, end] = Holdings(Answer((), (), as_of=0.0))
        return self._beyond[start, end]

    async def _tables(self, instants: Mapping[str, Floats]) -> SamplesBySeries:
        """Returns all samples that matter."""
        sampler, window = self._sampler, self._window
        coarse = await sampler.grid(DEVICES, instants, bracketed=self._is_bracketed)
        known = completed(await sampler.near(DEVICES, instants, self._slot), coarse, sampler.least_gap)
        usual = sampler.least_gap + (0.0 if self._is_bracketed else CELL_SECONDS)
        wanted = {
            uuid: _spans_left_out(samples, window, instants[uuid], sampler, usual)
            for uuid, samples in replicas_merged_by(_gpu_of, known, sampler.apart).items()
        }
        return completed(await sampler.within(DEVICES, wanted), known, sampler.least_gap)


def _united(holds: Sequence[Hold], more: Iterable[Hold]) -> tuple[Hold, ...]:
    """Returns the holds of two answers; of a task that both hold, the first one's word counts."""
    known = {hold.task.key for hold in holds if hold.task}
    return (*holds, *(hold for hold in more if hold.task is None or hold.task.key not in known))


def _spans_left_out(samples: Samples, window: Window, exact: Floats, sampler: Sampler, usual: float) -> Iterator[Span]:
    """Yields where samples left out so far matter; around edges of cells, if they lie further apart than usual."""
    times = samples.times
    unclear = np.concatenate(
        (
            1 + np.flatnonzero(resets(samples) | strayed(samples) | lost_or_found(samples, sampler.apart)),
            rows_across(times, exact, sampler.apart),
            rows_across(times, window.edges, usual),
        )
    )
    yield from spans_around_gaps(times, exact, sampler.least_gap)
    for n in np.setdiff1d(unclear, rows_across(times, exact, sampler.least_gap)):
        yield times[n - 1], times[n]
    # The grid does not see what came and went between two of its instants, nor did Prometheus look back so far.
    if times[0] - CELL_SECONDS > sampler.start:
        yield times[0] - CELL_SECONDS, times[0]
    if times[-1] + CELL_SECONDS < sampler.end:
        yield times[-1], times[-1] + CELL_SECONDS


def _gpu_of(labels: Mapping[str, str]) -> str | None:
    return labels.get("gpu_uuid")
