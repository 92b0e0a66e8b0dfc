"""What the library is not to be asked for a while, and for how long."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from exporter.devices.protocol import LIBRARY, is_inspection

LONGEST_PAUSE = 300.0
"""Seconds. Also for how long what was let go is remembered: what fails again by then stays away twice as long."""

_LONGEST_WITHOUT_LIBRARY = 3600.0
"""A node that has no library, or one that never begins, is not to pay for it."""

_FIRST_OF_INSPECTION = 60.0
"""Nobody waits for what is asked once a minute."""


@dataclass(slots=True)
class _Case:
    reason: str
    pause: float
    until: float
    released_at: float = math.inf


class Quarantine:
    """Pauses by key (`protocol.LIBRARY`, a GPU's address or `protocol.inspection` of it), each twice the one before.

    Times are CLOCK_MONOTONIC seconds.

    Args:
        first: seconds of the first pause.
    """

    def __init__(self, first: float) -> None:
        self._first = first
        self._cases: dict[str, _Case] = {}

    def put(self, key: str, reason: str, now: float) -> None:
        """Begins a pause, or a longer one where it did not help."""
        case = self._cases.get(key)
        if case is None or now - case.released_at > LONGEST_PAUSE:
            pause = _FIRST_OF_INSPECTION if is_inspection(key) else self._first
        else:
            pause = min(2 * case.pause, _LONGEST_WITHOUT_LIBRARY if key == LIBRARY else LONGEST_PAUSE)
        self._cases[key] = _Case(reason, pause, now + pause)

    def release(self, key: str, now: float) -> None:
        """Ends a case: what was left out works again."""
        if (case := self._cases.get(key)) is not None and case.released_at == math.inf:
            case.released_at = now
            case.until = now

    def active(self, now: float) -> dict[str, str]:
        """Returns what must be left out now, and why."""
        return {key: case.reason for key, case in self._cases.items() if case.until > now}

    def on_trial(self, now: float) -> list[str]:
        """Returns what is to be tried again: its pause is over, and whether that helped is not known."""
        return [key for key, case in self._cases.items() if case.until <= now and case.released_at == math.inf]

    def next_due(self, now: float) -> float:
        """Returns when the next pause ends."""
        return min((case.until for case in self._cases.values() if case.until > now), default=math.inf)


def exponential_backoff(first: float, longest: float) -> Iterator[float]:
    """Yields pauses between attempts, in seconds: each twice the one before."""
    pause = first
    while True:
        yield min(pause, longest)
        pause *= 2
