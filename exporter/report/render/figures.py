"""Figures as people read them; what is absent is a dash, and a little is never shown as nothing."""

from __future__ import annotations

import math
from typing import Final

ABSENT: Final = "\N{EN DASH}"
_SPACE: Final = "\N{NO-BREAK SPACE}"
_GIB: Final = 2**30


def number(value: float | None, decimals: int = 2) -> str:
    """`1,234.50`; what would round to nothing is `<0.01`."""
    if value is None:
        return ABSENT
    least = 10.0**-decimals
    return f"<{least:.{decimals}f}" if 0 < value < least / 2 else f"{value:,.{decimals}f}"


def percent(ratio: float | None) -> str:
    """`93.4 %`."""
    return ABSENT if ratio is None else f"{number(ratio * 100, 1)}{_SPACE}%"


def coverage(ratio: float | None) -> str:
    """`99.9 %`, rounded down: only what is whole shows as 100."""
    return percent(ratio if ratio is None else math.floor(ratio * 1000 + 1e-6) / 1000)


def is_low(ratio: float | None, least: float) -> bool:
    """Whether a coverage calls for a mark."""
    return ratio is not None and ratio < least


def marked(ratio: float | None, least: float) -> str:
    """The coverage, as `! 98.4 %` where it is below the least that is expected."""
    return ("! " if is_low(ratio, least) else "") + coverage(ratio)


def gibibytes(count: float | None) -> str:
    """`12.5 GiB`."""
    return ABSENT if count is None else f"{number(count / _GIB, 1)}{_SPACE}GiB"


def change(value: float | None, before: float | None) -> str:
    """`+12 %`, relative to before; empty where either is absent or there was nothing before."""
    if value is None or not before:
        return ""
    return f"{(value / before - 1) * 100:+.0f}{_SPACE}%".replace("-", "\N{MINUS SIGN}")
