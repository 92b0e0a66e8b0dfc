"""The scrape history of a window: every GPU's counters as lines that can be read at any instant.

A grid of samples, ten minutes wide, tells most of it: between two of them only sums are ever asked for. Where more
is asked for, every sample is read: around the instants at which tasks start and end, and where counters restarted,
appeared or ended. So the result is what all samples would give, from a small part of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.model import Amounts, Hold, Owner
from exporter.ownership import Holdings
from exporter.report.history import gpus as inventory
from exporter.report.history.client import PrometheusClient
from exporter.report.history.counters import NEVER_SEEN, Tables, Track, accumulate, fell_silent, restarts
from exporter.report.history.gpus import Identity
from exporter.report.history.owner_series import owner_gains
from exporter.report.history.owner_totals import bookings
from exporter.report.history.queries import DEVICES
from exporter.report.history.sampler import Sampler, Span, both, joined, merged
from exporter.report.history.scrape_gaps import SETTLED_SECONDS, divided, gaps
from exporter.report.observed import Cells, Floats, Observed
from exporter.report.window import CELL_SECONDS, Window

_EDGE = 3600.0
"""Seconds read before and after the window, so that a gap across its edges has samples on either side."""
_MISSED = 2.5
"""Scrape intervals: samples further apart than this miss at least two between them."""
_BRACKETED_GPUS = 256
"""Up to so many, the samples on either side of each edge of a cell are read. Each of the two costs the server a look at
all samples of the window; with one, an edge lies on the line between samples ten minutes apart, up to a scrape interval
from the nearer."""


@dataclass(frozen=True, slots=True)
class History:
    """What the scrape history knows of a window."""

    gpus: tuple[Observed, ...]
    """Those read in the window or in the seven days before, by unique id; empty if there are none."""
    is_partial: bool
    """Whether the server said that its answers lack data."""
    warnings: tuple[str, ...]
    """The server's own, as it put them."""


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
    counters, vram = await both(_counters(client, window, known, holdings), inventory.vram(client, window, known))
    edges = np.array(window.edges)
    cells = {uuid: np.diff(track.at_each(edges), axis=0) for uuid, track in counters.tracks.items()}
    read = {uuid for uuid, amounts in cells.items() if amounts[:, 0].any()}
    read |= await inventory.read_before(client, window, known.keys() - read)
    seconds = np.diff(edges)
    gpus = [
        Observed(
            uuid=uuid,
            index=int(labels["gpu"]),
            hostname=labels["hostname"],
            model=labels.get("model", ""),
            card=labels.get("card", ""),
            at=counters.tracks[uuid].at,
            cells=Cells(seconds, cells[uuid], vram[uuid].peak_bytes, vram[uuid].total_bytes),
            owners=counters.gains.get(uuid, {}),
        )
        for uuid in sorted(read)
        for labels in [counters.identities[uuid]]
    ]
    return History(tuple(gpus), client.is_partial, client.warnings)


@dataclass(frozen=True, slots=True)
class _Counters:
    """By GPU."""

    identities: Mapping[str, Identity]
    """Of the place where it was seen last."""
    tracks: Mapping[str, Track]
    gains: Mapping[str, Mapping[Owner, Amounts]]
    """Of the owner series, if they were asked for."""


async def _counters(
    client: PrometheusClient,
    window: Window,
    known: Mapping[str, Sequence[Identity]],
    holdings: Holdings | None,
) -> _Counters:
    since = window.start - _EDGE
    tables: Tables = {}
    tracks = dict.fromkeys(known, NEVER_SEEN)
    gains: dict[str, dict[Owner, Amounts]] = {}
    interval = await inventory.scrape_interval(client, window) if known else None
    if interval is not None:
        sampler = Sampler(client, since, window.end + _EDGE, interval, _speakers(known))
        holds = {uuid: holdings.holds({uuid}) if holdings else () for uuid in known}
        instants = {uuid: _instants(each, window) for uuid, each in holds.items()}
        tables = await _sampled(sampler, window, instants)
        rows = merged(tables, _key, sampler.apart)
        tracks |= {uuid: accumulate(each, sampler.apart, since) for uuid, each in rows.items()}
        if holdings is None:
            gains = await owner_gains(sampler, window, rows)
        else:
            tracks |= await _bridged(sampler, window, rows, tracks, holds)
    return _Counters(_placed(known, tables), tracks, gains)


def _instants(holds: Iterable[Hold], window: Window) -> list[float]:
    """When tasks start and end within the window."""
    return [edge for hold in holds for edge in (hold.start, hold.end) if window.start < edge < window.end]


async def _bridged(
    sampler: Sampler,
    window: Window,
    rows: Mapping[str, Floats],
    tracks: Mapping[str, Track],
    holds: Mapping[str, Sequence[Hold]],
) -> dict[str, Track]:
    """The tracks of GPUs whose tasks start or end while scrapes failed."""
    usual = sampler.interval * _MISSED
    found = {
        uuid: [
            gap
            for gap in gaps(each, sampler.apart, usual, holds[uuid])
            if gap.start < window.end and gap.end > window.start
        ]
        for uuid, each in rows.items()
    }
    bridged: dict[str, Track] = {}
    for (uuid, gap), (before, after) in (await bookings(sampler, tracks, found)).items():
        bridged[uuid] = divided(bridged.get(uuid, tracks[uuid]), gap, holds[uuid], before, after)
    return bridged


async def _sampled(sampler: Sampler, window: Window, instants: Mapping[str, Sequence[float]]) -> Tables:
    """All samples that matter."""
    bracketed = len(instants) <= _BRACKETED_GPUS
    coarse = await sampler.grid(DEVICES, instants, bracketed=bracketed)
    exact = {uuid: [window.start, window.end, *each] for uuid, each in instants.items()}
    known = joined((await sampler.near(DEVICES, exact), coarse))
    usual = sampler.interval * _MISSED + (0.0 if bracketed else CELL_SECONDS)
    wanted = {
        uuid: _unclear(rows, window, exact[uuid], sampler, usual)
        for uuid, rows in merged(known, _key, sampler.apart).items()
    }
    return joined((await sampler.within(DEVICES, wanted), known))


def _unclear(rows: Floats, window: Window, exact: Sequence[float], sampler: Sampler, usual: float) -> Iterator[Span]:
    """Where samples left out so far matter; around edges of cells, if they lie further apart than usual."""
    times = rows[:, 0]
    after = np.concatenate(
        (
            1 + np.flatnonzero(restarts(rows, sampler.apart) | fell_silent(rows, sampler.apart)),
            _around(times, exact, sampler.apart),
            _around(times, window.edges, usual),
        )
    )
    # Across gaps the owners tell: what they had some time before, and some time after.
    gapped = np.unique(_around(times, exact, sampler.interval * _MISSED))
    for n in gapped:
        yield times[n - 1] - SETTLED_SECONDS, times[n] + SETTLED_SECONDS
    for n in np.setdiff1d(after, gapped):
        yield times[n - 1], times[n]
    # The grid does not see what came and went between two of its instants, nor did Prometheus look back so far.
    if times[0] - CELL_SECONDS > sampler.start:
        yield times[0] - CELL_SECONDS, times[0]
    if times[-1] + CELL_SECONDS < sampler.end:
        yield times[-1], times[-1] + CELL_SECONDS


def _around(times: Floats, instants: Sequence[float], apart: float) -> NDArray[np.intp]:
    """The rows after instants whose neighbours lie further apart than this."""
    after = np.searchsorted(times, instants)
    after = after[(after > 0) & (after < len(times))]
    wide: NDArray[np.intp] = after[times[after] - times[after - 1] > apart]
    return wide


def _key(labels: Mapping[str, str]) -> str | None:
    return labels.get("gpu_uuid")


def _speakers(known: Mapping[str, Iterable[Identity]]) -> set[str]:
    """The GPUs that ever were the first of their node."""
    places = [(one["hostname"], int(one["gpu"]), uuid) for uuid, identities in known.items() for one in identities]
    first: dict[str, int] = {}
    for hostname, index, _ in places:
        first[hostname] = min(index, first.get(hostname, index))
    return {uuid for hostname, index, uuid in places if index == first[hostname]}


def _placed(known: Mapping[str, Sequence[Identity]], tables: Tables) -> dict[str, Identity]:
    """The identity of each GPU at the host and index at which it was seen last; with a model where one is told."""
    last: dict[str, tuple[float, str, str]] = {}
    for items, rows in tables.items():
        labels = dict(items)
        if len(rows):
            place = (rows[-1, 0], labels.get("hostname", ""), labels.get("gpu", ""))
            last[labels["gpu_uuid"]] = max(place, last.get(labels["gpu_uuid"], place))
    return {
        uuid: max(reversed(each), key=lambda one: (one["hostname"], one["gpu"]) == last.get(uuid, (0.0, "", ""))[1:])
        for uuid, each in known.items()
    }
