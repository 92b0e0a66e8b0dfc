"""The geometry of the HTML report's bars and lines.

They are SVG made by the template: vectors that print, follow the colour scheme, and need no script. A chart library
would add more bytes to every report than the charts have, and still leave the heat map to do (heat.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from exporter.report.accounting.figures import Usage
from exporter.report.accounting.rows import Report
from exporter.report.accounting.split import Group, Kind, Parts
from exporter.report.accounting.timeline import Lane, Timeline, mean
from exporter.report.observed import Floats

_LINE_WIDTH: Final = 1000
_LINE_HEIGHT: Final = 100
_TICK_HOURS: Final = 3


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a stacked bar."""

    kind: Kind
    hours: float
    start: float
    """Percent of the bar's full width."""
    width: float

    @property
    def style(self) -> str:
        """Its class in the style sheet."""
        return style(self.kind)


@dataclass(frozen=True, slots=True)
class Bar:
    """A stacked bar: who, how it splits, and how much of it was busy."""

    group: Group
    segments: tuple[Segment, ...]
    busy_width: float | None
    """Percent of the full width."""


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


def style(kind: Kind) -> str:
    """Returns the class of a kind of GPU-hours in the style sheet."""
    return kind.name.lower()


def stacked(parts: Parts, full: float) -> tuple[Segment, ...]:
    """Returns parts one beside the other, where `full` GPU-hours are the whole width."""
    segments, end = [], 0.0
    for kind, hours in parts.items():
        if hours and hours > 0 and full > 0:
            width = hours / full * 100
            segments.append(Segment(kind, hours, end, width))
            end += width
    return tuple(segments)


def bars(groups: Sequence[Group]) -> list[Bar]:
    """Returns a bar for each group, all on one scale."""
    full = max((group.hours for group in groups), default=0.0)
    return [
        Bar(
            group,
            stacked(group.parts, full),
            None if group.busy_hours is None or full <= 0 else group.busy_hours / full * 100,
        )
        for group in groups
    ]


def kinds(drawn: Sequence[Bar]) -> list[Kind]:
    """Returns what a legend of these bars has to name."""
    found = {part.kind for bar in drawn for part in bar.segments}
    return [kind for kind in Kind if kind in found]


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
