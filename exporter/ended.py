"""The tasks of one GPU that ended of late: told for an hour, so that hardly a scrape can miss when they did. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from exporter.labels import MAX_SERIES
from exporter.model import SHOWN_SECONDS, Hold, Task


@dataclass(slots=True)
class EndedTasks:
    """What the answers said of tasks that ended; instants are Unix seconds by the source's clock."""

    _tasks: dict[tuple[str, float, str], Task] = field(default_factory=dict)
    """By their keys."""

    def learn(self, holds: Iterable[Hold], at: float) -> None:
        """Takes what an answer of some instant says; of a task that was told before, the later word counts."""
        for hold in holds:
            if (task := hold.task) is None:
                continue
            if at - SHOWN_SECONDS < task.end <= at:
                self._tasks[task.key] = task
            else:
                self._tasks.pop(task.key, None)
        if len(self._tasks) > MAX_SERIES:
            self._tasks = {task.key: task for task in self._latest()[:MAX_SERIES]}

    def told(self, now: float, running: Iterable[Task]) -> tuple[Task, ...]:
        """Returns those that ended within the last hour, the latest first, as many as a GPU has series for.

        An id that is used again means the task that runs, or that ended last.

        Args:
            now: Unix seconds.
            running: The tasks that hold the GPU.
        """
        running = tuple(running)
        room = max(0, MAX_SERIES - len(running))
        for key in [key for key, task in self._tasks.items() if task.end <= now - SHOWN_SECONDS]:
            del self._tasks[key]
        taken = {task.task_id for task in running}
        last: dict[str, Task] = {}
        for task in self._latest():
            if task.task_id not in taken:
                last.setdefault(task.task_id, task)
        return tuple(last.values())[:room]

    def _latest(self) -> list[Task]:
        return sorted(self._tasks.values(), key=lambda task: (-task.end, task.key))
