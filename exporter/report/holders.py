"""Who held which GPU in a window: the report's seam to whatever knows.

Today that is the task source, asked for each day by itself, as the answers for days that are over are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Protocol

from exporter.aliases import Names
from exporter.config import Config
from exporter.model import Answer, MalformedTask, Task, TaskGpu
from exporter.ownership import Holdings
from exporter.report.cache import DayOfTasks, TaskCache
from exporter.report.window import Window
from exporter.tasks.source import TaskSource, task_source

_Tasks = Mapping[tuple[str, float, str], Task]
"""By their keys."""


@dataclass(frozen=True)
class Held:
    """Who held what in a window."""

    tasks: tuple[Task, ...]
    """All that overlap the window, each once."""
    malformed: tuple[MalformedTask, ...]
    """Each as long as the answers that hold it speak for: an entry that several days show is here several times. From
    the scrape history: where it does not tell."""
    source: Literal["api", "history"]
    """Who says so, by the name in the report's `sources`."""

    @property
    def malformed_count(self) -> int:
        """How many entries cannot be accounted in full."""
        return len({entry.task_id for entry in self.malformed})

    @property
    def untold_gpu_seconds(self) -> float:
        """For how long it is not known who held GPUs."""
        return sum(entry.end - entry.start for entry in self.malformed) if self.source == "history" else 0.0

    @cached_property
    def holdings(self) -> Holdings:
        """The same, to be looked up by GPU."""
        return Holdings(Answer(self.tasks, self.malformed, as_of=0.0))

    def called(self, names: Names) -> Held:
        """Returns the same in the report's names of GPUs and hosts."""
        malformed = tuple(
            replace(entry, gpu_uuids=tuple(map(names.gpus.key, entry.gpu_uuids))) for entry in self.malformed
        )
        called = replace(self, tasks=tuple(_called(task, names) for task in self.tasks), malformed=malformed)
        return self if called == self else called  # usually it is, and a day may have 100,000 tasks


class Holders(Protocol):
    """Knows who held which GPU."""

    async def held(self, window: Window) -> Held:
        """Returns who held what in a window.

        Raises:
            TasksError: There is no answer; HistoryError, if it is the scrape history that is asked.
        """

    async def between(self, start: float, end: float) -> Held:
        """Returns who held what from one instant, in Unix seconds, to another.

        Raises:
            TasksError: There is no answer.
        """


def holders(config: Config, now: float, *, use_cache: bool) -> Holders | None:
    """Returns who is to be asked by these settings; None if nobody is, or one who does not know of days that are over.

    Args:
        config: The settings.
        now: Unix seconds.
        use_cache: Whether kept answers count; new ones are kept either way.

    Raises:
        ConfigError: The source's settings are not usable.
    """
    settings, directory = config.tasks, config.report.cache
    source = task_source(settings)
    if source is None or not source.has_past:
        return None
    # What a file says of a day that is over may still be mended.
    cache = TaskCache(directory, settings.url, settings.timezone) if directory and settings.url else None
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
        """Returns who held what; of a task that goes on from one day to the next, the last day's word counts.

        What an earlier day was kept with may be outdated: a task that a later day does not show had ended before. An
        id that is used again is another task.

        Raises:
            TasksError: As the source raises it.
        """
        tasks: _Tasks = {}
        malformed: list[MalformedTask] = []
        for day in window.days():
            tasks_of_day, malformed_of_day = await self._day(day)
            tasks = _continued(tasks, tasks_of_day, day.start)
            malformed += _bounded(malformed_of_day, day.start, day.end)
        return _overlapping(tasks.values(), malformed, window.start, window.end)

    async def between(self, start: float, end: float) -> Held:
        """Returns who held what from one instant to another, be it kept or not.

        Raises:
            TasksError: As the source raises it.
        """
        answer = await self._source.tasks(start, end)
        return _overlapping(answer.tasks, _bounded(answer.malformed, start, end), start, end)

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


def _overlapping(tasks: Iterable[Task], malformed: Iterable[MalformedTask], start: float, end: float) -> Held:
    return Held(tuple(task for task in tasks if task.start < end and task.end > start), tuple(malformed), "api")


def _continued(before: _Tasks, told: Iterable[Task], midnight: float) -> _Tasks:
    """Returns the tasks of the days before and of the day that begins then, each run of a task once."""
    of_day = {task.key: task for task in told}
    going_on = {task.task_id for task in of_day.values() if task.start < midnight}
    ended = {
        key: replace(task, end=min(task.end, midnight))
        for key, task in before.items()
        if task.end <= midnight or task.task_id not in going_on
    }
    return ended | of_day


def _bounded(entries: Iterable[MalformedTask], start: float, end: float) -> list[MalformedTask]:
    """Returns entries as far as the answer that holds them speaks for."""
    return [replace(entry, start=max(entry.start, start), end=min(entry.end, end)) for entry in entries]


def _called(task: Task, names: Names) -> Task:
    hostname, uuids = names.hosts.name(task.hostname), [names.gpus.key(gpu.uuid) for gpu in task.gpus]
    if hostname == task.hostname and list(dict.fromkeys(uuids)) == [gpu.uuid for gpu in task.gpus]:
        return task
    gpus: dict[str, TaskGpu] = {}
    for gpu, uuid in zip(task.gpus, uuids, strict=True):
        gpus.setdefault(uuid, replace(gpu, uuid=uuid))
    return replace(task, gpus=tuple(gpus.values()), hostname=hostname)
