"""What the scrape history hands to the accounting: the seam between asking and arithmetic.

Counters are arrays with one column for each field of `Amounts`, in its order; seconds are of Unix time where they are
instants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from exporter.model import Amounts, Owner

Floats = NDArray[np.float64]

OBSERVED, BUSY, IDLE, IDLE_VRAM_HELD, VRAM, ENERGY = range(len(Amounts._fields))
"""The columns of counters."""
_IDLE_THROUGHOUT = 0.95


@dataclass(frozen=True, eq=False)
class Cells:
    """One GPU over the window in ten-minute cells."""

    seconds: Floats
    """Length of each; the last may be shorter."""
    amounts: Floats
    """What accrued in each, shape (cells, 6), in the order of Amounts."""
    peak_vram_bytes: Floats
    """Highest VRAM in use seen in each; NaN where none was."""
    vram_total_bytes: int | None

    @cached_property
    def utilization(self) -> Floats:
        """Mean of each, 0 to 1; NaN where nothing was observed."""
        return ratio(self.amounts[:, BUSY], self.amounts[:, OBSERVED])

    @cached_property
    def vram_used(self) -> Floats:
        """Mean VRAM in use of each, 0 to 1; NaN where nothing was observed."""
        return ratio(self.amounts[:, VRAM], self.amounts[:, OBSERVED] * (self.vram_total_bytes or np.nan))

    @cached_property
    def is_idle(self) -> NDArray[np.bool_]:
        """Cells that were observed, and idle throughout but for what scrapes blur at their edges."""
        observed, idle = self.amounts[:, OBSERVED], self.amounts[:, IDLE]
        return (observed > 0) & (idle >= observed * _IDLE_THROUGHOUT)


@dataclass(frozen=True, slots=True)
class Observed:
    """One GPU as the scrape history knows it."""

    uuid: str
    index: int
    hostname: str
    model: str
    card: str
    at: Callable[[float], Amounts]
    """Its cumulative counters at any instant of the window."""
    cells: Cells
    owners: Mapping[Owner, Amounts]
    """What the owner series gained in the window."""


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Element by element; NaN where the denominator is not above 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)
