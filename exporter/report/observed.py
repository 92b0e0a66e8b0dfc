"""What the scrape history hands to the accounting: the seam between asking and arithmetic.

Instants are in Unix seconds. Counters are arrays with one column for each field of `Amounts`, in its order; the columns
are named here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from exporter.model import Amounts, Owner

Floats = NDArray[np.float64]

OBSERVED, BUSY, IDLE, IDLE_VRAM_HELD, VRAM, ENERGY = range(len(Amounts._fields))
"""The columns of counters: seconds, but byte-seconds of VRAM and joules of energy."""

LEAST_OBSERVED_SECONDS = 1e-6
"""A mean over less than this is a mean of nothing: so little is a rounding of time that was not observed."""
PLAUSIBLE_WATTS = 2000.0
"""As in the meter: no socket draws more, so that what grew faster did not count energy."""
_IDLE_THROUGHOUT = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """One GPU over the window in ten-minute cells."""

    observed_seconds: Floats
    """How much of each was observed."""
    utilization: Floats
    """The mean of each, 0 to 1; NaN where nothing was observed."""
    vram_used: Floats
    """The mean VRAM in use of each, 0 to 1; NaN where nothing was observed, or its size is not known."""
    is_idle: NDArray[np.bool_]
    """Which cells were observed, and idle throughout but for what scrapes blur at their edges."""
    peak_vram_bytes: Floats
    """Highest VRAM in use seen in each; NaN where none was."""
    vram_total_bytes: int | None

    @classmethod
    def of(cls, amounts: Floats, peak_vram_bytes: Floats, vram_total_bytes: int | None) -> Cells:
        """Returns the cells of one GPU.

        Args:
            amounts: What accrued in each; shape (cells, 6).
            peak_vram_bytes: Highest VRAM in use seen in each; NaN where none was.
            vram_total_bytes: What the GPU has.
        """
        observed = amounts[:, OBSERVED].copy()  # a view would keep all amounts in memory
        utilization = mean_over(observed, amounts[:, BUSY])
        vram_used = mean_over(observed, amounts[:, VRAM], whole=vram_total_bytes or np.nan)
        return cls(
            observed,
            np.minimum(utilization, 1.0),  # but for rounding it is
            np.minimum(vram_used, 1.0),
            (observed > 0) & (amounts[:, IDLE] >= observed * _IDLE_THROUGHOUT),
            peak_vram_bytes,
            vram_total_bytes,
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a GPU was from some instant on."""

    since: float
    """Unix seconds."""
    hostname: str
    index: int


@dataclass(frozen=True, slots=True)
class ObservedGpu:
    """One GPU as the scrape history knows it."""

    uuid: str
    index: int
    """On the host where it was seen last."""
    hostname: str
    model: str
    card: str
    at: Callable[[float], Amounts]
    """Its cumulative counters at the edges of the window, and at any instant at which a task of it starts or ends."""
    cells: Cells
    owners: Mapping[Owner, Amounts]
    """What the owner series gained in the window."""
    places: tuple[Place, ...] = ()
    """All that it had in and around the window, in the order of time; none if it was not observed there."""

    def on_hosts_called(self, name: Callable[[str], str]) -> ObservedGpu:
        """Returns the same in other names of hosts."""
        places = tuple(replace(place, hostname=name(place.hostname)) for place in self.places)
        return replace(self, hostname=name(self.hostname), places=places)


@dataclass(frozen=True, slots=True)
class ObservedDay:
    """What some GPUs gained together on a day before the window; VRAM, and idle time with VRAM held, are not told."""

    whole: Amounts
    """Of their device counters; nothing where the history does not reach."""
    unowned: Amounts
    """Of this, while nobody held them or it was not known who did; without energy."""


def mean_over(observed_seconds: Floats, integral: Floats, *, whole: float = 1.0) -> Floats:
    """Returns integrals over time as means, element by element; NaN where nothing was observed.

    Args:
        observed_seconds: The time that each integral is over.
        integral: In units of `whole` × seconds.
        whole: What counts as 1.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(observed_seconds < LEAST_OBSERVED_SECONDS, np.nan, integral / (observed_seconds * whole))
