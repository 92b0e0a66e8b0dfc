"""The arithmetic beneath `scrape_gaps`: finds the gaps of one GPU, and divides what accrued in one. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.metering.shares import Slice, shares, slices
from exporter.model import Amounts, Hold, Owner
from exporter.report.bounds import bounded, limited
from exporter.report.history.counters import CounterCurve
from exporter.report.history.lives import reset_times
from exporter.report.history.samples import COUNTERS, Samples
from exporter.report.observed import ENERGY, IDLE, IDLE_VRAM_HELD, OBSERVED, PLAUSIBLE_WATTS, VRAM, Floats

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
    starts_at_reset: bool
    """Whether the exporter started at its start, with all counters at 0."""
    known_until: float
    """So long the exporter ran on after the end; at most until all of the gap is booked."""


@dataclass(frozen=True, slots=True)
class OwnerTotals:
    """What the owner series of one GPU showed at one scrape."""

    until: float
    """What accrued up to this instant, in Unix seconds, is in them, and nothing later."""
    amounts: Mapping[Owner, Amounts]


def rows_across(times: Floats, instants: Sequence[float], wider_than: float) -> NDArray[np.intp]:
    """Returns the rows that follow instants, and follow the row before by more than so many seconds.

    Args:
        times: Unix seconds of the rows, ascending.
        instants: Unix seconds; those before the first row or after the last are across nothing.
        wider_than: Seconds.

    Returns:
        Indices of `times`, ascending, each once.
    """
    after = np.unique(np.searchsorted(times, instants))
    after = after[(after > 0) & (after < len(times))]
    wide: NDArray[np.intp] = after[times[after] - times[after - 1] > wider_than]
    return wide


def gaps_of(samples: Samples, least_gap: float, holds: Iterable[Hold]) -> Iterator[Gap]:
    """Finds the gaps of one GPU in which its tasks start or end, be it before an exporter started anew there.

    Args:
        samples: Of the device counters; all of them around starts and ends.
        least_gap: Seconds; no gap is shorter.
        holds: Who had the GPU.
    """
    times, reset_at = samples.times, reset_times(samples)
    for n in rows_across(times, [edge for hold in holds for edge in (hold.start, hold.end)], least_gap):
        before, end = times[n - 1], times[n]
        start = max([before, *reset_at[(before < reset_at) & (reset_at < end)]])
        if end - start > least_gap:
            yield Gap(start, end, start > before, min([end + SETTLED_SECONDS, *reset_at[reset_at >= end]]))


def divided(
    curve: CounterCurve,
    gap: Gap,
    holds: Sequence[Hold],
    before: OwnerTotals,
    after: OwnerTotals,
    *,
    vram_total_bytes: float | None = None,
) -> CounterCurve:
    """Returns the curve with points where tasks start or end in a gap.

    - An owner's gain across the gap falls to the pieces of the gap that it held, by time.
    - What nobody known can claim (the series of an owner is dropped after an hour; tasks that the API told of late, or
      not at all, were booked to others) falls to the time that the claims leave open.
    - All that owners had since the exporter started in the gap tells the energy then.
    - No series tells idle time with VRAM held: it is guessed to be idle time, the more VRAM was in use the rather.

    Args:
        curve: The GPU's.
        gap: Where it is a straight line.
        holds: Who had the GPU.
        before: What the owner series showed at the gap's start, or before.
        after: What they showed at its end, or later.
        vram_total_bytes: What the GPU has, if that is known.
    """
    pieces = list(slices(holds, gap.start, gap.end))
    gained = _gained(curve, gap, holds, before, after)
    claims = _claims(pieces, gained, known_before=before.amounts.keys())
    whole = _whole(curve, gap, gained.values())
    parts = _fitted(claims, whole, np.array([piece.end - piece.start for piece in pieces]), vram_total_bytes)

    first, last = np.searchsorted(curve.times, (gap.start, gap.end))
    values = np.array(curve.at(gap.end)) - np.cumsum(parts[::-1], axis=0)[::-1]
    values = np.maximum(values, curve.values[max(0, first - 1)])
    return CounterCurve(
        np.concatenate([curve.times[:first], [piece.start for piece in pieces], curve.times[last:]]),
        np.concatenate([curve.values[:first], values, curve.values[last:]]),
    )


def _gained(
    curve: CounterCurve, gap: Gap, holds: Sequence[Hold], before: OwnerTotals, after: OwnerTotals
) -> dict[Owner, Amounts]:
    """Returns what each owner gained in the gap: what it did across, less what accrued outside, by the exact curve."""
    outside: defaultdict[Owner, Amounts] = defaultdict(Amounts)
    for start, end in ((before.until, gap.start), (gap.end, after.until)):
        for share in shares(curve.at, holds, start, end):
            outside[share.owner] = outside[share.owner].plus(share.amounts)
    return {
        owner: amounts.minus(before.amounts.get(owner, Amounts())).minus(outside[owner])
        for owner, amounts in after.amounts.items()
    }


def _claims(pieces: Sequence[Slice], gained: Mapping[Owner, Amounts], known_before: Collection[Owner]) -> Floats:
    """Returns what owners had of each piece; shape (pieces, 6)."""
    claims = np.zeros((len(pieces), COUNTERS))
    for owner, held in _held_seconds(pieces).items():
        claim = _claim(gained.get(owner, Amounts()), held.sum(), is_new=owner not in known_before)
        claims += np.outer(held / held.sum(), claim)
    return claims


def _claim(gained: Amounts, held: float, *, is_new: bool) -> Floats:
    """Returns what an owner had of a gap of which it held so many seconds."""
    amounts = np.maximum(gained, 0.0)
    if is_new and amounts[OBSERVED] > held + _UNTRUE:
        return np.zeros(len(amounts))
    claim: Floats = amounts * min(1.0, held / max(amounts[OBSERVED], _TINY))
    return claim


def _whole(curve: CounterCurve, gap: Gap, gained: Iterable[Amounts]) -> Floats:
    """Returns what accrued in the gap: as the curve says, but for energy that owners tell better."""
    whole = np.array(curve.at(gap.end).minus(curve.at(gap.start)))
    told = np.sum([Amounts(), *gained], axis=0)
    if gap.starts_at_reset and abs(told[OBSERVED] - whole[OBSERVED]) < _SAME:
        last = np.searchsorted(curve.times, gap.start) - 1
        left = curve.at(gap.end).energy_joules - curve.values[last, ENERGY]
        least = max(0.0, left - PLAUSIBLE_WATTS * (gap.start - curve.times[last]))
        whole[ENERGY] = min(max(least, told[ENERGY]), left, PLAUSIBLE_WATTS * (gap.end - gap.start))
    return whole


def _fitted(parts: Floats, whole: Floats, seconds: Floats, vram_total_bytes: float | None) -> Floats:
    """Returns parts, one row each, that sum to the whole and are possible in so many seconds."""
    open_seconds = np.maximum(seconds - parts[:, OBSERVED], 0.0) + _TINY * seconds
    total = parts.sum(axis=0)
    shrunk = parts * np.minimum(1.0, whole / np.maximum(total, _TINY))
    fitted: Floats = shrunk + np.outer(open_seconds / open_seconds.sum(), whole - shrunk.sum(axis=0))
    fitted = bounded(fitted, seconds, vram_total_bytes)
    fitted[:, ENERGY] = limited(fitted[:, ENERGY], seconds * PLAUSIBLE_WATTS)
    # A byte more each: what was idle and what used VRAM may be claimed by different owners.
    likely = fitted[:, IDLE] * (1.0 + fitted[:, VRAM] / np.maximum(fitted[:, OBSERVED], _TINY))
    guessed = whole[IDLE_VRAM_HELD] * likely / max(likely.sum(), _TINY)
    fitted[:, IDLE_VRAM_HELD] = limited(guessed, fitted[:, IDLE])
    return fitted


def _held_seconds(pieces: Sequence[Slice]) -> dict[Owner, Floats]:
    """Returns the seconds of each piece that each owner held."""
    held: defaultdict[Owner, Floats] = defaultdict(lambda: np.zeros(len(pieces)))
    for n, piece in enumerate(pieces):
        for task in piece.holders:
            held[Owner.of(task, piece.ownership)][n] += (piece.end - piece.start) / len(piece.holders)
    return held
