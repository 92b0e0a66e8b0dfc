"""All parts of a report as columns, from which every row of its tables is summed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Self

import numpy as np

from exporter.model import Amounts, Ownership
from exporter.report.accounting.row_cells import RowCells
from exporter.report.accounting.sums import Flags, Places, Rows, Sums, Totals
from exporter.report.accounting.usage import Part, Tariff
from exporter.report.observed import IDLE, OBSERVED, VRAM, Cells, Floats

MOST_ROWS: Final = 10_000
"""That are summed at once: all sums of a day of 100,000 tasks would take memory beside the figures made of them."""


@dataclass(frozen=True, slots=True, eq=False)
class PartTable:
    """Parts, and what sums need of each."""

    parts: Sequence[Part]
    values: Floats
    """GPU-seconds held, and what accrued; shape (parts, 7)."""
    is_owned: Flags
    is_free: Flags
    is_unknown: Flags
    is_timed: Flags
    """Whether it is known when it was held."""
    sized: Floats
    """VRAM used, and what there was of it over observed time, in byte-seconds; 0 on GPUs whose VRAM is not known. Shape
    (parts, 2)."""
    gpu: Places
    """Which of `cells` are the GPU's; -1 if it was not observed at all."""
    cells: Sequence[Cells]
    edges: Floats
    """Of the cells, in Unix seconds."""

    @classmethod
    def of(cls, parts: Sequence[Part], edges: Sequence[float]) -> Self:
        """Returns the table of these parts.

        Args:
            parts: All of the report.
            edges: Of the window's cells, in Unix seconds.
        """
        kinds = [part.ownership for part in parts]
        cells = {id(part.cells): part.cells for part in parts if part.cells is not None}
        number = {key: place for place, key in enumerate(cells)}
        values = np.array([(part.seconds, *part.amounts) for part in parts]).reshape(-1, 1 + len(Amounts._fields))
        used, observed = values[:, 1 + VRAM], values[:, 1 + OBSERVED]
        vram_total_bytes = np.array([(part.cells and part.cells.vram_total_bytes) or 0.0 for part in parts], np.float64)
        return cls(
            parts,
            values,
            np.array([part.is_owned for part in parts], dtype=np.bool_),
            np.array([kind is Ownership.UNALLOCATED for kind in kinds], dtype=np.bool_),
            np.array([kind is Ownership.UNKNOWN for kind in kinds], dtype=np.bool_),
            np.array([part.held is not None for part in parts], dtype=np.bool_),
            np.column_stack((np.where(vram_total_bytes > 0, used, 0.0), observed * vram_total_bytes)),
            np.array([number.get(id(part.cells), -1) for part in parts], dtype=np.intp),
            list(cells.values()),
            np.array(edges),
        )

    def sums(self, rows: Rows, tariff: Tariff) -> Sums:
        """Returns what the figures of rows are computed from.

        Args:
            rows: Which parts make up each.
            tariff: What energy and time cost.
        """
        cells = self._cells(rows)
        p95, peak = cells.percentiles(lambda gpu: gpu.utilization, 0.95, 1.0)
        (p95_vram,) = cells.percentiles(lambda gpu: gpu.vram_used, 0.95)
        return Sums(
            whole=Totals(*rows.fsums(self.values).T),
            owned=Totals(*rows.only(self.is_owned).fsums(self.values).T),
            free=Totals(*rows.only(self.is_free).fsums(self.values).T),
            unknown_seconds=rows.running_sums(np.where(self.is_unknown, self.values[:, 0], 0.0)[rows.parts]),
            vram_used_byte_seconds=rows.running_sums(self.sized[rows.parts, 0]),
            vram_total_byte_seconds=rows.running_sums(self.sized[rows.parts, 1]),
            p95_utilization=p95,
            peak_utilization=peak,
            p95_vram_used=p95_vram,
            peak_vram_bytes=np.floor(cells.peak_vram_bytes()),
            is_timed=rows.only(self.is_owned & ~self.is_timed).counts == 0,
            cost=self._costs(rows, tariff),
            tariff=tariff,
        )

    def longest_idle(self) -> Floats:
        """Returns the seconds of the longest run of ten-minute cells that each part held and in which its GPU was idle.

        Never more than the part was idle at all, though cells count as a whole.
        """
        places = np.arange(len(self.parts))
        found = [
            self._cells(Rows(some, np.ones_like(some))).longest_idle()
            for some in np.split(places, places[MOST_ROWS::MOST_ROWS])
        ]
        return np.minimum(np.concatenate(found), self.values[:, 1 + IDLE])

    def _cells(self, rows: Rows) -> RowCells:
        return RowCells.of(self.edges, self.cells, rows.only(self.gpu >= 0), self.gpu, self.parts)

    def _costs(self, rows: Rows, tariff: Tariff) -> Floats:
        if not tariff.prices.rules:
            return np.full(len(rows.counts), np.nan)
        parts = iter(rows.parts.tolist())
        of_rows = ([self.parts[place] for place in islice(parts, count)] for count in rows.counts.tolist())
        found = map(tariff.prices.cost, of_rows)
        return np.array([np.nan if cost is None else float(cost) for cost in found])
