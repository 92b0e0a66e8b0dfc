"""What the threads of a worker have to say, gathered until it is sent."""

from __future__ import annotations

import threading
from collections.abc import Callable

from exporter.devices.protocol import Batch

_MOST_READINGS = 4096
"""Kept while the service does not listen; older ones give way."""


class Outbox:
    """Gathers from all threads; one takes."""

    def __init__(self) -> None:
        self._batch = Batch()
        self._changed = threading.Condition()
        self._holds = False
        self._is_due = False

    def put(self, say: Callable[[Batch], object], *, waits: bool = False) -> None:
        """Adds to what is sent next.

        Args:
            say: is given the batch to add to.
            waits: more will come, and then `flush`: so a sweep is one line.
        """
        with self._changed:
            say(self._batch)
            del self._batch.readings[:-_MOST_READINGS]
            self._holds = True
            if not waits:
                self._send()

    def flush(self) -> None:
        """Has what waits sent now."""
        with self._changed:
            if self._holds:
                self._send()

    def wait(self, seconds: float) -> bool:
        """Waits until there is something to send now, or time is up; tells which."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_due, seconds)

    def take(self) -> Batch:
        """Returns all there is, which may be nothing."""
        with self._changed:
            batch, self._batch, self._holds, self._is_due = self._batch, Batch(), False, False
        return batch

    def _send(self) -> None:
        self._is_due = True
        self._changed.notify()
