"""A TaskSource that reads who booked which GPU from a file."""

from __future__ import annotations

import time
from pathlib import Path
from zoneinfo import ZoneInfo

from exporter.errors import TasksAuthError, TasksError, TasksNetworkError, TasksPayloadError
from exporter.model import Answer, Scope
from exporter.tasks.bookings.parse import Bookings, parse
from exporter.tasks.threads import in_daemon_thread

_MAX_BYTES = 4 * 2**20


class BookingSource:
    """Reads a file again whenever it has changed: its whole past is what it says now.

    Args:
        path: The file.
        timezone: Of times without an offset.
    """

    has_past = True

    def __init__(self, path: Path, timezone: str) -> None:
        self._path = path
        self._zone = ZoneInfo(timezone)
        self.name = f"bookings in {path}"
        self._read: tuple[bytes, Bookings] | None = None
        """The file as it was, and what it said."""

    async def tasks(self, start: float, end: float, username: str | None = None, scope: Scope | None = None) -> Answer:
        """Returns every booking that overlaps a window, as TaskSource says.

        Raises:
            TasksNetworkError: There is no such file, or it cannot be read.
            TasksAuthError: This user may not read it.
            TasksPayloadError: It is not made of bookings.
        """
        as_of = time.monotonic()
        try:
            said = await in_daemon_thread(self._bookings)
        except PermissionError as error:
            raise self._failure(TasksAuthError, "may not be read by the user of this service") from error
        except OSError as error:
            raise self._failure(TasksNetworkError, f"cannot be read: {error.strerror}") from error
        except TasksPayloadError as error:
            raise self._failure(TasksPayloadError, str(error)) from error
        concerned = [
            task
            for task in said.tasks
            if task.start < end
            and task.end > start
            and username in (None, task.username)
            and (scope is None or scope.concerns(task.hostname, [gpu.uuid for gpu in task.gpus]))
        ]
        malformed = tuple(entry for entry in said.malformed if entry.start < end and entry.end > start)
        return Answer(
            tuple(concerned),
            malformed,
            as_of=as_of,
            since=start,
            until=end,
            about=scope.gpu_uuids if scope else None,
        )

    def _bookings(self) -> Bookings:
        with self._path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if self._read is None or self._read[0] != data:
            if len(data) > _MAX_BYTES:
                raise TasksPayloadError(f"larger than {_MAX_BYTES // 2**20} MiB: is this the file of bookings?")
            try:
                text = data.decode()
            except UnicodeDecodeError as error:
                raise TasksPayloadError(f"expected UTF-8 text, found byte {data[error.start]:#04x}") from None
            self._read = data, parse(text, self._zone)
        return self._read[1]

    def _failure(self, kind: type[TasksError], what: str) -> TasksError:
        return kind(f"{self.name}: {what}")
