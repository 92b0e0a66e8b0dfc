"""What must hold of every account: its parts make up the whole, and none of them is impossible. Pure.

Counters come from elsewhere, so these are no assertions: a report that would print what cannot be is not written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from exporter.errors import ConservationError, ImpossibleError
from exporter.model import Amounts
from exporter.report.accounting.usage import Part, Total
from exporter.report.observed import LEAST_OBSERVED_SECONDS, PLAUSIBLE_WATTS

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


def possible(part: Part, *, where: str) -> Part:
    """Returns a part without the noise of rounding: no figure is beyond its limit, and what is next to nothing is 0.

    Raises:
        ImpossibleError: A figure is beyond its limit by more than that.
    """
    amounts = part.amounts._asdict()
    for name, limit, unit in _limits(part):
        found, noise = amounts[name], _ROUNDING * limit + _INSTANT * unit
        if found < -noise or found > limit + noise:
            raise ImpossibleError(
                f"{where}: {found:g} of {name} cannot be, {limit:g} is the most that {part.seconds:g} s can hold: "
                f"are two exporters scraped as one, or samples changed on their way?"
            )
        amounts[name] = min(max(found, 0.0), limit)
    if amounts["observed_seconds"] < LEAST_OBSERVED_SECONDS:
        amounts = {"energy_joules": amounts["energy_joules"]}
    return replace(part, amounts=Amounts(**amounts))


def _limits(part: Part) -> Iterator[tuple[str, float, float]]:
    """Yields the fields of `Amounts`, the most that each can be, and the most that a second can add."""
    seconds, amounts = part.seconds, part.amounts
    observed, idle = min(max(amounts.observed_seconds, 0.0), seconds), max(amounts.idle_seconds, 0.0)
    yield "observed_seconds", seconds, 1.0
    yield "busy_seconds", observed, 1.0
    yield "idle_seconds", observed, 1.0
    yield "idle_vram_held_seconds", min(idle, observed), 1.0
    if part.cells and part.cells.vram_total_bytes:
        yield "vram_used_byte_seconds", observed * part.cells.vram_total_bytes, part.cells.vram_total_bytes
    if part.held is not None:  # else nobody knows how long it was held while it drew this
        yield "energy_joules", seconds * PLAUSIBLE_WATTS, PLAUSIBLE_WATTS
