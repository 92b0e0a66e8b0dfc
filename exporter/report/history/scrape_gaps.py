"""What a GPU's counters stood at when tasks started and ended while scrapes failed. Pure.

Across such a gap the device counters tell a sum. The exporter went on booking, though: what the series of owners who
followed each other gained across it tells how the sum divides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.metering.shares import Slice, shares, slices
from exporter.model import Amounts, Hold, Owner
from exporter.report.history.counters import WIDTH, Track, births
from exporter.report.observed import BUSY, ENERGY, IDLE, IDLE_VRAM_HELD, OBSERVED, VRAM, Floats

SETTLED_SECONDS = 900.0
"""After so long an exporter has booked what it observed, with the API or without (`tasks.expire_after`)."""
_UNTRUE = 60.0
"""Seconds by which a new owner's series may claim more than was held: the API told of a task's end late. One that
claims yet more is not new, and where it stood before is not known."""
_SAME = 1.0
"""Seconds that were observed and are in nobody's series: unless there are more, all that was booked is shown."""
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of one run of the exporter that was not scraped. Unix seconds."""

    start: float
    end: float
    is_birth: bool
    """Whether the exporter started at its start."""
    known_until: float
    """So long the exporter ran on after the end; at most until all of the gap is booked."""


@dataclass(frozen=True, slots=True)
class Booked:
    """What the owner series of one GPU showed at one scrape."""

    until: float
    """What accrued up to this instant, in Unix seconds, is in them, and nothing later."""
    amounts: Mapping[Owner, Amounts]


def gaps(rows: Floats, apart: float, usual: float, holds: Iterable[Hold]) -> Iterator[Gap]:
    """Finds the gaps of one GPU in which its tasks start or end, be it before an exporter started anew there.

    Args:
        rows: The samples; all of them around starts and ends.
        apart: Seconds; above the interval between scrapes.
        usual: Seconds; no gap is shorter.
        holds: Who had the GPU.
    """
    times, born = rows[:, 0], births(rows, apart)
    after = np.unique(np.searchsorted(times, [edge for hold in holds for edge in (hold.start, hold.end)]))
    after = after[(after > 0) & (after < len(times))]
    for n in after[times[after] - times[after - 1] > usual]:
        before, end = times[n - 1], times[n]
        start = max([before, *born[(before < born) & (born < end)]])
        if end - start > usual:
            yield Gap(start, end, start > before, min([end + SETTLED_SECONDS, *born[born >= end]]))


def divided(track: Track, gap: Gap, holds: Sequence[Hold], before: Booked, after: Booked) -> Track:
    """Puts points where tasks start or end in a gap.

    - An owner's gain across the gap falls to the pieces of the gap that it held, by time.
    - What nobody known can claim (the series of an owner is dropped after an hour; tasks that the API told of late, or
      not at all, were booked to others) falls to the time that the claims leave open.
    - All that owners had since the exporter started in the gap tells the energy then.
    - No series tells idle time with VRAM held: it is guessed to be idle time, the more VRAM was in use the rather.

    Args:
        track: The GPU's.
        gap: Where it is a straight line.
        holds: Who had the GPU.
        before: What the owner series showed at the gap's start, or before.
        after: What they showed at its end, or later.
    """
    pieces = list(slices(holds, gap.start, gap.end))
    outside = _accrued(track, holds, (before.until, gap.start), (gap.end, after.until))
    gained = {
        owner: amounts.minus(before.amounts.get(owner, Amounts())).minus(outside[owner])
        for owner, amounts in after.amounts.items()
    }
    parts = np.zeros((len(pieces), WIDTH - 1))
    for owner, held in _held(pieces).items():
        is_new = owner not in before.amounts
        parts += np.outer(held / held.sum(), _claim(gained.get(owner, Amounts()), held.sum(), is_new=is_new))
    whole = np.array(track.at(gap.end).minus(track.at(gap.start)))
    told = np.sum([Amounts(), *gained.values()], axis=0)
    if gap.is_birth and abs(told[OBSERVED] - whole[OBSERVED]) < _SAME:
        whole[ENERGY] = max(0.0, told[ENERGY])
    parts = _fitted(parts, whole, np.array([piece.end - piece.start for piece in pieces]))

    first, last = np.searchsorted(track.times, (gap.start, gap.end))
    values = np.array(track.at(gap.end)) - np.cumsum(parts[::-1], axis=0)[::-1]
    values = np.maximum(values, track.values[max(0, first - 1)])
    return Track(
        np.concatenate([track.times[:first], [piece.start for piece in pieces], track.times[last:]]),
        np.concatenate([track.values[:first], values, track.values[last:]]),
    )


def _claim(gained: Amounts, held: float, *, is_new: bool) -> Floats:
    """What an owner had of a gap of which it held so many seconds."""
    amounts = np.maximum(gained, 0.0)
    if is_new and amounts[OBSERVED] > held + _UNTRUE:
        return np.zeros(len(amounts))
    claim: Floats = amounts * min(1.0, held / max(amounts[OBSERVED], _TINY))
    return claim


def _fitted(parts: Floats, whole: Floats, seconds: Floats) -> Floats:
    """Parts, one row each, that sum to the whole and are possible in so many seconds."""
    open_seconds = np.maximum(seconds - parts[:, OBSERVED], 0.0) + _TINY * seconds
    total = parts.sum(axis=0)
    shrunk = parts * np.minimum(1.0, whole / np.maximum(total, _TINY))
    fitted: Floats = shrunk + np.outer(open_seconds / open_seconds.sum(), whole - shrunk.sum(axis=0))
    fitted[:, OBSERVED] = _limited(fitted[:, OBSERVED], seconds)
    for column in (BUSY, IDLE):
        fitted[:, column] = _limited(fitted[:, column], fitted[:, OBSERVED])
    # A byte more each: what was idle and what used VRAM may be claimed by different owners.
    likely = fitted[:, IDLE] * (1.0 + fitted[:, VRAM] / np.maximum(fitted[:, OBSERVED], _TINY))
    guessed = whole[IDLE_VRAM_HELD] * likely / max(likely.sum(), _TINY)
    fitted[:, IDLE_VRAM_HELD] = _limited(guessed, fitted[:, IDLE])
    return fitted


def _limited(parts: Floats, limits: Floats) -> Floats:
    """The same sum with no part above its limit: what is, goes where there is room."""
    kept = np.minimum(parts, limits)
    room = limits - kept
    limited: Floats = kept + room * ((parts - kept).sum() / max(room.sum(), _TINY))
    return limited


def _held(pieces: Sequence[Slice]) -> dict[Owner, Floats]:
    """Seconds of each piece, by owner."""
    held: defaultdict[Owner, Floats] = defaultdict(lambda: np.zeros(len(pieces)))
    for n, piece in enumerate(pieces):
        for task in piece.holders:
            held[Owner.of(task, piece.ownership)][n] += (piece.end - piece.start) / len(piece.holders)
    return held


def _accrued(track: Track, holds: Sequence[Hold], *spans: tuple[float, float]) -> defaultdict[Owner, Amounts]:
    accrued: defaultdict[Owner, Amounts] = defaultdict(Amounts)
    for start, end in spans:
        for share in shares(track.at, holds, start, end):
            accrued[share.owner] = accrued[share.owner].plus(share.amounts)
    return accrued
