"""What of a report matters to those who read it in the morning: facts for the brief, the most important first. Pure.

Nothing here is words: `report/render/sentences.py` puts each finding into a sentence. A finding is there only if it is
true and if it matters; the thresholds below say when it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from exporter.model import Ownership
from exporter.names import by_hostname
from exporter.report.accounting.figures import Usage
from exporter.report.accounting.node_faults import NodeFaults, is_silent, node_faults
from exporter.report.accounting.rows import GpuRow, Report, is_low
from exporter.report.accounting.timeline import Lane, Timeline
from exporter.report.accounting.usage import ratio
from exporter.report.observed import Floats

_LEAST_IDLE: Final = 0.05
"""Of the owned time: less idle time is how work is, and nobody's fault."""
_LEAST_HOLDING: Final = 0.05
"""Of all idle time, for a holding to be named."""
_MOST_HOLDINGS: Final = 3
_LEAST_CHANGE: Final = 0.2
"""Of idle time, against what it was."""
_LEAST_STRAY: Final = 0.005
"""Of the capacity, busy though nobody held it."""
_LEAST_PART: Final = 0.005
"""Of the capacity, for a part of it to be told: less is 0% in whole percent."""


@dataclass(frozen=True, slots=True)
class NoGpus:
    """The report is about no GPU at all."""


@dataclass(frozen=True, slots=True)
class Idle:
    """How much of what was owned did nothing."""

    hours: float
    part: float
    """Of the owned time observed, 0 to 1."""
    gpus: float
    """As many GPUs, idle throughout, come to the same."""
    matters: bool
    coverage: float | None
    """Of the owned time; None unless it is low."""


@dataclass(frozen=True, slots=True)
class IdleChange:
    """How much idle time differs from what it was."""

    change: float
    """0.38: 38% more; negative: less."""
    is_median: bool
    """Against the median of the seven days before; else against the day before."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What one user left idle: all tasks of one type on one node."""

    username: str
    task_type: str | None
    """None, as the hostname, where no task is known that was idle for ten minutes."""
    hostname: str | None
    idle_hours: float
    freed_gpus: float
    """What giving it back would have freed: GPUs, averaged over the window."""


@dataclass(frozen=True, slots=True)
class IdleMost:
    """The worst holding of each of the users who left the most idle."""

    holdings: tuple[Holding, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """Whose the capacity was, and what came of it."""

    gpus: int
    totals: Usage
    is_share: bool
    """Whether it is what some users owned: there is then nothing else in the capacity."""
    coverage: float | None
    """Of the whole; None unless it is low."""

    @property
    def parts(self) -> dict[str, float]:
        """The parts of the capacity that there are, 0 to 1, by the name of a field of Usage."""
        names = ("owned_gpu_hours", "unallocated_gpu_hours", "unknown_gpu_hours")
        shares = {name: ratio(getattr(self.totals, name), self.totals.capacity_gpu_hours) for name in names}
        return {name: share for name, share in shares.items() if share and share >= _LEAST_PART}


@dataclass(frozen=True, slots=True)
class Stray:
    """GPUs were busy though nobody held them: work outside the scheduler."""

    hours: float
    worst: GpuRow
    worst_hours: float


@dataclass(frozen=True, slots=True)
class Free:
    """The GPUs that nobody held as the window ended, and that could be read then if any could."""

    end: str
    """ISO 8601."""
    gpus: int
    of: int
    nodes: dict[str, int]
    """How many, by hostname; the most first."""


Finding = NoGpus | Idle | IdleChange | IdleMost | Use | Stray | Free | NodeFaults


@dataclass(frozen=True, slots=True)
class IdleUser:
    """A user of the brief's table."""

    username: str
    idle_hours: float
    part: float | None
    """Of the owned time observed, 0 to 1."""
    freed_gpus: float
    coverage: float | None
    """Of the owned time."""
    worst: Holding | None


def findings(report: Report, drawn: Timeline | None = None) -> list[Finding]:
    """Returns what matters, the most important first.

    Args:
        report: The figures.
        drawn: The same GPUs over the same window; None: what only it tells is left out.
    """
    if not report.gpus:
        return [NoGpus()]
    lanes = list(zip(report.gpus, drawn.lanes, strict=True)) if drawn else []
    edges = drawn.edges if drawn else np.empty(0)
    return [
        *_idle(report),
        Use(
            len(report.gpus),
            report.totals,
            bool(report.only_users),
            _if_low(report.totals.coverage_ratio, report),
        ),
        *_stray(report),
        *_free(report, edges, lanes),
        *node_faults(report, edges, lanes),
    ]


def idle_users(report: Report) -> list[IdleUser]:
    """Returns the users who left GPUs idle, the most idle time first."""
    worst = _worst(report)
    return [
        IdleUser(
            row.username,
            idle,
            ratio(idle, row.usage.owned_observed_gpu_hours),
            idle / _hours(report),
            row.usage.coverage_ratio,
            worst.get(row.username),
        )
        for row in sorted(report.users, key=lambda row: (-(row.usage.idle_gpu_hours or 0.0), row.username))
        if (idle := row.usage.idle_gpu_hours)
    ]


def _hours(report: Report) -> float:
    """The length of the window."""
    span = datetime.fromisoformat(report.end).timestamp() - datetime.fromisoformat(report.start).timestamp()
    return span / 3600


def _if_low(coverage: float | None, report: Report) -> float | None:
    return coverage if is_low(coverage, report.min_coverage_ratio) else None


def _idle(report: Report) -> Iterator[Finding]:
    totals = report.totals
    idle, part = totals.idle_gpu_hours, ratio(totals.idle_gpu_hours or 0.0, totals.owned_observed_gpu_hours)
    if idle is None or part is None:
        return
    matters = part >= _LEAST_IDLE
    covered = ratio(totals.owned_observed_gpu_hours, totals.owned_gpu_hours)
    yield Idle(idle, part, idle / _hours(report), matters, _if_low(covered, report))
    if matters:
        yield from _idle_change(report)
        yield from _idle_most(report, idle)


def _idle_change(report: Report) -> Iterator[IdleChange]:
    row = next((row for row in report.comparison if row.measure == "idle_gpu_hours"), None)
    if row is None or row.value is None:
        return
    is_median = row.median_of_seven is not None
    before = row.median_of_seven if is_median else row.day_before
    if before and abs(change := row.value / before - 1) >= _LEAST_CHANGE:
        yield IdleChange(change, is_median)


def _idle_most(report: Report, idle: float) -> Iterator[IdleMost]:
    worst = sorted(_worst(report).values(), key=lambda holding: (-holding.idle_hours, holding.username))
    named = [holding for holding in worst if holding.idle_hours >= _LEAST_HOLDING * idle]
    if named:
        yield IdleMost(tuple(named[:_MOST_HOLDINGS]))


def _worst(report: Report) -> dict[str, Holding]:
    """Returns what each user left idle the most, all tasks of one type on one node together."""
    if not report.waste:
        return {
            row.username: Holding(row.username, None, None, idle, idle / _hours(report))
            for row in report.users
            if (idle := row.usage.idle_gpu_hours)
        }
    groups: dict[tuple[str, str, str], tuple[float, float]] = {}
    for row in report.waste:
        key = row.username, row.task_type, row.hostname
        idle, freed = groups.get(key, (0.0, 0.0))
        groups[key] = idle + row.idle_gpu_hours, freed + row.freed_gpus
    worst: dict[str, Holding] = {}
    for key, (idle, freed) in sorted(groups.items()):
        if (known := worst.get(key[0])) is None or idle > known.idle_hours:
            worst[key[0]] = Holding(*key, idle, freed)
    return worst


def _stray(report: Report) -> Iterator[Stray]:
    hours = report.totals.unallocated_busy_gpu_hours
    if hours is None or not report.totals.capacity_gpu_hours or hours / report.totals.capacity_gpu_hours < _LEAST_STRAY:
        return
    worst = max(report.gpus, key=lambda row: row.usage.unallocated_busy_gpu_hours or 0.0)
    yield Stray(hours, worst, worst.usage.unallocated_busy_gpu_hours or 0.0)


def _free(report: Report, edges: Floats, lanes: Sequence[tuple[GpuRow, Lane]]) -> Iterator[Free]:
    """Yields what is free, if the source of tasks can tell, and the report is not about some users alone."""
    if report.only_users or not any(lane.spells for _, lane in lanes):
        return
    is_read = report.sources.history != "none"
    free = [
        row.hostname
        for row, lane in lanes
        if lane.spells
        and lane.spells[-1].ownership is Ownership.UNALLOCATED
        and not (is_read and is_silent(lane, edges))
    ]
    counts = {hostname: len(names) for hostname, names in by_hostname(free, str).items()}
    most_first = dict(sorted(counts.items(), key=lambda pair: -pair[1]))
    yield Free(report.end, len(free), len(lanes), most_first)
