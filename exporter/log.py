"""Logging to stderr, as text or as one JSON object a line."""

from __future__ import annotations

import atexit
import io
import json
import logging
import queue
import sys
import threading
from datetime import UTC, datetime
from typing import TextIO

from exporter.config import Log

_MOST_LINES = 1000
"""Kept for a reader of stderr that has stopped reading; what comes then is dropped, and counted."""
_FAREWELL_SECONDS = 1.0


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


class _Background(io.TextIOBase):
    """A stream whose writes return at once: a thread hands them on, in order.

    Args:
        stream: what they are handed to, which may block for ever, as a full pipe does.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: queue.Queue[str] = queue.Queue(_MOST_LINES)
        self._dropped = 0
        threading.Thread(target=self._run, name="log", daemon=True).start()
        atexit.register(self.drain)

    def write(self, text: str) -> int:
        """Puts the text in line, or drops it where the line is full."""
        try:
            self._lines.put_nowait(text)
        except queue.Full:
            self._dropped += 1
        return len(text)

    def drain(self) -> None:
        """Waits until all is written, but not for a reader that does not read."""
        waiter = threading.Thread(target=self._lines.join, daemon=True)
        waiter.start()
        waiter.join(_FAREWELL_SECONDS)

    def _run(self) -> None:
        while True:
            text = self._lines.get()
            dropped, self._dropped = self._dropped, 0
            note = f"{dropped} lines of the log were lost, as nobody read it\n" if dropped else ""
            try:
                self._stream.write(text + note)
                self._stream.flush()
            except (OSError, ValueError):  # closed: there is nobody to tell
                pass
            finally:
                self._lines.task_done()


_background: _Background | None = None


def in_background() -> None:
    """Lets a thread write the log from now on, so that a log nobody reads never holds up who logs."""
    global _background  # noqa: PLW0603  one process has one stderr
    if _background is None:
        _background = _Background(sys.stderr)
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            handler.setStream(_background)


def configure(settings: Log) -> None:
    """Sets level and format of everything logged; safe to call again with other settings."""
    handler = logging.StreamHandler(_background)
    handler.setFormatter(
        _JsonFormatter()
        if settings.format == "json"
        else logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
