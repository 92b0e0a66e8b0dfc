"""Where a GPU stands, by the one rule that everything which shows GPUs follows. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Final

from exporter.metering.idle_clock import ACTIVE_SHARE
from exporter.model import Ownership
from exporter.speech import N_

IDLE_AFTER_SECONDS: Final = 600.0
"""A GPU counts as idle once whoever holds it has left it idle for so long: tasks load data, and people think."""


class Standing(Enum):
    """Where a GPU stands: its word, and the style class of pages. Each GPU stands in exactly one."""

    FREE = N_("free"), "free"
    """Nobody holds it, and nothing runs there."""
    IN_USE = N_("in use"), "busy"
    HELD_IDLE = N_("held, idle"), "idle"
    UNCLAIMED = N_("busy, no task"), "unclaimed"
    """Something runs there, and no task holds it."""
    UNKNOWN = N_("owner unknown"), "unknown"
    """Nobody can say whether it is free."""
    UNREADABLE = N_("unreadable"), "fault"
    """Its exporter answers and cannot read it."""
    SILENT = N_("not reporting"), "fault"
    """Its exporter does not answer, or does not know it any more."""

    def __init__(self, label: str, style: str) -> None:
        self.label = label
        self.style = style

    @property
    def key(self) -> str:
        """What JSON calls it: `held_idle`."""
        return self.name.lower()


def left_idle(idle_seconds: float | None, held_seconds: float | None) -> float | None:
    """Returns for how long those who hold a GPU have left it idle; of one that nobody holds, for how long it has been.

    Args:
        idle_seconds: For how long it has been idle, whoever held it; None where nobody observed it.
        held_seconds: For how long its first task has held it; None without a task that tells.
    """
    if idle_seconds is None or held_seconds is None:
        return idle_seconds
    return max(0.0, min(idle_seconds, held_seconds))


def standing(
    ownership: Ownership, *, utilization: float | None, idle_seconds: float | None, is_readable: bool = True
) -> Standing:
    """Returns where a GPU stands whose exporter answers.

    Args:
        ownership: Whose it is.
        utilization: 0 to 1; None where it is absent.
        idle_seconds: For how long it has been `left_idle`; 0 where it is active, None where nobody observed it.
        is_readable: Whether its last reading is fresh.
    """
    if not is_readable:
        return Standing.UNREADABLE
    match ownership:
        case Ownership.UNKNOWN:
            return Standing.UNKNOWN
        case Ownership.UNALLOCATED:
            # Both: what its last holder did is over, and what runs for a second is no work.
            runs = idle_seconds == 0 and utilization is not None and utilization >= ACTIVE_SHARE
            return Standing.UNCLAIMED if runs else Standing.FREE
        case Ownership.OWNED | Ownership.SHARED:
            is_idle = idle_seconds is not None and idle_seconds >= IDLE_AFTER_SECONDS
            return Standing.HELD_IDLE if is_idle else Standing.IN_USE
