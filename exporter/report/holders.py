"""Who held which GPU in a window: the report's seam to whatever knows.

Today that is the task source, asked for each day by itself, as the answers for days that are over are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Protocol, TypeVar

from exporter.config import Config
from exporter.model import Answer, MalformedTask, Task
from exporter.ownership import Holdings
from exporter.report.cache import DayOfTasks, TaskCache
from exporter.report.window import Window
from exporter.tasks.source import TaskSource, task_source

_Entry = TypeVar("_Entry", Task, MalformedTask)


@dataclass(frozen=True)
class Held:
    """Who held what in a window."""

    tasks: tuple[Task, ...]
    """All that overlap the window, each once."""
    malformed: tuple[MalformedTask, ...]
    source: Literal["api"]
    """Who says so, by the name in the report's `sources`."""

    @cached_property
    def holdings(self) -> Holdings:
        """The same, to be looked up by GPU."""
        return Holdings(Answer(self.tasks, self.malformed, as_of=0.0))


class Holders(Protocol):
    """Knows who held which GPU."""

    async def held(self, window: Window) -> Held:
        """Returns who held what in a window.

        Raises:
            TasksError: There is no answer.
        """


def holders(config: Config, now: float, *, use_cache: bool) -> Holders | None:
    """Returns who is to be asked by these settings; None if nobody is.

    Args:
        config: The settings.
        now: Unix seconds.
        use_cache: Whether kept answers count; new ones are kept either way.

    Raises:
        ConfigError: The source's settings are not usable.
    """
    settings, directory = config.tasks, config.report.cache
    source = task_source(settings)
    if source is None:
        return None
    cache = TaskCache(directory, settings.url or "", settings.timezone) if directory else None
    return DailyHolders(source, cache, now, use_cache=use_cache)


class DailyHolders:
    """Asks a task source for each day by itself.

    Args:
        source: Is asked for days that are not kept.
        cache: Keeps days that are over; None: nothing is kept.
        now: Unix seconds.
        use_cache: Whether days that are kept are taken from there.
    """

    def __init__(self, source: TaskSource, cache: TaskCache | None, now: float, *, use_cache: bool) -> None:
        self._source = source
        self._cache = cache
        self._now = now
        self._use_cache = use_cache

    async def held(self, window: Window) -> Held:
        """Returns who held what; of a task that several days show, the last day's word counts.

        What an earlier day was kept with may be outdated: an entry that a later day does not show had ended before.

        Raises:
            TasksError: As the source raises it.
        """
        tasks: dict[str, Task] = {}
        malformed: dict[str, MalformedTask] = {}
        for day in window.days():
            tasks_of_day, malformed_of_day = await self._day(day)
            tasks = _ended(tasks, day.start) | {task.task_id: task for task in tasks_of_day}
            malformed = _ended(malformed, day.start) | {entry.task_id: entry for entry in malformed_of_day}
        overlapping = (task for task in tasks.values() if task.start < window.end and task.end > window.start)
        return Held(tuple(overlapping), tuple(malformed.values()), "api")

    async def _day(self, day: Window) -> DayOfTasks:
        """Returns a day as it was kept, or else as the source says, which is kept if the day is over."""
        kept = self._cache.get(day) if self._cache and self._use_cache else None
        if kept is not None:
            return kept
        answer = await self._source.tasks(day.start, day.end)
        told = answer.tasks, answer.malformed
        if self._cache:
            self._cache.keep(day, told, self._now)
        return told


def _ended(entries: Mapping[str, _Entry], by: float) -> dict[str, _Entry]:
    return {task_id: replace(entry, end=min(entry.end, by)) for task_id, entry in entries.items()}
