"""The task source's answers for days that are over, kept so that a month's report does not ask again."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError

from exporter.model import MalformedTask, Task
from exporter.report.window import Window

_log = logging.getLogger(__name__)

SETTLED_SECONDS = 86400.0
"""How long after its end a day's answer may still change: tasks are entered late, and ends corrected."""

DayOfTasks = tuple[tuple[Task, ...], tuple[MalformedTask, ...]]
"""What is kept of an answer: its age means nothing later."""
_KEPT: TypeAdapter[DayOfTasks] = TypeAdapter(DayOfTasks, config=ConfigDict(ser_json_inf_nan="constants"))


class TaskCache:
    """One file a day and server; a file that cannot be read is fetched anew.

    Args:
        directory: Made if need be, mode 0700: usernames are personal data.
        url: The server the answers come from.
        timezone: That it is asked in (`tasks.timezone`): in another one the same answer means other instants.
    """

    def __init__(self, directory: Path, url: str, timezone: str) -> None:
        self._directory = directory
        self._server = hashlib.sha256(f"{url} {timezone}".encode()).hexdigest()[:12]

    def get(self, day: Window) -> DayOfTasks | None:
        """Returns the tasks of a day, if they were kept."""
        file = self._file(day)
        try:
            return _KEPT.validate_json(file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            _log.warning("%s: not usable, asking the API instead: %s", file, type(error).__name__)
            return None

    def keep(self, day: Window, tasks: DayOfTasks, now: float) -> None:
        """Keeps the tasks of a day that ended a day or more ago; of others, nothing."""
        if not day.is_over or now - day.end < SETTLED_SECONDS:
            return
        file = self._file(day)
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._directory, prefix=".tasks-")
            try:
                with os.fdopen(handle, "wb") as out:
                    out.write(_KEPT.dump_json(tasks))
                Path(name).replace(file)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            _log.warning("%s: the tasks of %s cannot be kept: %s", self._directory, day.first, error.strerror)

    def _file(self, day: Window) -> Path:
        zone = day.zone.key.replace("/", "-")
        return self._directory / f"tasks-{self._server}-{zone}-{day.first}.json"
