"""Keeps asking who holds which GPU, and tells a sink."""

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
from exporter.tasks.source import TaskSink, TaskSource, task_source

_log = logging.getLogger(__name__)

_MAX_PAUSE_SECONDS = 300.0
_MAX_LOGGED_ENTRIES = 10
_CLOCK_TOLERANCE_SECONDS = 5.0
"""By which the server's clock may differ from this machine's before it is said."""


class TaskRefresher:
    """Refreshes each `tasks.refresh`, less often while it fails; never, if there is nobody to ask.

    Args:
        settings: The section `tasks`.
        now: The clock, in Unix seconds.

    Raises:
        ConfigError: As `task_source` does.
    """

    def __init__(self, settings: config.Tasks, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._settings = settings
        self._source = task_source(settings)
        self._changed = asyncio.Event()
        self._failures = 0
        self._clock_offset = 0.0
        """The server's clock less this machine's, as of the last answer."""
        self._is_clock_off = False
        self._problem: str | None = None
        self._malformed: frozenset[tuple[str, str]] = frozenset()

    def reconfigure(self, settings: config.Tasks) -> None:
        """Takes new settings and asks again at once, to show whether they work.

        Raises:
            ConfigError: As `task_source` does; nothing has changed then.
        """
        # Slurm's remembers what had ended; the API's reads its files of certificates anew.
        if settings != self._settings or settings.source == "consumption":
            self._source = task_source(settings)
        self._settings = settings
        self._failures = 0
        self._changed.set()

    def hurry(self) -> None:
        """Asks again at once: there is more to be told than was asked for."""
        self._changed.set()

    async def run(self, sink: TaskSink) -> None:
        """Refreshes until cancelled; no failure of the source ends it."""
        while True:
            self._changed.clear()
            if self._source is not None:
                await self._refresh(self._source, sink)
            await self._rest()

    async def _refresh(self, source: TaskSource, sink: TaskSink) -> None:
        began = time.monotonic()
        start, end = self._window(sink)
        try:
            answer = await source.tasks(start, end, scope=sink.scope())
        except TasksError as error:
            self._failures += 1
            self._log_failure(str(error))
            sink.refused(error, time.monotonic() - began)
            return
        self._failures = 0
        self._log_success(source.name, answer)
        before, self._clock_offset = self._clock_offset, answer.clock_offset or 0.0
        self._log_clock(source.name)
        await sink.answered(answer, time.monotonic() - began)
        if self._clock_offset != before and not start <= self._server_time() <= end:
            self._changed.set()  # asked for the wrong hour, for want of knowing the server's clock

    def _window(self, sink: TaskSink) -> tuple[float, float]:
        """Rounds outward to the minute, so that a cache in between can answer many nodes with one request."""
        now = self._server_time()
        return math.floor(min(sink.wanted_since(), now) / 60) * 60, math.ceil(now / 60) * 60

    def _server_time(self) -> float:
        return self._now() + self._clock_offset

    async def _rest(self) -> None:
        """Waits for the next turn, or for new settings."""
        seconds = None if self._source is None else pause(self._settings, self._failures)
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def _log_failure(self, problem: str) -> None:
        if problem != self._problem:
            _log.warning("%s; trying again, every %g s at the latest", problem, _longest_pause(self._settings))
        self._problem = problem

    def _log_success(self, source: str, answer: Answer) -> None:
        if self._problem is not None:
            _log.info("%s: answers again", source)
        self._problem = None
        entries = frozenset((entry.task_id, entry.reason) for entry in answer.malformed)
        fresh = sorted(entries - self._malformed)
        for task_id, reason in fresh[:_MAX_LOGGED_ENTRIES]:
            _log.warning("%s: task %r is not accounted in full: %s", source, task_id[:80], reason)
        more = max(0, len(fresh) - _MAX_LOGGED_ENTRIES) + (answer.more_malformed if fresh else 0)
        if more:
            _log.warning("%s: nor are %d more tasks", source, more)
        self._malformed = entries

    def _log_clock(self, source: str) -> None:
        difference = clock_difference(self._clock_offset)
        is_off = difference is not None
        if is_off and not self._is_clock_off:
            _log.warning("%s: its clock is %s", source, difference)
        elif self._is_clock_off and not is_off:
            _log.info("%s: its clock agrees with this machine's again", source)
        self._is_clock_off = is_off


def clock_difference(offset: float) -> str | None:
    """Returns how far a server's clock is off and what to do; None where that matters to nobody.

    Args:
        offset: The server's clock less this machine's, in seconds.
    """
    if abs(offset) <= _CLOCK_TOLERANCE_SECONDS:
        return None
    side = "ahead of" if offset > 0 else "behind"
    return (
        f"{abs(offset):.0f} s {side} this machine's: tasks are placed by its clock; set both by NTP, "
        "as the report goes by Prometheus' clock"
    )


def pause(settings: config.Tasks, failures: int) -> float:
    """Returns the seconds to the next refresh after so many failures in a row, spread lest nodes ask all at once."""
    doublings = min(max(failures - 1, 0), 30)
    seconds = min(math.ldexp(settings.refresh, doublings), _longest_pause(settings))
    return seconds * random.uniform(0.9, 1.1)  # noqa: S311  no secret depends on it


def _longest_pause(settings: config.Tasks) -> float:
    """Returns seconds well below `expire_after`: a source that is back is noticed before ownership is lost for good."""
    return max(settings.refresh, min(_MAX_PAUSE_SECONDS, settings.expire_after / 4))
