"""Keeps asking the consumption API, and tells a sink what it says."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable

from exporter import config
from exporter.errors import TasksError
from exporter.model import Answer
from exporter.tasks.client import ConsumptionClient
from exporter.tasks.source import TaskSink

_log = logging.getLogger(__name__)

_MAX_PAUSE_SECONDS = 300.0
_MAX_LOGGED_ENTRIES = 10


class TaskRefresher:
    """Refreshes each `tasks.refresh`, less often while it fails; without `tasks.url`, never.

    Args:
        settings: as in the config.
        now: Unix seconds.

    Raises:
        ConfigError: as `ConsumptionClient` does.
    """

    def __init__(self, settings: config.Tasks, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._settings = settings
        self._client = _client(settings)
        self._changed = asyncio.Event()
        self._failures = 0
        self._problem: str | None = None
        self._malformed: frozenset[tuple[str, str]] = frozenset()

    def reconfigure(self, settings: config.Tasks) -> None:
        """Takes new settings and asks again at once, to show whether they work.

        Raises:
            ConfigError: as `ConsumptionClient` does; nothing has changed then.
        """
        self._client = _client(settings)
        self._settings = settings
        self._failures = 0
        self._changed.set()

    async def run(self, sink: TaskSink) -> None:
        """Refreshes until cancelled; no failure of the API ends it."""
        while True:
            self._changed.clear()
            if self._client is not None:
                await self._refresh(self._client, sink)
            await self._rest()

    async def _refresh(self, client: ConsumptionClient, sink: TaskSink) -> None:
        began = time.monotonic()
        try:
            answer = await client.tasks(*_window(sink.unbooked_since(), self._now()))
        except TasksError as error:
            self._failures += 1
            self._log_failure(str(error))
            sink.refused(error, time.monotonic() - began)
        else:
            self._failures = 0
            self._log_success(answer)
            sink.answered(answer, time.monotonic() - began)

    async def _rest(self) -> None:
        """Waits for the next turn, or for new settings."""
        seconds = None if self._client is None else pause(self._settings, self._failures)
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def _log_failure(self, problem: str) -> None:
        if problem != self._problem:
            _log.warning("%s; trying again, every %g s at the latest", problem, _longest_pause(self._settings))
        self._problem = problem

    def _log_success(self, answer: Answer) -> None:
        if self._problem is not None:
            _log.info("consumption API: answers again")
        self._problem = None
        entries = frozenset((entry.task_id, entry.reason) for entry in answer.malformed)
        fresh = sorted(entries - self._malformed)
        for task_id, reason in fresh[:_MAX_LOGGED_ENTRIES]:
            _log.warning("consumption API: task %r is not accounted in full: %s", task_id[:80], reason)
        if len(fresh) > _MAX_LOGGED_ENTRIES:
            _log.warning("consumption API: nor are %d more tasks", len(fresh) - _MAX_LOGGED_ENTRIES)
        self._malformed = entries


def pause(settings: config.Tasks, failures: int) -> float:
    """Seconds to the next refresh after so many failures in a row, spread so that nodes do not ask all at once."""
    doublings = min(max(failures - 1, 0), 30)
    seconds = min(math.ldexp(settings.refresh, doublings), _longest_pause(settings))
    return seconds * random.uniform(0.9, 1.1)  # noqa: S311  no secret depends on it


def _longest_pause(settings: config.Tasks) -> float:
    """Well below `expire_after`, so that an API that comes back is noticed before ownership is lost for good."""
    return max(settings.refresh, min(_MAX_PAUSE_SECONDS, settings.expire_after / 4))


def _window(oldest: float, now: float) -> tuple[float, float]:
    """Rounded outward to the minute, so that a cache in between can answer many nodes with one request."""
    return math.floor(min(oldest, now) / 60) * 60, math.ceil(now / 60) * 60


def _client(settings: config.Tasks) -> ConsumptionClient | None:
    return None if settings.url is None else ConsumptionClient(settings)
