"""When who scrapes next: a scraper comes at a steady interval."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Who = TypeVar("Who", bound=Hashable)

_MOST: Final = 16
"""Kept in mind; who was not seen for longest makes room."""
_SLACK_SECONDS: Final = 0.05
"""By which one may come early or late."""


@dataclass(frozen=True, slots=True)
class _Visit:
    """The last of one scraper."""

    at: float
    next_at: float | None
    """If it comes again after as long as since its visit before; None if this was the first."""


class Scrapers(Generic[Who]):
    """Expects each as long after its last visit as that was after the one before.

    One that does not come when expected is forgotten: so whoever comes irregularly, or no more, is expected once at
    most for each time that it came. All instants are seconds of one clock.
    """

    def __init__(self) -> None:
        """Knows nobody yet."""
        self._visits: dict[Who, _Visit] = {}
        """Who was not seen for longest comes first."""

    def came(self, who: Who, now: float) -> None:
        """Takes note of a visit."""
        before = self._visits.pop(who, None)
        self._visits[who] = _Visit(now, None if before is None else 2 * now - before.at)
        if len(self._visits) > _MOST:
            del self._visits[next(iter(self._visits))]

    def expected(self, now: float, until: float) -> list[Who]:
        """Returns who may come between two instants, the first first, and forgets who should have come before."""
        nexts = {who: visit.next_at for who, visit in self._visits.items() if visit.next_at is not None}
        for who, at in nexts.items():
            if at + _SLACK_SECONDS < now:
                del self._visits[who]
        return sorted(
            (who for who, at in nexts.items() if now <= at + _SLACK_SECONDS and at - _SLACK_SECONDS < until),
            key=nexts.__getitem__,
        )
