"""Figures in words for people; what is absent is a dash."""

from __future__ import annotations

from typing import Final

_ABSENT: Final = "\N{EN DASH}"
_SPACE: Final = "\N{NO-BREAK SPACE}"
_GIB: Final = 2**30


def percent(ratio: float | None) -> str:
    """`93 %`, and below ten `4.2 %`, so that a little is not shown as nothing."""
    if ratio is None:
        return _ABSENT
    value = ratio * 100
    return f"{value:.0f}{_SPACE}%" if value >= 9.95 or value == 0 else f"{value:.1f}{_SPACE}%"


def part_of_bytes(used: int | None, total: int | None) -> str:
    """`12.5 of 192 GiB`, as far as either is known."""
    if used is None and total is None:
        return _ABSENT
    known = _ABSENT if used is None else f"{used / _GIB:.1f}"
    return f"{known}{_SPACE}GiB" if total is None else f"{known} of {total / _GIB:.4g}{_SPACE}GiB"


def quantity(value: float | None, unit: str) -> str:
    """`642 W`."""
    return _ABSENT if value is None else f"{value:.0f}{_SPACE}{unit}"


def duration(seconds: float) -> str:
    """`12 s`, `5 min`, `3 h 20 min`, `2 d 4 h`; clocks that disagree make nothing negative."""
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        parts = ((days, "d"), (hours, "h"))
    elif hours:
        parts = ((hours, "h"), (minutes, "min"))
    elif minutes:
        parts = ((minutes, "min"), (0, ""))
    else:
        parts = ((rest, "s"), (0, ""))
    (large, unit), (small, small_unit) = parts
    return f"{large}{_SPACE}{unit}" + (f" {small}{_SPACE}{small_unit}" if small else "")


def count(number: int, noun: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number}{_SPACE}{noun}" + ("" if number == 1 else "s")
