"""GPUs × time in a terminal: one line a GPU, one digit an hour of a single day, or a day of several."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from rich.text import Text

from exporter.report.languages import Words
from exporter.report.render.blocks import holders
from exporter.report.render.columns import WIDE
from exporter.report.render.figures import ABSENT, coverage, percent
from exporter.report.render.names import by_hostname, visible
from exporter.report.render.terminal import Head, Page
from exporter.report.rows import GpuRow, Report
from exporter.report.timeline import Lane, Timeline, joined

_MOST_COLUMNS: Final = 31
"""Of one grid; longer windows get several, one below the other."""
_TICK: Final = 3
"""Every how many columns one is labelled."""
_STYLES: Final = ("blue", "cyan", "cyan", "cyan", "green", "green", "green", "bold green", "bold green", "bold green")


def draw(page: Page, report: Report, timeline: Timeline, words: Words) -> None:
    """Draws the utilization of every GPU, with who held it."""
    zone = ZoneInfo(report.timezone)
    drawn = joined(timeline, zone)
    starts = [datetime.fromtimestamp(edge, zone) for edge in drawn.edges[:-1].tolist()]
    is_day = report.date == report.to
    page.heading(words.utilization_by_hour if is_day else words.utilization_by_day)
    page.line(words.scale, "dim")
    labels = [f"{start:%H}" if is_day else f"{start:%d}" for start in starts]
    rows = list(zip(report.gpus, drawn.lanes, strict=True))
    for first in range(0, len(starts), _MOST_COLUMNS):
        part = slice(first, first + _MOST_COLUMNS)
        if len(starts) > _MOST_COLUMNS:
            page.line()
            page.line(f"{starts[part][0]:%Y-%m-%d} – {starts[part][-1]:%Y-%m-%d}")
        for hostname, members in by_hostname(rows, lambda pair: pair[0].hostname).items():
            page.line()
            page.line(visible(hostname), "bold")
            _node(page, members, part, labels[part], words)


def _node(page: Page, rows: Sequence[tuple[GpuRow, Lane]], part: slice, labels: Sequence[str], words: Words) -> None:
    pitch = 2 if page.width >= WIDE else 1
    heads = [
        Head("GPU", is_figure=True),
        Head(words.gpu_id, is_figure=True),
        Head(_axis(labels, pitch), is_fixed=True),
        Head(words.utilization, is_figure=True),
        Head(words.coverage, is_figure=True),
        Head(words.users),
    ]
    page.grid(heads, [list(_cells(row, lane, part, pitch, words)) for row, lane in rows])


def _cells(row: GpuRow, lane: Lane, part: slice, pitch: int, words: Words) -> Iterator[str | Text]:
    yield ABSENT if row.gpu is None else str(row.gpu)
    yield visible(row.gpu_id or ABSENT)
    yield _strip(lane.utilization[part].tolist(), pitch)
    yield percent(row.usage.mean_utilization_ratio)
    yield coverage(row.usage.coverage_ratio)
    yield visible(holders(row, words))


def _strip(utilization: Sequence[float], pitch: int) -> Text:
    strip = Text(no_wrap=True)
    for value in utilization:
        digit = None if math.isnan(value) else min(9, int(value * 10))
        strip.append((ABSENT if digit is None else str(digit)) + " " * (pitch - 1), _style(digit))
    return strip


def _style(digit: int | None) -> str:
    return "dim" if digit is None else _STYLES[digit]


def _axis(labels: Sequence[str], pitch: int) -> str:
    """Two-digit labels over every third column."""
    cells = [label.ljust(_TICK * pitch) for label in labels[::_TICK]]
    return "".join(cells)[: max(len(labels) * pitch, 2)]
