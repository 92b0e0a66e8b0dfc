"""The scrape history of a window: every GPU's counters as curves that can be read at any instant.

A grid of samples, ten minutes wide, tells most of it: between two of them only sums are ever asked for. Where more
is asked for, every sample is read: around the instants at which tasks start and end, and where counters were reset,
appeared or ended. So the result is what all samples would give, from a small part of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.model import Amounts, Hold, Owner
from exporter.ownership import Holdings
from exporter.report.history import gpus as inventory
from exporter.report.history.client import PrometheusClient
from exporter.report.history.concurrency import both
from exporter.report.history.counters import NEVER_SEEN, CounterCurve, device_curve, lost_or_found
from exporter.report.history.gap_division import rows_across
from exporter.report.history.gpus import Identity, Vram
from exporter.report.history.lives import resets, strayed
from exporter.report.history.owner_series import owner_gains
from exporter.report.history.queries import DEVICES
from exporter.report.history.replicas import replicas_merged_by
from exporter.report.history.responses import Remark, Unsound
from exporter.report.history.sampler import Sampler, Span
from exporter.report.history.samples import Samples, SamplesBySeries, completed
from exporter.report.history.scrape_gaps import gaps_divided, spans_around_gaps
from exporter.report.observed import OBSERVED, Cells, ObservedGpu
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
    """Those read in the window or in the seven days before, by unique id; empty if there are none."""
    remarks: tuple[Remark, ...]
    """The server's, by their text."""
    unsound: tuple[tuple[str, Unsound], ...] = ()
    """What is wrong with samples, by the name of the query."""


async def fetch(client: PrometheusClient, window: Window, holdings: Holdings | None) -> History:
    """Reads a window.

    Args:
        client: The server.
        window: The stretch of time.
        holdings: Who held what: where tasks start and end the counters are exact; None: what the owner series gained
            is read instead.

    Raises:
        HistoryError: As the client raises it.
    """
    known = await inventory.identities(client, window)
    sampled, vram = await both(_sampled(client, window, known, holdings), inventory.vram(client, window, known))
    counters = await _counters(sampled, window, known, holdings, vram)
    edges = np.array(window.edges)
    accrued = {uuid: np.diff(curve.at_each(edges), axis=0) for uuid, curve in counters.curves.items()}
    read = {uuid for uuid, amounts in accrued.items() if amounts[:, OBSERVED].any()}
    read |= await inventory.read_before(client, window, known.keys() - read)
    seconds = np.diff(edges)
    gpus = [
        ObservedGpu(
            uuid=uuid,
            index=int(labels["gpu"]),
            hostname=labels["hostname"],
            model=labels.get("model", ""),
            card=labels.get("card", ""),
            at=counters.curves[uuid].at,
            cells=Cells(seconds, accrued[uuid], vram[uuid].peak_bytes, vram[uuid].total_bytes),
            owners=counters.gains.get(uuid, {}),
        )
        for uuid in sorted(read)
        for labels in [counters.identities[uuid]]
    ]
    return History(tuple(gpus), client.remarks, client.unsound)


@dataclass(frozen=True, slots=True)
class _Counters:
    """By GPU."""

    identities: Mapping[str, Identity]
    """Of the place where it was seen last."""
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


async def _sampled(
    client: PrometheusClient, window: Window, known: Mapping[str, Sequence[Identity]], holdings: Holdings | None
) -> _Sampled | None:
    """Returns the samples of the GPUs known; None if none was scraped."""
    interval = await inventory.scrape_interval(client, window) if known else None
    if interval is None:
        return None
    sampler = Sampler(client, window.start - _EDGE, window.end + _EDGE, interval, inventory.reference_gpus(known))
    holds = {uuid: holdings.holds({uuid}) if holdings else () for uuid in known}
    tables = await _tables(sampler, window, {uuid: _instants(each, window) for uuid, each in holds.items()})
    return _Sampled(sampler, tables, replicas_merged_by(_gpu_of, tables, sampler.apart), holds)


async def _counters(
    sampled: _Sampled | None,
    window: Window,
    known: Mapping[str, Sequence[Identity]],
    holdings: Holdings | None,
    vram: Mapping[str, Vram],
) -> _Counters:
    curves = dict.fromkeys(known, NEVER_SEEN)
    gains: dict[str, dict[Owner, Amounts]] = {}
    if sampled is None:
        return _Counters(inventory.placed(known, {}), curves, gains)
    sampler, devices = sampled.sampler, sampled.devices
    curves |= {uuid: device_curve(samples, sampler.start) for uuid, samples in devices.items()}
    if holdings is None:
        gains = await owner_gains(sampler, window, devices)
    else:
        curves |= await gaps_divided(sampler, window, devices, curves, sampled.holds, vram=vram)
    return _Counters(inventory.placed(known, sampled.tables), curves, gains)


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
