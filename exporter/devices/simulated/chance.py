"""Chance without state: numbers that look random, and are always the same for the same key."""

from __future__ import annotations

from hashlib import blake2b


def number(*key: int | str) -> int:
    """A whole number of 64 bits."""
    return int.from_bytes(blake2b(repr(key).encode(), digest_size=8).digest(), "big")


def fraction(*key: int | str) -> float:
    """A number in [0, 1)."""
    return (number(*key) >> 11) / 2**53


def between(low: float, high: float, *key: int | str) -> float:
    """A number in [low, high)."""
    return low + (high - low) * fraction(*key)
