"""The newest answer to a question that many ask."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, Generic, TypeVar

from exporter.errors import ExporterError
from exporter.names import visible

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

LIFETIME_SECONDS: Final = 15.0
"""For which an answer, or a failure, is not asked for again."""
_PATIENCE_SECONDS: Final = 5.0
"""For which somebody waits for a new answer; then they get the one before."""


class Latest(Generic[_T]):
    """Asks when somebody looks and the last answer is old; once, however many look. A failure leaves the last answer.

    Who looks waits for a new answer only where the last one is older than two lifetimes: while people look, each finds
    what the one before had asked for.

    Args:
        ask: The question.
        lifetime: Seconds from one question to the next.
        patience: Seconds that somebody waits for an answer.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[_T]],
        lifetime: float = LIFETIME_SECONDS,
        patience: float = _PATIENCE_SECONDS,
    ) -> None:
        self._ask = ask
        self._lifetime = lifetime
        self._patience = patience
        self._asked_at = self._answered_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self._problem: str | None = None
        self.has_answer = False
        self._value: _T | None = None

    async def look(self) -> _T | None:
        """Returns the last good answer, which is new if one could be had in time; None if there has been none."""
        now = monotonic()
        if self._asking is None and now - self._asked_at >= self._lifetime:
            self._asked_at = now
            self._asking = asyncio.create_task(self._renew())
        if self._asking is not None and now - self._answered_at >= 2 * self._lifetime:
            await asyncio.wait({self._asking}, timeout=max(0.0, self._asked_at + self._patience - now))
        return self._value

    @property
    def problem(self) -> str | None:
        """Why the last answer is not new, in English, as logs have it."""
        waited = monotonic() - self._asked_at
        if self._problem is None and self._asking is not None and waited >= self._patience:
            return f"no answer for {waited:.0f} s"
        return self._problem

    def close(self) -> None:
        """Asks no longer."""
        if self._asking is not None:
            self._asking.cancel()

    async def _renew(self) -> None:
        try:
            self._value, self.has_answer, problem = await self._ask(), True, None
            self._answered_at = monotonic()
        except ExporterError as error:
            problem = visible(str(error))
        except Exception:  # noqa: BLE001  a defect must not end the pages that do without an answer
            _log.exception("the cluster cannot be looked at")
            problem = "the portal has failed; its log says why"
        finally:
            self._asking = None
        if problem and problem != self._problem:
            _log.warning("%s", problem)
        elif self._problem and not problem:
            _log.info("Prometheus answers again")
        self._problem = problem
