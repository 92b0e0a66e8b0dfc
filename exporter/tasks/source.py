"""The seam between the consumption API and the node that books owners."""

from __future__ import annotations

from typing import Protocol

from exporter.errors import TasksError
from exporter.model import Answer


class TaskSink(Protocol):
    """What a refresh asks and tells; every call returns at once."""

    def unbooked_since(self) -> float:
        """Unix seconds of the oldest instant whose owner is still wanted."""

    def answered(self, answer: Answer, seconds: float) -> None:
        """A good answer, and how long it took."""

    def refused(self, error: TasksError, seconds: float) -> None:
        """A refresh that failed, and after how long."""
