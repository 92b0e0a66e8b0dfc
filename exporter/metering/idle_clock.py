"""For how long one GPU has been idle, from its counters as they grow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from exporter.model import Amounts

STEP_SECONDS: Final = 300.0
"""Activity is judged by so long at a time."""
ACTIVE_SHARE: Final = 0.05
"""Of a step: a GPU that is active for less of it, as by a probe of its health, is idle."""


@dataclass(slots=True)
class IdleClock:
    """Tells since when a GPU has been idle: since the end of the last step in which it was active."""

    _step: tuple[float, Amounts] | None = None
    """When the present step began, and the counters then."""
    _idle_since: float = 0.0
    _is_active: bool = False
    """In the present step, by now."""

    def observe(self, at: float, counters: Amounts) -> None:
        """Takes the counters as of an instant, in CLOCK_MONOTONIC seconds, each not before the last."""
        if self._step is None:
            self._step, self._idle_since = (at, counters), at
            return
        began, before = self._step
        observed = counters.observed_seconds - before.observed_seconds
        active = observed - (counters.idle_seconds - before.idle_seconds)
        self._is_active = active > ACTIVE_SHARE * STEP_SECONDS
        if at - began < STEP_SECONDS:
            return
        if active > ACTIVE_SHARE * observed:
            self._idle_since = at
        self._step, self._is_active = (at, counters), False

    def seconds(self, now: float) -> float | None:
        """Returns for how long the GPU has been idle; 0 while it is active, None before it was observed."""
        if self._step is None:
            return None
        return 0.0 if self._is_active else max(0.0, now - self._idle_since)
