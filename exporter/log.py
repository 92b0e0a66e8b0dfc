"""Logging to stderr, as text or as one JSON object a line."""

from __future__ import annotations

import io
import json
import logging
import os
import queue
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from exporter.config import Log

_MOST_WAITING: Final = 1000
"""Lines, before whoever reads the log is too slow and the newest are dropped."""
_LAST_WORDS_SECONDS: Final = 1.0
"""For the lines that wait when the process ends."""


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


class UnhurriedHandler(logging.Handler):
    """Writes to a file descriptor from a thread of its own, so that who logs never waits for who reads.

    A line that finds no room is dropped and counted; the count is logged once there is room again.

    Args:
        descriptor: Where to write; it is not Python's stream of it, whose lock a thread that hangs would hold when
            the interpreter ends.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: queue.Queue[str | threading.Event] = queue.Queue(_MOST_WAITING)
        self._dropped = 0
        threading.Thread(target=self._write_all, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Leaves a record to the thread."""
        try:
            if self._dropped:
                lost = logging.makeLogRecord(
                    {
                        "name": __name__,
                        "levelno": logging.WARNING,
                        "levelname": "WARNING",
                        "msg": f"{self._dropped} lines of this log were dropped: whoever reads it was too slow",
                    }
                )
                self._lines.put_nowait(self.format(lost))
                self._dropped = 0
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._dropped += 1
        except Exception as error:  # noqa: BLE001  whatever a record holds must not end who logs it
            with suppress(queue.Full):
                self._lines.put_nowait(f"a line of the log cannot be written: {type(error).__name__}")

    def flush(self) -> None:
        """Waits a second at most until what was logged before is written."""
        written = threading.Event()
        with suppress(queue.Full):
            self._lines.put_nowait(written)
            written.wait(_LAST_WORDS_SECONDS)

    def _write_all(self) -> None:
        while True:
            line = self._lines.get()
            if isinstance(line, threading.Event):
                line.set()
                continue
            rest = f"{line}\n".encode(errors="backslashreplace")
            with suppress(OSError):  # nobody reads any more
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]


def configure(settings: Log, *, waits: bool = True) -> None:
    """Sets level and format of everything logged; safe to call again with other settings.

    Args:
        settings: The section `log`.
        waits: Whether who logs may wait for who reads. A command may; a service must not.
    """
    root = logging.getLogger()
    handler = next((old for old in root.handlers if isinstance(old, UnhurriedHandler)), None) or _handler(waits=waits)
    handler.setFormatter(
        _JsonFormatter()
        if settings.format == "json"
        else logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    if isinstance(handler, UnhurriedHandler):
        logging.captureWarnings(capture=True)  # they too would wait for who reads stderr


def _handler(*, waits: bool) -> logging.Handler:
    if waits:
        return logging.StreamHandler()
    try:
        return UnhurriedHandler(sys.stderr.fileno())
    except (OSError, io.UnsupportedOperation, AttributeError):  # no stderr at all, or one that is not a file's
        return logging.StreamHandler()
