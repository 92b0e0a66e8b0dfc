"""`exporter tasks`: asks once who has which GPU, and prints it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import click

from exporter.config import Config
from exporter.errors import ConfigError, ExporterError, HistoryError, TasksError, UsageError
from exporter.model import Task
from exporter.speech import speech
from exporter.tasks.listing import Held, as_json, as_table, held
from exporter.tasks.source import TaskSource, task_source

Past = Callable[[], Awaitable[tuple[Sequence[Task], float]]]
"""Tells who held what on a day that was asked about, and of how many GPU-seconds it cannot; raises HistoryError."""


def run(
    settings: Config,
    start: float,
    end: float,
    *,
    users: Collection[str],
    nodes: Collection[str],
    json: bool,
    past: Past | None = None,
) -> frozenset[str]:
    """Prints the tasks that hold GPUs in a window.

    Args:
        settings: The settings.
        start: Unix seconds.
        end: Unix seconds.
        users: Only these users'; empty: everybody's.
        nodes: Only these hosts'; empty: all.
        json: A JSON list instead of a table.
        past: Asked about a day where no source tells of it.

    Returns:
        The unique ids of all GPUs held in the window, as far as they were asked for.

    Raises:
        ConfigError: There is nobody to ask.
        TasksError: There was no answer.
        UsageError: A user or a node that no task names.
    """
    zone = ZoneInfo(settings.report.timezone)
    source = task_source(settings.tasks)

    def chosen(tasks: Sequence[Task]) -> list[Held]:
        return held(tasks, start, end, zone, users=frozenset(users), nodes=frozenset(nodes))

    tasks, remarks = asyncio.run(_asked(source, _Question(start, end, frozenset(users), chosen), past))
    rows = chosen(tasks)
    click.echo(as_json(rows) if json else as_table(rows, speech(settings.report.language)))
    for remark in remarks:
        click.echo(f"exporter: {remark}", err=True)
    return frozenset(gpu.uuid for task in tasks if task.start < end and task.end > start for gpu in task.gpus)


@dataclass(frozen=True, slots=True)
class _Question:
    start: float
    """Unix seconds, as the end."""
    end: float
    users: frozenset[str]
    rows: Callable[[Sequence[Task]], list[Held]]
    """Makes them of everybody's tasks, or of those of the one user."""


_Answer = tuple[Sequence[Task], list[str]]
"""Tasks, and what else there is to say."""


async def _asked(source: TaskSource | None, question: _Question, past: Past | None) -> _Answer:
    error: ExporterError = ConfigError("tasks.url is not set: there is nobody to ask who has which GPU")
    if source is not None and past is not None and not source.has_past:
        error = TasksError(f"{source.name} does not tell of days that are over")
    elif source is not None:
        try:
            return await _told(source, question)
        except TasksError as refusal:
            error = refusal
    if past is None:
        raise error
    try:
        tasks, untold_seconds = await past()
    except HistoryError as missing:
        raise type(error)(f"{error}\n{missing}") from missing
    remarks = [f"{error}; these are the tasks in the scrape history"]
    if untold_seconds:
        remarks.append(f"the scrape history does not tell who held GPUs for {untold_seconds / 3600:.2f} GPU-hours")
    return tasks, remarks


async def _told(source: TaskSource, question: _Question) -> _Answer:
    start, end = question.start, question.end
    if len(question.users) == 1:
        answer = await source.tasks(start, end, next(iter(question.users)))
        with suppress(UsageError):  # whether a name is unknown, and which there are, only everybody's tasks tell
            question.rows(answer.tasks)
            return answer.tasks, _unread(len(answer.malformed))
    answer = await source.tasks(start, end)
    return answer.tasks, _unread(len(answer.malformed))


def _unread(entries: int) -> list[str]:
    return [f"{entries} entries could not be read"] if entries else []
