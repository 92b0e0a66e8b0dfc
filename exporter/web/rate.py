"""How many requests are answered in a time, where a web configuration file limits them."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from exporter.web.settings import RateLimit


class Bucket:
    """Tokens of which each request takes one: full at first, one more after each interval.

    Args:
        limit: How many there are, and how fast they come.
        monotonic: CLOCK_MONOTONIC.
    """

    def __init__(self, limit: RateLimit, monotonic: Callable[[], float] = monotonic) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._tokens = float(limit.burst)
        self._counted_at = monotonic()

    def take(self) -> bool:
        """Returns whether there was a token, which is gone then."""
        now = self._monotonic()
        come = (now - self._counted_at) / self._limit.interval
        self._tokens, self._counted_at = min(self._limit.burst, self._tokens + come), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
