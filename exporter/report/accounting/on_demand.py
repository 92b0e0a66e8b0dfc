"""Rows that are made when they are asked for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, overload

_T = TypeVar("_T")


class OnDemand(Sequence[_T]):
    """Rows of a table, each made anew whenever it is asked for: as objects, those of 100,000 tasks take 250 MB."""

    def __init__(self, count: int, make: Callable[[int], _T]) -> None:
        """Makes none yet.

        Args:
            count: How many there are.
            make: Returns the one with a number, from 0; always the same.
        """
        self._numbers = range(count)
        self._make = make

    def __len__(self) -> int:
        """How many there are."""
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> _T: ...

    @overload
    def __getitem__(self, place: slice) -> list[_T]: ...

    def __getitem__(self, place: int | slice) -> _T | list[_T]:
        """One row, or a list of some."""
        if isinstance(place, slice):
            return [self._make(number) for number in self._numbers[place]]
        return self._make(self._numbers[place])

    def __eq__(self, other: object) -> bool:
        """Whether other rows are the same."""
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]
