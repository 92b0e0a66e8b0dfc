"""`exporter tasks`: asks once who has which GPU, and prints it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from zoneinfo import ZoneInfo

import click

from exporter.config import Config
from exporter.errors import ConfigError, UsageError
from exporter.model import Answer
from exporter.speech import speech
from exporter.tasks.listing import Held, as_json, as_table, held
from exporter.tasks.source import TaskSource, task_source


def run(
    settings: Config, start: float, end: float, *, users: Collection[str], nodes: Collection[str], json: bool
) -> frozenset[str]:
    """Prints the tasks that hold GPUs in a window.

    Args:
        settings: The settings.
        start: Unix seconds.
        end: Unix seconds.
        users: Only these users'; empty: everybody's.
        nodes: Only these hosts'; empty: all.
        json: A JSON list instead of a table.

    Returns:
        The unique ids of all GPUs held in the window, as far as they were asked for.

    Raises:
        ConfigError: There is nobody to ask.
        TasksError: There was no answer.
        UsageError: A user or a node that no task names.
    """
    source = task_source(settings.tasks)
    if source is None:
        raise ConfigError("tasks.url is not set: there is nobody to ask who has which GPU")
    zone = ZoneInfo(settings.report.timezone)
    rows, answer = asyncio.run(_asked(source, start, end, zone, users=frozenset(users), nodes=frozenset(nodes)))
    click.echo(as_json(rows) if json else as_table(rows, speech(settings.report.language)))
    if answer.malformed:
        click.echo(f"exporter: {len(answer.malformed)} entries could not be read", err=True)
    return frozenset(gpu.uuid for task in answer.tasks if task.start < end and task.end > start for gpu in task.gpus)


async def _asked(
    source: TaskSource, start: float, end: float, zone: ZoneInfo, *, users: frozenset[str], nodes: frozenset[str]
) -> tuple[list[Held], Answer]:
    """Returns the rows, and the answer that they are of."""
    if len(users) == 1:
        answer = await source.tasks(start, end, next(iter(users)))
        with suppress(UsageError):  # whether a name is unknown, and which there are, only everybody's tasks tell
            return held(answer.tasks, start, end, zone, users=users, nodes=nodes), answer
    answer = await source.tasks(start, end)
    return held(answer.tasks, start, end, zone, users=users, nodes=nodes), answer
