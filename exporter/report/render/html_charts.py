"""The geometry of the HTML report's bars and lines.

They are SVG made by the template: vectors that print, follow the colour scheme, and need no script. A chart library
would add more bytes to every report than the charts have, and still leave the heat map to do (html_heat.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from exporter.report.languages import Words
from exporter.report.rows import Report, Usage, UserRow
from exporter.report.timeline import Lane, Timeline, mean
from exporter.report.usage import Floats

_KINDS: Final = (
    "active",
    "idle",
    "idle_vram_held",
    "idle_empty",
    "owned_unobserved",
    "busy_unowned",
    "free",
    "unknown",
)
_NOBODYS: Final = frozenset({"busy_unowned", "free", "unknown"})
_LINE_WIDTH: Final = 1000
_LINE_HEIGHT: Final = 100
_TICK_HOURS: Final = 3


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a stacked bar."""

    kind: str
    """Its name among `Words`, and its class in the style sheet."""
    hours: float
    start: float
    """Percent of the bar's full width."""
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A stacked bar: who, how it splits, and how much of it was busy."""

    name: str
    segments: tuple[Segment, ...]
    hours: float
    busy_width: float | None
    """Percent of the full width."""
    efficiency: float | None
    coverage: float | None


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the axis of time."""

    x: float
    """Percent of the window."""
    label: str
    minor: bool
    """Left out where there is little room."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Utilization and VRAM of some GPUs over the window, as SVG paths in a box of 1000 × 100."""

    name: str
    utilization: str
    vram: str
    usage: Usage


def split(usage: Usage, full: float) -> tuple[Segment, ...]:
    """A row's capacity in parts that add up to it, drawn where `full` GPU-hours are the whole width."""
    segments, end = [], 0.0
    for kind, hours in _parts(usage):
        if hours > 0 and full > 0:
            width = hours / full * 100
            segments.append(Segment(kind, hours, end, width))
            end += width
    return tuple(segments)


def _parts(usage: Usage) -> Iterator[tuple[str, float]]:
    if usage.active_gpu_hours is not None and usage.idle_gpu_hours is not None:
        yield "active", usage.active_gpu_hours
        if usage.idle_vram_held_gpu_hours is None or usage.idle_empty_gpu_hours is None:
            yield "idle", usage.idle_gpu_hours
        else:
            yield "idle_vram_held", usage.idle_vram_held_gpu_hours
            yield "idle_empty", usage.idle_empty_gpu_hours
    yield "owned_unobserved", usage.owned_unobserved_gpu_hours
    unowned = usage.unallocated_busy_gpu_hours or 0.0
    yield "busy_unowned", unowned
    yield "free", usage.unallocated_gpu_hours - unowned
    yield "unknown", usage.unknown_gpu_hours


def user_bars(report: Report, most: int, words: Words) -> list[Bar]:
    """One bar for each of so many users, and one for what no user held, all on one scale."""
    totals = report.totals
    rest = totals.capacity_gpu_hours - totals.owned_gpu_hours
    full = max([rest, *(row.usage.owned_gpu_hours for row in report.users)])
    bars = [_user_bar(row, full) for row in report.users[:most]]
    nobodys = [part for part in split(totals, full) if part.kind in _NOBODYS]
    if nobodys:
        moved = tuple(replace(part, start=part.start - nobodys[0].start) for part in nobodys)
        observed = totals.observed_gpu_hours - totals.owned_observed_gpu_hours
        bars.append(Bar(words.nobody, moved, rest, None, None, observed / rest))
    return bars


def _user_bar(row: UserRow, full: float) -> Bar:
    usage = row.usage
    busy = usage.owned_busy_gpu_hours
    return Bar(
        name=row.username,
        segments=split(usage, full),
        hours=usage.owned_gpu_hours,
        busy_width=None if busy is None or full <= 0 else busy / full * 100,
        efficiency=usage.efficiency_ratio,
        coverage=usage.coverage_ratio,
    )


def kinds(bars: Sequence[Bar]) -> list[str]:
    """What a legend of these bars has to name."""
    drawn = {part.kind for bar in bars for part in bar.segments}
    busy = ["busy"] if any(bar.busy_width is not None for bar in bars) else []
    return busy + [kind for kind in _KINDS if kind in drawn]


def ticks(report: Report, timeline: Timeline) -> list[Tick]:
    """Every three hours on the clock of the report's zone, or every midnight of a longer window."""
    zone = ZoneInfo(report.timezone)
    start, end = float(timeline.edges[0]), float(timeline.edges[-1])
    days = report.date != report.to
    found = []
    hour = datetime.fromtimestamp(start, zone).astimezone(ZoneInfo("UTC"))
    while hour.timestamp() <= end:
        local = hour.astimezone(zone)
        x = (hour.timestamp() - start) / (end - start) * 100
        if days and local.hour == 0 and local.minute == 0:
            found.append(Tick(x, f"{local:%m-%d}", local.day % 2 == 0))
        elif not days and local.hour % _TICK_HOURS == 0 and local.minute == 0:
            found.append(Tick(x, f"{local:%H:%M}", local.hour % (2 * _TICK_HOURS) != 0))
        hour += timedelta(minutes=30)
    return found


def panels(report: Report, timeline: Timeline) -> list[Panel]:
    """The whole cluster, then each node; none without a history."""
    if report.sources.history == "none":
        return []
    edges = timeline.edges
    x = np.rint((edges - edges[0]) / (edges[-1] - edges[0]) * _LINE_WIDTH).astype(int)

    def panel(name: str, lanes: Sequence[Lane], usage: Usage) -> Panel:
        seconds = np.array([lane.observed_seconds for lane in lanes])
        utilization = mean(np.array([lane.utilization for lane in lanes]), seconds, axis=0)
        vram = mean(np.array([lane.vram_used for lane in lanes]), seconds, axis=0)
        return Panel(name, _steps(x, utilization, closed=False), _steps(x, vram, closed=True), usage)

    by_node = {hostname: list(lanes) for hostname, lanes in groupby(timeline.lanes, lambda lane: lane.hostname)}
    whole = [panel("", timeline.lanes, report.totals)] if len(by_node) > 1 else []
    return whole + [panel(row.hostname, by_node[row.hostname], row.usage) for row in report.nodes]


def _steps(x: NDArray[np.int_], values: Floats, *, closed: bool) -> str:
    """A path with a step for each column and a gap where nothing was observed; closed, it is an area."""
    path: list[str] = []
    y: int | None = None
    for left, right, value in zip(x[:-1].tolist(), x[1:].tolist(), values.tolist(), strict=True):
        if math.isnan(value):
            path.append(f"V{_LINE_HEIGHT}Z" if closed and y is not None else "")
            y = None
            continue
        level = round(_LINE_HEIGHT * (1 - value))
        if y is None:
            path.append(f"M{left} {_LINE_HEIGHT}V{level}" if closed else f"M{left} {level}")
        elif level != y:
            path.append(f"V{level}")
        path.append(f"H{right}")
        y = level
    return "".join(path) + (f"V{_LINE_HEIGHT}Z" if closed and y is not None else "")
