"""Slurm's way to write many names as one: `gpu[1-3,07],login`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_NAMES = 65_536
"""As many as Slurm itself has nodes for."""
_MAX_DIGITS = 9
_PART = re.compile(r"((?:[^,\[\]]|\[[^\[\]]*\])+)(?:,|$)")
_RANGE = re.compile(r"([0-9]+)(?:-([0-9]+))?")


def expand(text: str) -> list[str]:
    """Returns the names that a list means, in its order; an unreadable list means what can be read of it."""
    names: list[str] = []
    for part in _PART.findall(text.strip()):
        for name in _expanded(part.strip()):
            if len(names) >= MAX_NAMES:
                return names
            names.append(name)
    return names


def _expanded(part: str) -> Iterator[str]:
    before, bracket, rest = part.partition("[")
    if not bracket:
        yield part
        return
    inside, _, after = rest.partition("]")
    tails = list(_expanded(after)) if after else [""]
    for number in numbers(inside):
        yield from (f"{before}{number}{tail}" for tail in tails)


def numbers(text: str) -> Iterator[str]:
    """Yields the numbers of `0-2,07`, with their leading zeros."""
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            continue
        first, last = match[1], match[2] or match[1]
        width = len(first) if first.startswith("0") else 0
        if max(len(first), len(last)) > _MAX_DIGITS:
            continue
        for number in range(int(first), min(int(last), int(first) + MAX_NAMES) + 1):
            yield str(number).zfill(width)
