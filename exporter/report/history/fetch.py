"""The scrape history of a window: every GPU's counters as curves that can be read at any instant.

A grid of samples, ten minutes wide, tells most of it: between two of them only sums are ever asked for. Where more
is asked for, every sample is read: around the instants at which tasks start and end, and where counters were reset,
appeared or ended. So the result is what all samples would give, from a small part of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.aliases import GpuNames
from exporter.errors import TasksError
from exporter.model import Amounts, Answer, Hold, Owner, Task
from exporter.ownership import Holdings
from exporter.report.history import gpus
from exporter.report.history.client import PrometheusClient
from exporter.report.history.concurrency import both
from exporter.report.history.counters import NEVER_SEEN, CounterCurve, device_curve, lost_or_found
from exporter.report.history.gap_division import rows_across
from exporter.report.history.gpus import Inventory, Vram
from exporter.report.history.lives import resets, strayed
from exporter.report.history.owner_series import owner_gains
from exporter.report.history.queries import DEVICES
from exporter.report.history.replicas import replicas_merged_by
from exporter.report.history.responses import Remark, Unsound
from exporter.report.history.sampler import Sampler, Span
from exporter.report.history.samples import Samples, SamplesBySeries, completed
from exporter.report.history.scrape_gaps import gaps_across, gaps_divided, spans_around_gaps
from exporter.report.observed import OBSERVED, Cells, ObservedGpu, Place
from exporter.report.window import CELL_SECONDS, Window

_EDGE = 3600.0
"""Seconds read before and after the window, so that a gap across its edges has samples on either side."""
_BRACKETED_GPUS = 256
"""Up to so many, the samples on either side of each edge of a cell are read. Each of the two costs the server a look at
all samples of the window; with one, an edge lies on the line between samples ten minutes apart, up to a scrape interval
from the nearer."""


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


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of who held what."""

    tasks: Sequence[Task]
    """All that overlap the window."""
    holdings: Holdings
    between: Callable[[float, float], Awaitable[Holdings]]
    """Asks who held what from one instant, in Unix seconds, to another: scrapes may fail across the window's edges."""


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
    sampled, vram = await both(_sampled(client, window, known, told), gpus.vram(client, window, known))
    counters = await _counters(sampled, window, known, told, vram)
    edges = np.array(window.edges)
    accrued = {uuid: np.diff(curve.at_each(edges), axis=0) for uuid, curve in counters.curves.items()}
    found = {uuid for uuid, amounts in accrued.items() if amounts[:, OBSERVED].any()}
    found |= await gpus.told_of(client, window, known, known.identities.keys() - found)
    seconds = np.diff(edges)
    observed = []
    for uuid in sorted(found):
        places = counters.places.get(uuid, ())
        labels = gpus.placed(known.identities[uuid], places[-1] if places else None)
        observed.append(
            ObservedGpu(
                uuid=uuid,
                index=int(labels["gpu"]),
                hostname=labels["hostname"],
                model=labels.get("model", ""),
                card=labels.get("card", ""),
                at=counters.curves[uuid].at,
                cells=Cells(seconds, accrued[uuid], vram[uuid].peak_bytes, vram[uuid].total_bytes),
                owners=counters.gains.get(uuid, {}),
                places=places,
            )
        )
    return History(tuple(observed), known.names, known.hosts, client.remarks, client.unsound)


@dataclass(frozen=True, slots=True)
class _Counters:
    """By GPU."""

    places: Mapping[str, tuple[Place, ...]]
    curves: Mapping[str, CounterCurve]
    gains: Mapping[str, Mapping[Owner, Amounts]]
    """Of the owner series, if they were asked for."""


@dataclass(frozen=True, slots=True)
class _Sampled:
    """The samples that matter, and what else there is to read; by GPU."""

    sampler: Sampler
    tables: SamplesBySeries
    devices: Mapping[str, Samples]
    holds: Mapping[str, Sequence[Hold]]


async def _sampled(client: PrometheusClient, window: Window, known: Inventory, told: Told | None) -> _Sampled | None:
    """Returns the samples of the GPUs known; None if none was scraped."""
    interval = await gpus.scrape_interval(client, window) if known.identities else None
    if interval is None:
        return None
    sampler = Sampler(client, window.start - _EDGE, window.end + _EDGE, interval, known)
    holds = {uuid: told.holdings.holds(known.names.aliases(uuid)) if told else () for uuid in known.identities}
    tables = await _tables(sampler, window, {uuid: _instants(each, window) for uuid, each in holds.items()})
    return _Sampled(sampler, tables, replicas_merged_by(_gpu_of, tables, sampler.apart), holds)


async def _counters(
    sampled: _Sampled | None, window: Window, known: Inventory, told: Told | None, vram: Mapping[str, Vram]
) -> _Counters:
    curves = dict.fromkeys(known.identities, NEVER_SEEN)
    gains: dict[str, dict[Owner, Amounts]] = {}
    if sampled is None:
        return _Counters({}, curves, gains)
    sampler, devices, holds = sampled.sampler, sampled.devices, sampled.holds
    curves |= {uuid: device_curve(samples, sampler.start) for uuid, samples in devices.items()}
    if told is None:
        gains = await owner_gains(sampler, window, devices)
    else:
        for start, end in gaps_across(devices.values(), (window.start, window.end), sampler.least_gap):
            beyond = await _asked(told, start, end)
            holds = {uuid: _united(each, beyond.holds(known.names.aliases(uuid))) for uuid, each in holds.items()}
        curves |= await gaps_divided(sampler, window, devices, curves, holds, vram=vram)
    return _Counters(gpus.places(sampled.tables), curves, gains)


async def _asked(told: Told, start: float, end: float) -> Holdings:
    """Returns who held what; nothing if nobody answers, as the window's own answer is good without it."""
    try:
        return await told.between(start, end)
    except TasksError:
        return Holdings(Answer((), (), as_of=0.0))


def _united(holds: Sequence[Hold], more: Iterable[Hold]) -> tuple[Hold, ...]:
    """Returns the holds of two answers; of a task that both hold, the first one's word counts."""
    known = {hold.task.key for hold in holds if hold.task}
    return (*holds, *(hold for hold in more if hold.task is None or hold.task.key not in known))


def _instants(holds: Iterable[Hold], window: Window) -> list[float]:
    """Returns when tasks start and end within the window."""
    return [edge for hold in holds for edge in (hold.start, hold.end) if window.start < edge < window.end]


async def _tables(sampler: Sampler, window: Window, instants: Mapping[str, Sequence[float]]) -> SamplesBySeries:
    """Returns all samples that matter."""
    bracketed = len(instants) <= _BRACKETED_GPUS
    coarse = await sampler.grid(DEVICES, instants, bracketed=bracketed)
    exact = {uuid: [window.start, window.end, *each] for uuid, each in instants.items()}
    known = completed(await sampler.near(DEVICES, exact), coarse, sampler.least_gap)
    usual = sampler.least_gap + (0.0 if bracketed else CELL_SECONDS)
    wanted = {
        uuid: _spans_left_out(samples, window, exact[uuid], sampler, usual)
        for uuid, samples in replicas_merged_by(_gpu_of, known, sampler.apart).items()
    }
    return completed(await sampler.within(DEVICES, wanted), known, sampler.least_gap)


def _spans_left_out(
    samples: Samples, window: Window, exact: Sequence[float], sampler: Sampler, usual: float
) -> Iterator[Span]:
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
