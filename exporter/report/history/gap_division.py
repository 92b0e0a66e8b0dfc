"""The arithmetic beneath `scrape_gaps`: finds the gaps of one GPU, and divides what accrued in one. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.metering.shares import Slice, shares, slices
from exporter.model import Amounts, Hold, Owner
from exporter.report.bounds import limited
from exporter.report.history.counters import CounterCurve
from exporter.report.history.lives import reset_times
from exporter.report.history.samples import COUNTERS, Samples
from exporter.report.observed import BUSY, ENERGY, IDLE, IDLE_VRAM_HELD, OBSERVED, PLAUSIBLE_WATTS, VRAM, Floats

SETTLED_SECONDS = 900.0
"""After so long an exporter has booked what it observed, with the API or without (`tasks.expire_after`)."""
_UNTRUE = 60.0
"""Seconds by which a new owner's series may claim more than was held: the API told of a task's end late. One that
claims yet more is not new, and where it stood before is not known."""
_SAME = 1.0
"""Seconds that were observed and are in nobody's series: unless there are more, all that was booked is shown."""
_TINY = 1e-9
_FIRST_OF_ALL = 10.0
"""The weight of the sum of the gap, which scrapes tell, against what owners claim."""
_RATHER = 1e-6
"""The weight of even growth, which decides what claims leave open."""


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


def rows_across(times: Floats, instants: Sequence[float] | Floats, wider_than: float) -> NDArray[np.intp]:
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

    - What all owners gained across the gap is solved for what accrued in its pieces, for all of them at once: an owner
      gained its share of each piece that it held. Among the pieces that the same owners held, it falls by time.
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
    kinds = list(dict.fromkeys(map(_shares_of, pieces)))
    kind_of = np.array([kinds.index(_shares_of(piece)) for piece in pieces])
    seconds = np.array([piece.end - piece.start for piece in pieces])
    seconds_of_kind: Floats = np.bincount(kind_of, seconds).astype(np.float64)
    gained = _gained(curve, gap, holds, before, after)
    whole = _whole(curve, gap, gained.values())
    owners = sorted({owner for kind in kinds for owner, _ in kind})
    shares_held = np.array([[dict(kind).get(owner, 0.0) for kind in kinds] for owner in owners])
    targets = _targets(
        np.array([gained.get(owner, Amounts()) for owner in owners]),
        shares_held @ seconds_of_kind,
        whole,
        np.array([owner in before.amounts for owner in owners]),
    )
    parts = _fitted(shares_held, targets, whole, seconds_of_kind, vram_total_bytes)[kind_of]
    parts *= (seconds / seconds_of_kind[kind_of])[:, None]

    first, last = np.searchsorted(curve.times, (gap.start, gap.end))
    values = np.array(curve.at(gap.end)) - np.cumsum(parts[::-1], axis=0)[::-1]
    values = np.maximum(values, curve.values[max(0, first - 1)])
    return CounterCurve(
        np.concatenate([curve.times[:first], [piece.start for piece in pieces], curve.times[last:]]),
        np.concatenate([curve.values[:first], values, curve.values[last:]]),
    )


def _shares_of(piece: Slice) -> tuple[tuple[Owner, float], ...]:
    """Returns the owners of a piece, each with its share."""
    counts = Counter(Owner.of(task, piece.ownership) for task in piece.holders)
    return tuple((owner, count / len(piece.holders)) for owner, count in sorted(counts.items()))


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


def _targets(gained: Floats, held: Floats, whole: Floats, is_known_before: NDArray[np.bool_]) -> Floats:
    """Returns what each owner had of a gap; the sum is the whole.

    Args:
        gained: By its series; shape (owners, 6).
        held: Its seconds of the gap; shape (owners,).
        whole: Of the gap; shape (6,).
        is_known_before: Whether its series were there before the gap; shape (owners,).
    """
    claims = np.maximum(gained, 0.0)
    claims[~is_known_before & (claims[:, OBSERVED] > held + _UNTRUE)] = 0.0
    claims *= np.minimum(1.0, held / np.maximum(claims[:, OBSERVED], _TINY))[:, None]
    claims *= np.minimum(1.0, whole / np.maximum(claims.sum(axis=0), _TINY))
    observed = held * min(1.0, whole[OBSERVED] / held.sum())
    left_open = np.maximum(observed - claims[:, OBSERVED], 0.0) + _TINY * held
    targets: Floats = claims + np.outer(left_open / left_open.sum(), whole - claims.sum(axis=0))
    return targets


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


def _fitted(
    shares_held: Floats, targets: Floats, whole: Floats, seconds: Floats, vram_total_bytes: float | None
) -> Floats:
    """Returns what accrued in each kind of piece: what is possible in so many seconds, and sums to the whole.

    Args:
        shares_held: The part of each kind that each owner held; shape (owners, kinds).
        targets: What each owner had; shape (owners, 6).
        whole: Of the gap; shape (6,).
        seconds: Of each kind; shape (kinds,).
        vram_total_bytes: What the GPU has; None: not known, and so nothing limits it.
    """
    fitted = np.zeros((len(seconds), COUNTERS))
    for column in (OBSERVED, BUSY, IDLE, VRAM, ENERGY):
        limits = np.minimum(_limits(column, seconds, fitted[:, OBSERVED], vram_total_bytes), whole[column])
        fitted[:, column] = _solved(shares_held, targets[:, column], whole[column], seconds, limits)
    # A byte more each: what was idle and what used VRAM may be claimed by different owners.
    likely = fitted[:, IDLE] * (1.0 + fitted[:, VRAM] / np.maximum(fitted[:, OBSERVED], _TINY))
    guessed = whole[IDLE_VRAM_HELD] * likely / max(likely.sum(), _TINY)
    fitted[:, IDLE_VRAM_HELD] = limited(guessed, fitted[:, IDLE])
    return fitted


def _limits(column: int, seconds: Floats, observed: Floats, vram_total_bytes: float | None) -> Floats:
    """Returns what a counter can have gained at most in so many seconds, of which so many were observed."""
    if column == OBSERVED:
        return seconds
    if column == ENERGY:
        return seconds * PLAUSIBLE_WATTS
    if column == VRAM:
        return observed * vram_total_bytes if vram_total_bytes else np.full(len(seconds), np.inf)
    return observed


def _solved(shares_held: Floats, targets: Floats, whole: float, seconds: Floats, limits: Floats) -> Floats:
    """Returns one counter's parts of kinds of pieces: of all that give each owner most nearly its own, the evenest.

    Args:
        shares_held: The part of each kind that each owner held; shape (owners, kinds).
        targets: What each owner had; shape (owners,).
        whole: What all parts sum to.
        seconds: Of each kind; shape (kinds,).
        limits: None is larger than this; shape (kinds,).
    """
    if len(seconds) == 1 or whole <= _TINY:
        even: Floats = seconds * (whole / seconds.sum())
        return even
    from scipy.optimize import lsq_linear

    # In units in which a counter that grows evenly has parts that are no longer than the time they take.
    unit = whole * np.sqrt(seconds / seconds.sum())
    equations = np.vstack((shares_held * unit / whole, _FIRST_OF_ALL * unit / whole, _RATHER * np.eye(len(seconds))))
    wanted = np.concatenate((targets / whole, [_FIRST_OF_ALL], np.zeros(len(seconds))))
    upper = np.maximum(limits, whole * _TINY) / unit
    parts: Floats = lsq_linear(equations, wanted, (0.0, upper), method="bvls").x * unit
    return limited(parts * (whole / max(parts.sum(), _TINY)), limits)
