"""What the rows of a table hold of the ten-minute cells of GPUs: percentiles and peaks of many rows at once. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from exporter.report.accounting.sums import Flags, Places, Rows
from exporter.report.accounting.usage import Part, Stretch
from exporter.report.observed import Cells, Floats

_TOLERANCE = 1e-9
_MOST_CELLS = 2**18
"""That are looked at together: a month of 1,024 GPUs has 4.5 million, and the table's last row is all of them."""
_MOST_LEVELS = 1024
"""Of values that are told apart before any are sorted."""

_T = TypeVar("_T", bound=np.generic)


class _Stretches(NamedTuple):
    """When rows held GPUs: an element for each stretch of time."""

    row: Places
    gpu: Places
    start: Floats
    end: Floats
    holders: Floats
    first: Places
    """The cell that it begins in."""
    cells: Places
    """How many it reaches into."""

    def only(self, some: Places) -> _Stretches:
        """Returns those at some places."""
        row, gpu, start, end, holders, first, cells = self
        return _Stretches(row[some], gpu[some], start[some], end[some], holders[some], first[some], cells[some])


class _Block(NamedTuple):
    """What rows hold of the cells of some GPUs: each cell of a row once; by row, then GPU, then time."""

    gpus: Places
    row: Places
    place: Places
    """Of the cell among those of all these GPUs, one GPU's after the other's."""
    partly: Places
    """Which of these cells it holds less, or more, of than one GPU's whole."""
    part_seconds: Floats
    """How much of those it holds."""

    @classmethod
    def of(cls, edges: Floats, rows: int, held: _Stretches) -> Self:
        """Returns what is held together.

        Args:
            edges: Of the cells, in Unix seconds.
            rows: How many there are.
            held: When, by which row.
        """
        gpus, number = np.unique(held.gpu, return_inverse=True)
        of_all = len(gpus) * (len(edges) - 1)
        stops = np.cumsum(held.cells)
        cell = np.arange(stops[-1]) + np.repeat(held.first - stops + held.cells, held.cells)
        start, end, holders = (np.repeat(each, held.cells) for each in (held.start, held.end, held.holders))
        seconds = (np.minimum(end, edges[cell + 1]) - np.maximum(start, edges[cell])) / holders
        key = np.repeat(held.row * of_all + number * (len(edges) - 1), held.cells) + cell
        key, of_key = np.unique(key, return_inverse=True)
        row, place = np.divmod(key, of_all)
        # The smallest numbers that these fit in: a table's last row is all cells of all GPUs.
        fits = np.min_scalar_type(rows), np.min_scalar_type(of_all)
        together = np.bincount(of_key, seconds).astype(np.float64)
        partly = np.flatnonzero(together != np.diff(edges)[place % (len(edges) - 1)])
        return cls(gpus, row.astype(fits[0]), place.astype(fits[1]), partly, together[partly])

    def seconds(self, lengths: Floats) -> Floats:
        """Returns how much of each cell it holds.

        Args:
            lengths: Of the cells of one GPU, in seconds.
        """
        seconds = lengths[self.place % len(lengths)]
        seconds[self.partly] = self.part_seconds
        return seconds


@dataclass(frozen=True, slots=True, eq=False)
class RowCells:
    """Every cell of which a row holds something.

    A row has none if it cannot be told when it held an observed GPU.
    """

    lengths: Floats
    """Of the cells of one GPU, in seconds."""
    cells: Sequence[Cells]
    """Of each GPU that was observed."""
    rows: int
    """How many there are."""
    blocks: Sequence[_Block]

    @classmethod
    def of(cls, edges: Floats, cells: Sequence[Cells], rows: Rows, gpu: Places, parts: Sequence[Part]) -> Self:
        """Returns what parts hold together.

        Args:
            edges: Of the cells, in Unix seconds.
            cells: Of each GPU that was observed.
            rows: Which parts make up each, all of observed GPUs.
            gpu: Of each part: its place in `cells`.
            parts: All of them.
        """
        gpu, mine = gpu[rows.parts], [parts[part] for part in rows.parts.tolist()]
        told, is_lost = _told(edges, rows, gpu, mine)
        counts = [len(stretches) for stretches in told]
        start, end, holders = np.array([*chain.from_iterable(told)], np.float64).reshape(-1, len(Stretch._fields)).T
        first = np.searchsorted(edges, start, side="right") - 1
        reached = np.searchsorted(edges, end, side="left") - first
        held = _Stretches(np.repeat(rows.numbers, counts), np.repeat(gpu, counts), start, end, holders, first, reached)
        order = np.argsort(held.gpu, kind="stable")
        held = held.only(order[~is_lost[held.row[order]]])
        start_of_gpu = (np.cumsum(held.cells) - held.cells)[np.searchsorted(held.gpu, held.gpu)]
        ends = np.flatnonzero(np.diff(start_of_gpu // _MOST_CELLS)) + 1
        count = len(rows.counts)
        blocks = [
            _Block.of(edges, count, held.only(some)) for some in np.split(np.arange(len(held.gpu)), ends) if len(some)
        ]
        return cls(np.diff(edges), cells, count, blocks)

    def percentiles(self, of: Callable[[Cells], Floats], *parts: float) -> list[Floats]:
        """Returns, for each part, the lowest mean that at least this part of a row's time does not exceed.

        Args:
            of: The means of a GPU's cells, 0 to 1; NaN where unobserved.
            parts: 0 to 1.

        Returns:
            An element for each row; NaN where nothing was observed.
        """
        count = sum(len(block.row) for block in self.blocks)
        levels = min(_MOST_LEVELS, max(1, count // self.rows)) if self.rows else 1
        held = np.zeros(self.rows * levels)
        for row, value, seconds in self._known(of):
            held += np.bincount(row * levels + _level(value, levels), seconds, len(held))
        up_to = np.cumsum(held.reshape(self.rows, levels), axis=1)
        return [self._lowest(of, up_to, up_to[:, -1] * part * (1 - _TOLERANCE)) for part in parts]

    def _lowest(self, of: Callable[[Cells], Floats], up_to: Floats, least: Floats) -> Floats:
        """Returns each row's lowest mean up to which it has at least so many seconds: only one level of it is sorted.

        Args:
            of: The means of a GPU's cells.
            up_to: Each row's seconds of each level and those below; shape (rows, levels).
            least: Of each row.
        """
        levels = up_to.shape[1]
        wanted = (up_to < least[:, None]).sum(axis=1)
        found = []
        for row, value, seconds in self._known(of):
            mine = _level(value, levels) == wanted[row]
            found.append((row[mine], value[mine], seconds[mine]))
        lowest = np.full(self.rows, np.nan)
        if not found:
            return lowest
        row, value, seconds = (np.concatenate(each) for each in zip(*found, strict=True))
        order = np.argsort(value)
        small = row[order].astype(np.min_scalar_type(self.rows))  # up to 16 bits numpy sorts in linear time
        order = order[np.argsort(small, kind="stable")]
        row, value, seconds = row[order], value[order], seconds[order]
        counts = np.bincount(row, minlength=self.rows)
        ends, has_any = np.cumsum(counts), counts > 0
        sums = np.append(0.0, np.cumsum(seconds))
        below = np.where(wanted > 0, up_to[np.arange(self.rows), wanted - 1], 0.0)
        is_lower = sums[1:] - sums[ends - counts][row] < (least - below)[row]
        place = ends - counts + np.minimum(np.bincount(row, is_lower, self.rows).astype(np.intp), counts - 1)
        lowest[has_any] = value[place[has_any]]
        return lowest

    def _known(self, of: Callable[[Cells], Floats]) -> Iterator[tuple[Places, Floats, Floats]]:
        """Yields rows, their cells' means and seconds, of the cells that have a mean."""
        for block in self.blocks:
            value = self._each(block, of)
            known = ~np.isnan(value)
            yield block.row[known].astype(np.intp), value[known], block.seconds(self.lengths)[known]

    def _each(self, block: _Block, of: Callable[[Cells], NDArray[_T]]) -> NDArray[_T]:
        """Returns what GPUs have of each cell."""
        return np.concatenate([of(self.cells[gpu]) for gpu in block.gpus.tolist()])[block.place]

    def longest_idle(self) -> Floats:
        """Returns the seconds of each row's longest run of cells of one GPU that it held and that were idle throughout.

        Returns:
            An element for each row; 0 where there was none.
        """
        found = np.zeros(self.rows)
        for block in self.blocks:
            idle = np.flatnonzero(self._each(block, lambda cells: cells.is_idle))
            if not len(idle):
                continue
            row, place = block.row[idle], block.place[idle].astype(np.intp)
            starts_gpu = place % len(self.lengths) == 0
            starts = np.flatnonzero(
                np.append(True, np.diff(row) != 0) | np.append(True, np.diff(place) != 1) | starts_gpu
            )
            np.maximum.at(found, row[starts], np.add.reduceat(block.seconds(self.lengths)[idle], starts))
        return found

    def peak_vram_bytes(self) -> Floats:
        """Returns each row's highest of any one GPU, from the cells that are wholly held where it has such cells.

        Returns:
            An element for each row; NaN where none was seen.
        """
        found = np.full(self.rows, np.nan)
        for block in self.blocks:
            peak = self._each(block, lambda cells: cells.peak_vram_bytes)
            seen = np.flatnonzero(~np.isnan(peak))
            if not len(seen):
                continue
            peak, row, place = peak[seen], block.row[seen], block.place[seen]
            is_whole = block.seconds(self.lengths)[seen] >= self.lengths[place % len(self.lengths)] * (1 - _TOLERANCE)
            gpu = place // len(self.lengths)
            of_gpu = np.flatnonzero(np.append(True, (np.diff(row) != 0) | (np.diff(gpu) != 0)))
            in_whole = np.maximum.reduceat(np.where(is_whole, peak, -np.inf), of_gpu)
            of_each = np.where(np.isneginf(in_whole), np.maximum.reduceat(peak, of_gpu), in_whole)
            np.fmax.at(found, row[of_gpu], of_each)
        return found


def _level(means: Floats, levels: int) -> Places:
    """Returns which of so many equal parts of 0 to 1 each mean lies in."""
    return np.clip(means * levels, 0, levels - 1).astype(np.intp)


def _told(edges: Floats, rows: Rows, gpu: Places, parts: Sequence[Part]) -> tuple[list[Sequence[Stretch]], Flags]:
    """Returns when each part held its GPU, and of which rows that cannot be told.

    Where parts that make up all of a GPU do not tell, the first of them stands for all.
    """
    told: list[Sequence[Stretch]] = [part.held or () for part in parts]
    is_lost = np.zeros(len(rows.counts), dtype=np.bool_)
    is_untold = np.array([part.held is None for part in parts], dtype=np.bool_)
    if not is_untold.any():
        return told, is_lost
    _, first, pair = np.unique(rows.numbers * (gpu.max() + 1) + gpu, return_index=True, return_inverse=True)
    hides = np.bincount(pair, is_untold) > 0
    is_whole = np.bincount(pair, [part.seconds for part in parts]) >= (edges[-1] - edges[0]) * (1 - _TOLERANCE)
    is_lost[rows.numbers[first[hides & ~is_whole]]] = True
    told = [() if is_hidden else held for held, is_hidden in zip(told, hides[pair].tolist(), strict=True)]
    for place in first[hides & is_whole].tolist():
        told[place] = (Stretch(edges[0], edges[-1], 1),)
    return told, is_lost
