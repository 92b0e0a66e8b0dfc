"""What must hold of every account: its parts make up the whole, and none of them is impossible. Pure.

Counters come from elsewhere, so these are no assertions: a report that would print what cannot be is not written.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exporter.errors import ConservationError, ImpossibleError
from exporter.model import Amounts
from exporter.report.accounting.usage import Part, Total
from exporter.report.observed import ENERGY, IDLE, LEAST_OBSERVED_SECONDS, OBSERVED, PLAUSIBLE_WATTS, Floats

_OF_THE_WHOLE = 1e-9
_ROUNDING = 1e-6
"""Of a limit: VictoriaMetrics keeps decimals, and a whole life's counters are subtracted from each other."""
_INSTANT = 1e-3
"""Seconds: that of a scrape is kept in milliseconds."""


def check_conservation(parts: Sequence[Part], seconds: float, accrued: Amounts, *, where: str) -> None:
    """Checks that the parts of one GPU make up its window and its counters.

    Raises:
        ConservationError: They do not, by more than 1e-9 of the whole.
    """
    total = Total.of(parts)
    pairs = {"time": (total.seconds, seconds)}
    pairs |= {name: (getattr(total.amounts, name), getattr(accrued, name)) for name in Amounts._fields}
    for name, (found, expected) in pairs.items():
        if abs(found - expected) > _OF_THE_WHOLE * max(1.0, abs(expected)):
            raise ConservationError(f"{where}: the shares sum to {found!r} of {name}, the whole is {expected!r}")


def possible(parts: Sequence[Part]) -> list[Part]:
    """Returns parts without the noise of rounding: no figure is beyond its limit, and what is next to nothing is 0.

    Raises:
        ImpossibleError: A figure is beyond its limit by more than that.
    """
    found = np.array([part.amounts for part in parts]).reshape(-1, len(Amounts._fields))
    limits, noise = _limits(parts, found)
    beyond = np.argwhere((found < -noise) | (found > limits + noise))
    if len(beyond):
        place, column = beyond[0]
        raise ImpossibleError(
            f"{parts[place].gpu.name}: {found[place, column]:g} of {Amounts._fields[column]} cannot be, "
            f"{limits[place, column]:g} is the most that {parts[place].seconds:g} s can hold: are two exporters "
            f"scraped as one, or samples changed on their way?"
        )
    kept = np.where(np.isinf(limits), found, np.clip(found, 0.0, limits))
    kept[kept[:, OBSERVED] < LEAST_OBSERVED_SECONDS, :ENERGY] = 0.0
    return [part._replace(amounts=Amounts(*amounts)) for part, amounts in zip(parts, kept.tolist(), strict=True)]


def _limits(parts: Sequence[Part], amounts: Floats) -> tuple[Floats, Floats]:
    """Returns the most that each amount can be, infinite where nothing limits it, and by how much rounding may miss."""
    limits = np.array([_limits_of_a_second(part) for part in parts], np.float64).reshape(amounts.shape)
    noise = _INSTANT * limits
    seconds = np.array([part.seconds for part in parts])
    observed = np.clip(amounts[:, OBSERVED], 0.0, seconds)
    idle = np.clip(amounts[:, IDLE], 0.0, observed)
    lasts = np.column_stack((seconds, observed, observed, idle, observed, seconds))
    limits = np.multiply(limits, lasts, out=limits, where=np.isfinite(limits))  # infinity × 0 would be no number
    return limits, _ROUNDING * limits + noise


def _limits_of_a_second(part: Part) -> tuple[float, ...]:
    """Returns the most that a second can add, in the order of `Amounts`."""
    vram_total_bytes = (part.cells and part.cells.vram_total_bytes) or np.inf
    # Where it is not known when it was held, nobody knows for how long it was held while it drew this.
    return 1.0, 1.0, 1.0, 1.0, vram_total_bytes, np.inf if part.held is None else PLAUSIBLE_WATTS
