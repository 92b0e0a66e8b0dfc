"""The seam between who says which task holds which GPU, and those who ask: a node, a report, a command.

To add a source: write a module or package beside `consumption` whose class is a TaskSource, let `config.Tasks` choose
it, and construct it in `task_source`, which imports it only then. Nothing else knows which source there is.
"""

from __future__ import annotations

from typing import Protocol

from exporter import config
from exporter.errors import TasksError
from exporter.model import Answer, Scope


class TaskSource(Protocol):
    """Who says which task holds which GPU. It holds nothing open between questions: there is nothing to close."""

    name: str
    """What it is and where, in words for the operator."""
    has_past: bool
    """Whether it can be asked about days that are over; if not, reports take tasks from the scrape history."""

    async def tasks(self, start: float, end: float, username: str | None = None, scope: Scope | None = None) -> Answer:
        """Returns every task that overlaps a window, with its whole interval; of one user, if named.

        The answer may hold a little more than was asked for, and tells as of which instant, and of which GPUs, it
        speaks. Its names are `labels.bounded`. An entry that cannot be used spoils nothing: it is listed as malformed.

        Args:
            start: Unix seconds.
            end: Unix seconds; the window is [start, end).
            username: Only this user's tasks; None: everybody's.
            scope: Only what concerns this node need be kept; None: everything.

        Raises:
            TasksNetworkError: The source cannot be reached, or does not answer within `tasks.timeout`.
            TasksAuthError: It does not let us in.
            TasksServerError: It says that it failed.
            TasksPayloadError: What it says is not what it promises.
        """


class TaskSink(Protocol):
    """What a refresh asks and tells; no call holds up the event loop."""

    def wanted_since(self) -> float:
        """Returns the oldest instant that is asked about: who held what then? Unix seconds by the source's clock."""

    def scope(self) -> Scope:
        """Returns what the answer is wanted for."""

    async def answered(self, answer: Answer, seconds: float) -> None:
        """Takes a good answer, and how long it took; returns once it is booked."""

    def refused(self, error: TasksError, seconds: float) -> None:
        """Takes why a refresh failed, and after how long."""


def task_source(settings: config.Tasks) -> TaskSource | None:
    """Returns the source that the config names; None if there is nobody to ask.

    Raises:
        ConfigError: A file that the settings name cannot be used.
    """
    if settings.source == "slurm":
        from exporter.tasks.slurm.source import SlurmSource

        return SlurmSource(settings)
    if settings.file is not None:
        from exporter.tasks.bookings.source import BookingSource

        return BookingSource(settings.file, settings.timezone)
    if settings.url is None:
        return None
    from exporter.tasks.consumption.client import ConsumptionClient

    return ConsumptionClient(settings.url, settings)


def knows_past(settings: config.Tasks) -> bool:
    """Returns whether the source that the config names, if any, can be asked about days that are over.

    Raises:
        ConfigError: As `task_source` does.
    """
    source = task_source(settings)
    return source is not None and source.has_past
