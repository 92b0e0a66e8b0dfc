"""Sends one message by a process of its own, within a time."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from typing import Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr, ValidationError

from exporter.errors import DeliveryError
from exporter.names import visible
from exporter.report.delivery.message import Message
from exporter.report.delivery.sender import Event, File, Job

PATIENCE: Final = 60.0
"""Seconds for one target, whatever hangs."""
_COMMAND: Final = [sys.executable, "-P", "-m", "exporter.report.delivery.sender"]
_SECRETS: Final = {"EXPORTER_TASKS_TOKEN", "CREDENTIALS_DIRECTORY"}
"""Of the environment, none of its business."""
_MOST_REASON: Final = 300
_LEAST_SECRET: Final = 3
"""Characters: what is shorter is in every second word."""


class HalfSentError(DeliveryError):
    """Some of a target's recipients have the message, and some do not: sent again, some would have it twice."""


def send(url: SecretStr, message: Message, patience: float = PATIENCE) -> None:
    """Sends a message.

    Args:
        url: Where to, for Apprise.
        message: What.
        patience: Seconds until it is given up.

    Raises:
        HalfSentError: Some recipients have it.
        DeliveryError: Nobody said that he has it.
    """
    _work(_job(url, message), patience)


def try_url(url: SecretStr, patience: float = PATIENCE) -> None:
    """Sees whether Apprise is there and knows a URL; sends nothing.

    Raises:
        DeliveryError: It does not.
    """
    _work(_job(url, Message("", "", is_html=False)).model_copy(update={"is_trial": True}), patience)


def _job(url: SecretStr, message: Message) -> Job:
    return Job(
        url=url.get_secret_value(),
        title=message.title,
        body=message.body,
        is_html=message.is_html,
        files=[
            File(name=file.name, mimetype=file.mimetype, base64=base64.b64encode(file.content).decode())
            for file in message.attachments
        ],
    )


def _work(job: Job, patience: float) -> None:
    try:
        ended = subprocess.run(  # noqa: S603  our own program
            _COMMAND,
            input=job.model_dump_json().encode(),
            env={name: value for name, value in os.environ.items() if name not in _SECRETS},
            capture_output=True,
            timeout=patience,
            check=False,
        )
        events, reason = _events(ended.stdout), f"the process that sends ended with {ended.returncode}"
    except subprocess.TimeoutExpired as expired:
        events, reason = _events(expired.stdout or b""), f"no end after {patience:g} s"
    except OSError as error:
        raise DeliveryError(f"no process to send with: {error.strerror}") from error
    if any(event.done for event in events):
        return
    told = "; ".join(dict.fromkeys(event.reason for event in events if event.reason))
    if not any(event.failed for event in events):
        told = "; ".join(filter(None, [told, reason]))
    told = without_secrets(told, job.url) or "refused"
    if any(event.reached for event in events):
        raise HalfSentError(f"some recipients have it, and some do not: {told}")
    raise DeliveryError(told)


def without_secrets(text: str, url: str) -> str:
    """Returns a text on one line, without whatever stands in a URL; of that only the scheme is no secret."""
    parts = urlsplit(url)
    rest = [parts.netloc, parts.path, *(pair.partition("=")[2] for pair in parts.query.split("&")), parts.fragment]
    pieces = {piece for raw in rest for part in (raw, unquote(raw)) for piece in [part, *re.split(r"[/:@,;]+", part)]}
    for piece in sorted(pieces, key=len, reverse=True):
        if len(piece) >= _LEAST_SECRET:
            text = text.replace(piece, "…")
    line = visible(" ".join(text.split()))
    return line if len(line) <= _MOST_REASON else f"{line[: _MOST_REASON - 1]}…"


def _events(output: bytes) -> list[Event]:
    events = []
    for line in output.splitlines():
        try:
            events.append(Event.model_validate_json(line))
        except ValidationError:
            continue
    return events
