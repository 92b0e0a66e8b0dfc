"""Coroutines without an event loop."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def at_once(coroutine: Coroutine[Any, None, _T]) -> _T:
    """Returns the result of one that lets others have their turn, and waits for nothing else."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as done:
            result: _T = done.value
            return result
