"""Slurm's way to write many names as one: `gpu[1-3,07],login`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, product

MAX_NAMES = 16_384
"""More nodes than a cluster has."""
_MAX_CHARS = 256
"""Of one name, less its numbers."""
_MAX_BRACKETS = 4
"""Of one name; Slurm's own limit is lower."""
_MAX_DIGITS = 9
_BRACKET = re.compile(r"\[([^\[\]]*)\]")
_RANGE = re.compile(r"([0-9]+)(?:-([0-9]+))?")


def expand(text: str) -> list[str]:
    """Returns the names that a list means, in its order; an unreadable list means what can be read of it."""
    return list(islice((name for part in _parts(text) for name in _expanded(part)), MAX_NAMES))


def numbers(text: str) -> Iterator[str]:
    """Yields the numbers of `0-2,07`, with their leading zeros."""
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            continue
        first, last = match[1], match[2] or match[1]
        if max(len(first), len(last)) > _MAX_DIGITS:
            continue
        width = len(first) if first.startswith("0") else 0
        for number in range(int(first), min(int(last), int(first) + MAX_NAMES) + 1):
            yield str(number).zfill(width)


def _parts(text: str) -> Iterator[str]:
    """Yields what stands between commas that are in no bracket."""
    start, is_open = 0, False
    for place, character in enumerate(text):
        if character in "[]":
            is_open = character == "["
        elif character == "," and not is_open:
            yield text[start:place].strip()
            start = place + 1
    yield text[start:].strip()


def _expanded(part: str) -> Iterator[str]:
    pieces = _BRACKET.split(part, maxsplit=_MAX_BRACKETS)  # plain, bracketed, plain …
    if sum(map(len, pieces[::2])) > _MAX_CHARS:
        return
    choices = [list(numbers(piece)) if place % 2 else [piece] for place, piece in enumerate(pieces)]
    yield from ("".join(chosen) for chosen in product(*choices) if any(chosen))
