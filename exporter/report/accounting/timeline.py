"""Every GPU over the window, in ten-minute cells with its owners: what charts and grids are drawn from. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from exporter.metering.shares import slices
from exporter.model import Ownership
from exporter.report.accounting.accounts import GpuAccount
from exporter.report.observed import Floats, Place, mean_over
from exporter.report.window import CELL_SECONDS, Window

_CELLS_PER_HOUR = int(3600 / CELL_SECONDS)


@dataclass(frozen=True, slots=True)
class Spell:
    """A stretch of time in which the same users hold a GPU."""

    start: float
    end: float
    usernames: tuple[str, ...]
    """Sorted; none unless owned or shared."""
    has_others: bool
    """Whether users hold it, alone or beside these, whom the report is not about and so does not name."""
    ownership: Ownership


@dataclass(frozen=True, slots=True)
class Lane:
    """One GPU over the window."""

    hostname: str
    gpu: int | None
    gpu_uuid: str | None
    gpu_id: str | None
    observed_seconds: Floats
    """In each cell."""
    utilization: Floats
    """Mean of each cell, 0 to 1; NaN where nothing was observed."""
    vram_used: Floats
    """Mean of each cell, 0 to 1; NaN where nothing was observed."""
    spells: tuple[Spell, ...]
    """They follow each other without gaps; empty where labels alone tell the owners."""
    places: tuple[Place, ...] = ()
    """Where it was in and around the window, in the order of time; none if it was not observed there."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """All GPUs, in the report's order."""

    edges: Floats
    """Unix seconds of the edges of the cells; the last cell may be shorter than ten minutes."""
    lanes: tuple[Lane, ...]


def timeline(window: Window, accounts: Sequence[GpuAccount], *, timed: bool, users: Collection[str] = ()) -> Timeline:
    """Draws the lanes of accounts.

    Args:
        window: The stretch of time.
        accounts: The GPUs.
        timed: Whether it is known when which task held a GPU.
        users: The only ones to name: a report for some must not tell who else uses what. Empty: everyone.
    """
    edges = np.array(window.edges)
    cells = len(edges) - 1
    return Timeline(
        edges,
        tuple(_lane(account, cells, _spells(window, account, users) if timed else ()) for account in accounts),
    )


def by_hours_or_days(drawn: Timeline, zone: ZoneInfo) -> Timeline:
    """Returns the same in coarser cells: the hours of a single day, or the days of several.

    Hours are counted from midnight, so where clocks change by half an hour the last is cut short.
    """
    days = [datetime.fromtimestamp(edge, zone).date() for edge in drawn.edges[:-1].tolist()]
    if days[0] == days[-1]:
        first = np.arange(0, len(days), _CELLS_PER_HOUR)
    else:
        first = np.array([n for n, day in enumerate(days) if n == 0 or day != days[n - 1]])
    return _coarser(drawn, first)


def condensed(drawn: Timeline, most: int) -> Timeline:
    """Returns the same in at most so many cells, each of equally many of those before."""
    cells = len(drawn.edges) - 1
    return drawn if cells <= most else _coarser(drawn, np.arange(0, cells, -(-cells // most)))


def mean(values: Floats, observed_seconds: Floats, axis: int | None = None) -> Floats:
    """Returns the mean weighted by observed time, of all or along an axis; NaN where nothing was observed."""
    known = ~np.isnan(values)
    weight = np.where(known, observed_seconds, 0.0)
    return mean_over(np.sum(weight, axis), np.sum(np.where(known, values, 0.0) * weight, axis))


def _coarser(drawn: Timeline, first: NDArray[np.int_]) -> Timeline:
    """Returns coarser cells, each from one of `first` up to the next."""
    return Timeline(
        np.append(drawn.edges[first], drawn.edges[-1]), tuple(_coarser_lane(lane, first) for lane in drawn.lanes)
    )


def _coarser_lane(lane: Lane, first: NDArray[np.int_]) -> Lane:
    def coarse(values: Floats) -> Floats:
        weight = np.where(np.isnan(values), 0.0, lane.observed_seconds)
        return mean_over(np.add.reduceat(weight, first), np.add.reduceat(np.nan_to_num(values) * weight, first))

    return replace(
        lane,
        observed_seconds=np.add.reduceat(lane.observed_seconds, first),
        utilization=coarse(lane.utilization),
        vram_used=coarse(lane.vram_used),
    )


def _lane(account: GpuAccount, cells: int, spells: Iterable[Spell]) -> Lane:
    gpu, nothing = account.gpu, np.full(cells, np.nan)
    return Lane(
        gpu.hostname,
        gpu.index,
        gpu.uuid,
        gpu.gpu_id,
        gpu.cells.observed_seconds if gpu.cells else np.zeros(cells),
        gpu.cells.utilization if gpu.cells else nothing,
        gpu.cells.vram_used if gpu.cells else nothing,
        tuple(spells),
        gpu.places,
    )


def _spells(window: Window, account: GpuAccount, named: Collection[str]) -> list[Spell]:
    """Returns slices, one for all neighbours that would read the same."""
    spells: list[Spell] = []
    for piece in slices(account.holds, window.start, window.end):
        users = {task.username for task in piece.tasks}
        shown = users.intersection(named) if named else users
        told = tuple(sorted(shown)), shown != users, piece.ownership
        if spells and told == (spells[-1].usernames, spells[-1].has_others, spells[-1].ownership):
            spells[-1] = replace(spells[-1], end=piece.end)
        else:
            spells.append(Spell(piece.start, piece.end, *told))
    return spells
