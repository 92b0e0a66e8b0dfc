"""The geometry of the HTML report's bars and lines.

They are SVG made by the template: vectors that print, follow the colour scheme, and need no script. A chart library
would add more bytes to every report than the charts have, and still leave the heat map to do (html_heat.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from exporter.report.accounting.figures import Usage
from exporter.report.accounting.rows import Report
from exporter.report.accounting.timeline import Lane, Timeline, mean
from exporter.report.languages import Words
from exporter.report.observed import Floats

_KINDS: Final = (
    "active",
    "idle",
    "idle_vram_held",
    "idle_empty",
    "owned_unobserved",
    "busy_unowned",
    "free",
    "free_and_quiet",
    "unknown",
)
_NOBODYS: Final = frozenset({"busy_unowned", "free", "free_and_quiet", "unknown"})
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
    return _stacked(_parts(usage), full)


def _stacked(parts: Iterable[tuple[str, float]], full: float) -> tuple[Segment, ...]:
    segments, end = [], 0.0
    for kind, hours in parts:
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
    if usage.unallocated_busy_gpu_hours:
        yield "busy_unowned", usage.unallocated_busy_gpu_hours
        yield "free_and_quiet", usage.unallocated_gpu_hours - usage.unallocated_busy_gpu_hours
    else:
        yield "free", usage.unallocated_gpu_hours
    yield "unknown", usage.unknown_gpu_hours


def user_bars(report: Report, most: int, words: Words) -> list[Bar]:
    """A bar for each of so many users, one for all others, and one for what no user held, all on one scale."""
    totals = report.totals
    groups = [(row.username, [row.usage]) for row in report.users[:most]]
    if others := [row.usage for row in report.users[most:]]:
        groups.append((words.others, others))
    rest = totals.capacity_gpu_hours - totals.owned_gpu_hours
    full = max([rest, *(sum(usage.owned_gpu_hours for usage in usages) for _, usages in groups)])
    bars = [_user_bar(name, usages, full) for name, usages in groups]
    nobodys = _stacked((part for part in _parts(totals) if part[0] in _NOBODYS), full)
    if nobodys:
        observed = totals.observed_gpu_hours - totals.owned_observed_gpu_hours
        bars.append(Bar(words.nobody, nobodys, rest, None, None, observed / rest if rest > 0 else None))
    return bars


def _user_bar(name: str, usages: Sequence[Usage], full: float) -> Bar:
    parts = [dict(_parts(usage)) for usage in usages]
    hours = sum(usage.owned_gpu_hours for usage in usages)
    observed = sum(usage.owned_observed_gpu_hours for usage in usages)
    busy = sum(usage.owned_busy_gpu_hours or 0.0 for usage in usages) if observed > 0 else None
    return Bar(
        name=name,
        segments=_stacked(((kind, sum(part.get(kind, 0.0) for part in parts)) for kind in _KINDS), full),
        hours=hours,
        busy_width=None if busy is None or full <= 0 else busy / full * 100,
        efficiency=None if busy is None else busy / observed,
        coverage=observed / hours if hours > 0 else None,
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
