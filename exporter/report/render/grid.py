"""GPUs × time in a terminal: one line a GPU, one digit an hour of a single day, or a day of several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from rich.text import Text

from exporter.names import by_hostname, visible
from exporter.report.accounting.rows import GpuRow, Report
from exporter.report.accounting.timeline import Lane, Timeline, by_hours_or_days
from exporter.report.languages import Words
from exporter.report.render.blocks import holders
from exporter.report.render.columns import WIDE
from exporter.report.render.figures import ABSENT, marked, percent
from exporter.report.render.terminal import Head, Page, stacked

_MOST_COLUMNS: Final = 31
"""Of one grid; longer windows get several, one below the other."""
_TICK: Final = 3
"""Every how many columns one is labelled."""
_STYLES: Final = ("", "cyan", "cyan", "cyan", "green", "green", "green", "bold green", "bold green", "bold green")
"""Of the digits. No blue: on black, many terminals show it too dark to read."""


def draw(page: Page, report: Report, timeline: Timeline, words: Words) -> None:
    """Draws the utilization of every GPU, with who held it."""
    zone = ZoneInfo(report.timezone)
    drawn = by_hours_or_days(timeline, zone)
    starts = [datetime.fromtimestamp(edge, zone) for edge in drawn.edges[:-1].tolist()]
    is_day = report.date == report.to
    page.heading(words.utilization_by_hour if is_day else words.utilization_by_day)
    page.line(words.scale, "dim")
    labels = [f"{start:%H}" if is_day else f"{start:%d}" for start in starts]
    pitch = 2 if page.width >= WIDE else 1
    rows = list(zip(report.gpus, drawn.lanes, strict=True))
    for first in range(0, len(starts), _MOST_COLUMNS):
        part = slice(first, first + _MOST_COLUMNS)
        if len(starts) > _MOST_COLUMNS:
            page.line()
            page.line(f"{starts[part][0]:%Y-%m-%d} – {starts[part][-1]:%Y-%m-%d}")
        grid = _Grid(part, labels[part], pitch, report.min_coverage_ratio, words)
        for hostname, members in by_hostname(rows, lambda pair: pair[0].hostname).items():
            page.line()
            page.line(visible(hostname), "bold")
            page.grid(grid.heads(), [grid.cells(row, lane) for row, lane in members])


@dataclass(frozen=True, slots=True)
class _Grid:
    """The tables of one part of the window."""

    part: slice
    labels: Sequence[str]
    pitch: int
    least_coverage: float
    words: Words

    def heads(self) -> list[Head]:
        return [
            Head("GPU", is_figure=True),
            Head(stacked(self.words.gpu_id), is_figure=True),
            Head(_axis(self.labels, self.pitch), is_fixed=True),
            Head(self.words.utilization, is_figure=True),
            Head(stacked(self.words.coverage), is_figure=True),
            Head(self.words.users),
        ]

    def cells(self, row: GpuRow, lane: Lane) -> list[str | Text]:
        return [
            ABSENT if row.gpu is None else str(row.gpu),
            visible(row.gpu_id or ABSENT),
            _strip(lane.utilization[self.part].tolist(), self.pitch),
            percent(row.usage.mean_utilization_ratio),
            marked(row.usage.coverage_ratio, self.least_coverage),
            visible(holders(row, self.words)),
        ]


def _strip(utilization: Sequence[float], pitch: int) -> Text:
    strip = Text(no_wrap=True)
    for value in utilization:
        digit = None if math.isnan(value) else min(9, int(value * 10))
        strip.append((ABSENT if digit is None else str(digit)) + " " * (pitch - 1), _style(digit))
    return strip


def _style(digit: int | None) -> str:
    return "dim" if digit is None else _STYLES[digit]


def _axis(labels: Sequence[str], pitch: int) -> str:
    """Two-digit labels over every third column, but for a last one that would stick out."""
    width = max(len(labels) * pitch, 2)
    ticks = [label for place, label in enumerate(labels[::_TICK]) if place * _TICK * pitch + len(label) <= width]
    return "".join(label.ljust(_TICK * pitch) for label in ticks).rstrip()
