"""What the rows of a table hold of the ten-minute cells of GPUs: percentiles and peaks of many rows at once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from exporter.report.accounting.sums import Flags, Places
from exporter.report.accounting.usage import HeldCells, Part
from exporter.report.observed import Cells, Floats

_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class RowCells:
    """Every cell of which a row holds something, once; by row, then GPU, then time.

    A row has none if it cannot be told when it held an observed GPU.
    """

    cells: Sequence[Cells]
    """Of each GPU that was observed."""
    rows: int
    """How many there are."""
    row: Places
    gpu: Places
    cell: Places
    seconds: Floats
    """How much of the cell; more than 0."""

    @classmethod
    def of(cls, cells: Sequence[Cells], rows: int, row: Places, gpu: Places, parts: Sequence[Part]) -> Self:
        """Returns what parts hold together.

        Args:
            cells: Of each GPU that was observed.
            rows: How many there are.
            row: Of each part.
            gpu: Of each part: its place in `cells`.
            parts: All of observed GPUs.
        """
        if not parts:
            nothing = np.empty(0, dtype=np.intp)
            return cls(cells, rows, nothing, nothing, nothing, np.empty(0))
        told, is_lost = _told(cells, rows, row, gpu, parts)
        counts = np.array([len(one.seconds) for one in told])
        stops = np.cumsum(counts)
        first = np.array([one.first for one in told])
        cell = np.arange(stops[-1]) + np.repeat(first - stops + counts, counts)
        of_window = len(cells[0].seconds)
        key = np.repeat((row * len(cells) + gpu) * of_window, counts) + cell
        key, of_key = np.unique(key, return_inverse=True)
        together = np.bincount(of_key, np.concatenate([one.seconds for one in told]))
        gpus, cell = np.divmod(key, of_window)
        of_row, of_gpu = np.divmod(gpus, len(cells))
        kept = (together != 0) & ~is_lost[of_row]
        return cls(cells, rows, of_row[kept], of_gpu[kept], cell[kept], together[kept])

    def percentiles(self, means: Sequence[Floats], *parts: float) -> list[Floats]:
        """Returns, for each part, the lowest mean that at least this part of a row's time does not exceed.

        Args:
            means: Of the cells of each GPU; NaN where unobserved.
            parts: 0 to 1.

        Returns:
            An element for each row; NaN where nothing was observed.
        """
        if not len(self.row):
            return [np.full(self.rows, np.nan) for _ in parts]
        means_held = np.array(means)[self.gpu, self.cell]
        known = np.flatnonzero(~np.isnan(means_held))
        known = known[np.argsort(means_held[known])]
        small = self.row[known].astype(np.min_scalar_type(self.rows))  # up to 16 bits numpy sorts in linear time
        known = known[np.argsort(small, kind="stable")]
        value, row = means_held[known], self.row[known]
        counts = np.bincount(row, minlength=self.rows)
        ends, has_any = np.cumsum(counts), counts > 0
        up_to = np.append(0.0, np.cumsum(self.seconds[known]))
        before, all_of_it = up_to[ends - counts], up_to[ends] - up_to[ends - counts]
        found = []
        for part in parts:
            least = all_of_it * part * (1 - _TOLERANCE)
            is_lower = up_to[1:] - before[row] < least[row]
            place = ends - counts + np.minimum(np.bincount(row, is_lower, self.rows).astype(np.intp), counts - 1)
            percentile = np.full(self.rows, np.nan)
            percentile[has_any] = value[place[has_any]]
            found.append(percentile)
        return found

    def peak_vram_bytes(self) -> Floats:
        """Returns each row's highest of any one GPU, from the cells that are wholly held where it has such cells.

        Returns:
            An element for each row; NaN where none was seen.
        """
        found = np.full(self.rows, np.nan)
        if not len(self.row):
            return found
        peak = np.array([cells.peak_vram_bytes for cells in self.cells])[self.gpu, self.cell]
        seen = np.flatnonzero(~np.isnan(peak))
        if not len(seen):
            return found
        peak, row, gpu, cell = peak[seen], self.row[seen], self.gpu[seen], self.cell[seen]
        length = np.array([cells.seconds for cells in self.cells])[gpu, cell]
        is_whole = self.seconds[seen] >= length * (1 - _TOLERANCE)
        of_gpu = np.flatnonzero(np.append(True, (np.diff(row) != 0) | (np.diff(gpu) != 0)))
        in_whole = np.maximum.reduceat(np.where(is_whole, peak, -np.inf), of_gpu)
        of_each = np.where(np.isneginf(in_whole), np.maximum.reduceat(peak, of_gpu), in_whole)
        row = row[of_gpu]
        of_row = np.flatnonzero(np.append(True, np.diff(row) != 0))
        found[row[of_row]] = np.maximum.reduceat(of_each, of_row)
        return found


def _told(
    cells: Sequence[Cells], rows: int, row: Places, gpu: Places, parts: Sequence[Part]
) -> tuple[Sequence[HeldCells], Flags]:
    """Returns when each part held its GPU, and of which rows that cannot be told.

    Where parts that make up all of a GPU do not tell, the first of them stands for all.
    """
    told = [part.held for part in parts if part.held is not None]
    is_lost = np.zeros(rows, dtype=np.bool_)
    if len(told) == len(parts):
        return told, is_lost
    pairs, first, pair = np.unique(row * len(cells) + gpu, return_index=True, return_inverse=True)
    is_untold = np.bincount(pair, [part.held is None for part in parts]) > 0
    whole = np.array([each.seconds.sum() for each in cells])[pairs % len(cells)]
    is_whole = np.bincount(pair, [part.seconds for part in parts]) >= whole * (1 - _TOLERANCE)
    is_lost[pairs[is_untold & ~is_whole] // len(cells)] = True
    nothing = HeldCells(0, np.empty(0))
    told = [
        nothing if hides or part.held is None else part.held
        for part, hides in zip(parts, is_untold[pair].tolist(), strict=True)
    ]
    for place in first[is_untold & is_whole].tolist():
        told[place] = HeldCells(0, cells[gpu[place]].seconds)
    return told, is_lost
