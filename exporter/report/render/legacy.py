"""The files of the script before this program, for the plots that read them.

    <hostname>/<date>/gpu<index>_<date>.csv   時間戳,日期時間,GPU使用率(%),VRAM使用率(%): a row each ten minutes
    <hostname>/<date>/average_<date>.csv      GPU編號,平均GPU使用率(%),平均VRAM使用率(%),使用者: a row a GPU, and all
    <hostname>/<date>/summary_<date>.txt      the same for people, with the hardware and the tasks

They are in Chinese whatever the language of the report, as their readers look for those words. An index is a place on
the node: where a GPU was given another one on the way, the files of each tell of the GPU that had it at the time.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Final

import numpy as np

from exporter.model import Ownership
from exporter.names import by_hostname, visible
from exporter.report.accounting.rows import GpuRow, Report, TaskRow
from exporter.report.accounting.timeline import Lane, Timeline, mean
from exporter.report.observed import Floats
from exporter.report.render import blocks, csv
from exporter.report.render.cells import NOT_AVAILABLE
from exporter.report.window import CELL_SECONDS, Window

_GPU_HEAD: Final = "時間戳,日期時間,GPU使用率(%),VRAM使用率(%)"
_AVERAGE_HEAD: Final = "GPU編號,平均GPU使用率(%),平均VRAM使用率(%),使用者"
_MOST_NAME_BYTES: Final = 200
"""Of a folder's name; file systems take 255."""


@dataclass(frozen=True, slots=True)
class _Stay:
    """A GPU at one place."""

    row: GpuRow
    """With the place's hostname and index."""
    lane: Lane
    """Observed only while it was there."""
    since: float
    until: float
    """Unix seconds; infinite where it was nowhere else before, or after."""


_Gpus = Sequence[_Stay]


def files(report: Report, timeline: Timeline, window: Window) -> dict[str, str]:
    """The files of every node and day.

    Args:
        report: The figures.
        timeline: The same GPUs over the same window.
        window: That window.

    Returns:
        Text by relative path. Of a day that is not over, the ten minutes that are.
    """
    rows = [stay for pair in zip(report.gpus, timeline.lanes, strict=True) for stay in _stays(*pair, timeline.edges)]
    nodes = by_hostname(rows, lambda stay: stay.row.hostname)
    tasks: dict[str, list[TaskRow]] = {}
    for task in report.tasks:
        for uuid in task.gpu_uuids:
            tasks.setdefault(uuid, []).append(task)
    no_tasks = blocks.no_tasks(report, blocks.familiar)
    found: dict[str, str] = {}
    for day in window.days():
        cells = _cells(timeline, day)
        for hostname, gpus in nodes.items():
            there = sorted((stay for stay in gpus if day.overlap(stay.since, stay.until)), key=_index)
            is_whole = day.seconds == window.seconds
            found |= _Node(hostname, there, tasks, no_tasks, day, cells, is_whole=is_whole).files()
    return found


def _stays(row: GpuRow, lane: Lane, edges: Floats) -> Iterator[_Stay]:
    """Yields a GPU at each of its places; ten minutes count where it was in their middle."""
    if len(lane.places) < 2:
        yield _Stay(row, lane, -math.inf, math.inf)
        return
    middles = (edges[:-1] + edges[1:]) / 2
    moves = [-math.inf, *(place.since for place in lane.places[1:]), math.inf]
    for place, since, until in zip(lane.places, moves, moves[1:], strict=False):
        is_there = (middles >= since) & (middles < until)
        at_place = replace(
            lane,
            observed_seconds=np.where(is_there, lane.observed_seconds, 0.0),
            utilization=np.where(is_there, lane.utilization, np.nan),
            vram_used=np.where(is_there, lane.vram_used, np.nan),
            spells=tuple(
                replace(spell, start=max(spell.start, since), end=min(spell.end, until))
                for spell in lane.spells
                if spell.start < until and spell.end > since
            ),
        )
        named = {"hostname": place.hostname, "gpu": place.index}
        yield _Stay(row.model_copy(update=named), at_place, since, until)


def _index(stay: _Stay) -> float:
    return math.inf if stay.row.gpu is None else stay.row.gpu


def folder(hostname: str) -> str:
    """A hostname as the name of one folder: it cannot lead elsewhere, and no two share one."""
    safe = re.sub(r"[^\w.-]|^\.", "_", hostname)
    if safe == hostname and 0 < len(safe.encode()) <= _MOST_NAME_BYTES:
        return hostname
    short = safe.encode()[:_MOST_NAME_BYTES].decode(errors="ignore")
    return f"{short}-{hashlib.sha256(hostname.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class _Cells:
    """The ten minutes of a day."""

    place: slice
    """Among those of the timeline."""
    starts: Floats
    """Of those that are whole."""


def _cells(timeline: Timeline, day: Window) -> _Cells:
    first, last = np.searchsorted(timeline.edges, [day.start, day.end]).tolist()
    starts = timeline.edges[first:last]
    return _Cells(slice(first, last), starts[starts + CELL_SECONDS <= day.end])


@dataclass(frozen=True, slots=True)
class _Node:
    """One node on one day."""

    hostname: str
    gpus: _Gpus
    tasks: Mapping[str, Sequence[TaskRow]]
    """Of the window, by unique id of each GPU."""
    no_tasks: str
    """What stands for none of them."""
    day: Window
    cells: _Cells
    is_whole: bool
    """Whether the day is all of the window."""

    def files(self) -> dict[str, str]:
        path = f"{folder(self.hostname)}/{self.day.name}"
        indexed = (stay for stay in self.gpus if stay.row.gpu is not None)
        by_index = {index: list(stays) for index, stays in groupby(indexed, key=lambda stay: stay.row.gpu)}
        found = {f"{path}/gpu{index}_{self.day.name}.csv": self._gpu(gpus) for index, gpus in by_index.items()}
        found[f"{path}/average_{self.day.name}.csv"] = self._average(by_index)
        found[f"{path}/summary_{self.day.name}.txt"] = "".join(f"{line}\n" for line in self._summary())
        return found

    def _gpu(self, gpus: _Gpus) -> str:
        """Ten minutes a row; a GPU that was replaced and its successor, which have one index, are one line."""
        utilization, vram = self._means(gpus, axis=0)
        rows = zip(self.cells.starts.tolist(), utilization.tolist(), vram.tolist(), strict=False)
        lines = [
            f'{start:.0f},"{self.day.local(start):%Y-%m-%d %H:%M:%S}",{_percent(_known(busy))},{_percent(_known(used))}'
            for start, busy, used in rows
        ]
        return "".join(f"{line}\n" for line in [_GPU_HEAD, *lines])

    def _average(self, by_index: Mapping[int | None, _Gpus]) -> str:
        groups = [(blocks.index(index), gpus, self._users(gpus)) for index, gpus in by_index.items()]
        groups.append(("全部平均", self.gpus, "所有使用者"))
        rows = [
            [name, *(_percent(figure, NOT_AVAILABLE) for figure in self._averages(gpus)), users]
            for name, gpus, users in groups
        ]
        return f"{_AVERAGE_HEAD}\n{csv.lines(rows)}"

    def _summary(self) -> Iterator[str]:
        rows = [stay.row for stay in self.gpus]
        yield "GPU 使用率摘要報告"
        yield f"日期: {self.day.name}"
        yield f"節點: {visible(self.hostname)}"
        yield "=" * 40
        yield ""
        yield "GPU 硬體對應表:"
        yield from blocks.hardware_map(rows, blocks.familiar)
        yield ""
        yield "GPU 使用者任務資訊:"
        yield from self._tasks()
        yield ""
        yield "各 GPU 平均使用率:"
        for stay in self.gpus:
            yield blocks.usage_line(stay.row.gpu, self._averages([stay]), self._users([stay]), blocks.familiar)
        yield ""
        yield from blocks.averages(self._averages(self.gpus), blocks.familiar)

    def _tasks(self) -> Iterator[str]:
        """The day's tasks on each GPU, while it was on the node."""
        count = 0
        for row in {stay.row.gpu_uuid: stay.row for stay in self.gpus}.values():
            for task in self.tasks.get(row.gpu_uuid or "", ()):
                start = datetime.fromisoformat(task.start).timestamp()
                end = datetime.fromisoformat(task.end).timestamp() if task.end else math.inf
                if seconds := self.day.overlap(start, end):
                    count += 1
                    details = blocks.task_details(row.gpu_id or "", row.gpu_uuid or "", task, seconds, blocks.familiar)
                    yield from (f"  {line}" for line in details)
        if not count:
            yield f"  {self.no_tasks}"

    def _means(self, gpus: _Gpus, axis: int | None) -> tuple[Floats, Floats]:
        """Utilization and VRAM, 0 to 1: of each cell, or of all."""
        lanes = [stay.lane for stay in gpus]
        seconds = np.array([lane.observed_seconds[self.cells.place] for lane in lanes])
        utilization = np.array([lane.utilization[self.cells.place] for lane in lanes])
        vram = np.array([lane.vram_used[self.cells.place] for lane in lanes])
        return mean(utilization, seconds, axis), mean(vram, seconds, axis)

    def _averages(self, gpus: _Gpus) -> blocks.Means:
        utilization, vram = (float(figure) for figure in self._means(gpus, axis=None))
        return blocks.Means(_known(utilization), _known(vram))

    def _users(self, gpus: _Gpus) -> str:
        """Who held it that day; where only labels tell who, but not when, a range of days cannot tell the day's."""
        names: set[str] = set()
        is_free = False
        for stay in gpus:
            row, lane = stay.row, stay.lane
            spells = [spell for spell in lane.spells if self.day.overlap(spell.start, spell.end)]
            names |= {name for spell in spells for name in spell.usernames}
            is_free |= any(spell.ownership is Ownership.UNALLOCATED for spell in spells)
            if self.is_whole and not lane.spells:
                names |= set(row.users)
                is_free |= row.usage.unallocated_gpu_hours > 0
        return blocks.holders(sorted(names), is_free=is_free, unused=blocks.familiar("Unallocated"))


def _known(figure: float) -> float | None:
    return None if math.isnan(figure) else figure


def _percent(ratio: float | None, absent: str = "") -> str:
    """`18.17`."""
    return absent if ratio is None else f"{ratio * 100:.2f}"
