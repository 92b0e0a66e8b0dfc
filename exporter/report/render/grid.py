"""GPUs × time in a terminal: one line a GPU, one digit an hour of a single day, or a day of several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final
from zoneinfo import ZoneInfo

from exporter.names import by_hostname, visible
from exporter.report.accounting.figures import WIDE
from exporter.report.accounting.rows import GpuRow
from exporter.report.accounting.timeline import Lane, Timeline, by_hours_or_days
from exporter.report.render.blocks import holders
from exporter.report.render.columns import Column, Columns, HasUsage, coverage_last
from exporter.report.render.terminal import Page
from exporter.speech import ABSENT
from exporter.table import Cell, Head, Painted, stacked

_MOST_COLUMNS: Final = 31
"""Of one grid; longer windows get several, one below the other."""
_TICK: Final = 3
"""Every how many columns one is labelled."""
_STYLES: Final[Sequence[dict[str, Any]]] = (
    {},
    *[{"fg": "cyan"}] * 3,
    *[{"fg": "green"}] * 3,
    *[{"fg": "green", "bold": True}] * 3,
)
"""Of the digits. No blue: on black, many terminals show it too dark to read."""


def draw(page: Page, columns: Columns, timeline: Timeline) -> None:
    """Draws the utilization of every GPU, with who held it."""
    report, gettext = columns.cells.report, columns.cells.speech.gettext
    zone = ZoneInfo(report.timezone)
    drawn = by_hours_or_days(timeline, zone)
    starts = [datetime.fromtimestamp(edge, zone) for edge in drawn.edges[:-1].tolist()]
    is_day = report.date == report.to
    page.heading(gettext("Utilization by hour") if is_day else gettext("Utilization by day"))
    page.line(gettext("0: below 10% … 9: 90% and more; –: not observed"), dim=True)
    labels = [f"{start:%H}" if is_day else f"{start:%d}" for start in starts]
    rows = list(zip(report.gpus, drawn.lanes, strict=True))
    for first in range(0, len(starts), _MOST_COLUMNS):
        part = slice(first, first + _MOST_COLUMNS)
        if len(starts) > _MOST_COLUMNS:
            page.line()
            page.line(f"{starts[part][0]:%Y-%m-%d} – {starts[part][-1]:%Y-%m-%d}")
        grid = _Grid(page, columns, part, labels[part])
        nodes = by_hostname(rows, lambda pair: pair[0].hostname)
        page.grouped(
            grid.heads(),
            {visible(node): [grid.row(row, lane) for row, lane in members] for node, members in nodes.items()},
        )


@dataclass(frozen=True, slots=True)
class _Grid:
    """The tables of one part of the window."""

    page: Page
    columns: Columns
    part: slice
    labels: Sequence[str]

    @property
    def pitch(self) -> int:
        return 2 if self.page.width >= WIDE else 1

    @property
    def figures(self) -> list[Column[HasUsage]]:
        shown = (column for column in self.columns.figures("gpus") if column.least_width <= self.page.width)
        return coverage_last(list(shown))

    def heads(self) -> list[Head]:
        gettext = self.columns.cells.speech.gettext
        return [
            Head("GPU", is_figure=True),
            Head(stacked(gettext("GPU id")), is_figure=True),
            Head(_axis(self.labels, self.pitch), is_fixed=True),
            *(Head(stacked(column.title), is_figure=True) for column in self.figures),
            Head(gettext("Users")),
        ]

    def row(self, row: GpuRow, lane: Lane) -> list[Cell]:
        unused = self.columns.cells.speech.gettext("Unallocated")
        return [
            ABSENT if row.gpu is None else str(row.gpu),
            visible(row.gpu_id or ABSENT),
            self._strip(lane.utilization[self.part].tolist()),
            *(column.text(row) for column in self.figures),
            visible(holders(row.users, is_free=row.usage.unallocated_gpu_hours > 0, unused=unused)),
        ]

    def _strip(self, utilization: Sequence[float]) -> Painted:
        """A digit for each column, painted in runs of one style."""
        digits = [None if math.isnan(value) else min(9, int(value * 10)) for value in utilization]
        plain, shown = "", ""
        for style, run in groupby(digits, _style):
            text = "".join((ABSENT if digit is None else str(digit)) + " " * (self.pitch - 1) for digit in run)
            plain += text
            shown += self.page.painted(text, **style)
        return Painted(plain, shown)


def _style(digit: int | None) -> dict[str, Any]:
    return {"dim": True} if digit is None else _STYLES[digit]


def _axis(labels: Sequence[str], pitch: int) -> str:
    """Two-digit labels over every third column, but for a last one that would stick out."""
    width = max(len(labels) * pitch, 2)
    ticks = [label for place, label in enumerate(labels[::_TICK]) if place * _TICK * pitch + len(label) <= width]
    return "".join(label.ljust(_TICK * pitch) for label in ticks).rstrip()
