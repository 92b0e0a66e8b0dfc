"""`exporter tasks`: asks once who has which GPU, and prints it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from zoneinfo import ZoneInfo

import click

from exporter.config import Config
from exporter.errors import ConfigError, UsageError
from exporter.speech import speech
from exporter.tasks.listing import Held, as_json, as_table, held
from exporter.tasks.source import TaskSource, task_source


def run(
    settings: Config, start: float, end: float, *, users: Collection[str], nodes: Collection[str], json: bool
) -> None:
    """Prints the tasks that hold GPUs in a window.

    Args:
        settings: The settings.
        start: Unix seconds.
        end: Unix seconds.
        users: Only these users'; empty: everybody's.
        nodes: Only these hosts'; empty: all.
        json: A JSON list instead of a table.

    Raises:
        ConfigError: There is nobody to ask.
        TasksError: There was no answer.
        UsageError: A user or a node that no task names.
    """
    source = task_source(settings.tasks)
    if source is None:
        raise ConfigError("tasks.url is not set: there is nobody to ask who has which GPU")
    zone = ZoneInfo(settings.report.timezone)
    rows, malformed = asyncio.run(_asked(source, start, end, zone, users=frozenset(users), nodes=frozenset(nodes)))
    click.echo(as_json(rows) if json else as_table(rows, speech(settings.report.language)))
    if malformed:
        click.echo(f"exporter: {malformed} entries could not be read", err=True)


async def _asked(
    source: TaskSource, start: float, end: float, zone: ZoneInfo, *, users: frozenset[str], nodes: frozenset[str]
) -> tuple[list[Held], int]:
    """Returns the rows, and how many entries could not be read."""
    if len(users) == 1:
        answer = await source.tasks(start, end, next(iter(users)))
        with suppress(UsageError):  # whether a name is unknown, and which there are, only everybody's tasks tell
            return held(answer.tasks, start, end, zone, users=users, nodes=nodes), len(answer.malformed)
    answer = await source.tasks(start, end)
    return held(answer.tasks, start, end, zone, users=users, nodes=nodes), len(answer.malformed)
