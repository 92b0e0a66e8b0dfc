"""The process that sends one message: `python -m exporter.report.delivery.sender`, a `Job` as JSON on its stdin.

A process of its own can be ended whatever hangs: a mail server that says a byte a minute, a name server, a proxy. It
prints a line of JSON for whatever it learns, so that one that is killed has said whom it reached.
"""

from __future__ import annotations

import base64
import logging
import sys
from typing import Any, Final

from pydantic import BaseModel, Field

_REACHED: Final = "Sent "
"""What Apprise's log says of each recipient that took the message begins with it."""
_REASONS: Final = ("Socket Exception: ", "Response Details:")
"""What it says at the level debug, and is nevertheless why it failed, begins with one of these."""


class File(BaseModel):
    """An attachment."""

    name: str
    mimetype: str
    base64: str


class Job(BaseModel):
    """What to send, and where to."""

    url: str = Field(repr=False)
    title: str
    body: str
    is_html: bool
    files: list[File]
    is_trial: bool = False
    """Nothing is sent: only whether the URL is one."""


class Event(BaseModel):
    """What became known."""

    reached: bool = False
    """One recipient took it; there may be more."""
    failed: bool = False
    reason: str = ""
    """May hold parts of the URL."""
    done: bool = False
    """All took it."""


class _Listener(logging.Handler):
    """Turns what Apprise logs into events: it returns no more than whether all went well."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.WARNING or text.startswith(_REASONS):
            _say(Event(reason=text))
        elif record.levelno == logging.INFO and text.startswith(_REACHED):
            _say(Event(reached=True))


def _say(event: Event) -> None:
    sys.stdout.write(event.model_dump_json() + "\n")
    sys.stdout.flush()


def main() -> None:
    """Sends the job of stdin."""
    job = Job.model_validate_json(sys.stdin.buffer.read())
    try:
        import apprise
        from apprise.attachment.memory import AttachMemory
    except ImportError as error:
        _say(Event(failed=True, reason=f"{error}: pip install 'mi300x-exporter[report]'"))
        return
    listener = logging.getLogger("apprise")
    listener.setLevel(logging.DEBUG)
    listener.propagate = False
    listener.addHandler(_Listener())
    asset = apprise.AppriseAsset(app_id="mi300x-exporter", app_desc="GPU usage reports", storage_mode="memory")
    outbox = apprise.Apprise(asset=asset)
    if not outbox.add(job.url):
        _say(Event(failed=True, reason="expected a URL that Apprise knows, with all that it needs"))
        return
    if job.is_trial:
        _say(Event(done=True))
        return
    in_memory: Any = AttachMemory  # it has no types
    files = [in_memory(base64.b64decode(file.base64), name=file.name, mimetype=file.mimetype) for file in job.files]
    body_format = apprise.NotifyFormat.HTML if job.is_html else apprise.NotifyFormat.TEXT
    is_sent = outbox.notify(
        job.body, job.title, body_format=body_format, attach=apprise.AppriseAttachment(files) if files else None
    )
    _say(Event(done=bool(is_sent), failed=not is_sent))


if __name__ == "__main__":
    main()
