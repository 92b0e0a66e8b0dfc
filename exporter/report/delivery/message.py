"""What is sent: a report as one message in the language and format of whoever gets it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

_TYPES: Final = {
    ".html": "text/html",
    ".json": "application/json",
    ".txt": "text/plain",
    ".csv": "text/csv",
    ".md": "text/markdown",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that comes with a message."""

    name: str
    mimetype: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """What one target gets."""

    title: str
    body: str
    is_html: bool
    attachments: tuple[Attachment, ...] = ()


def attachments(name: str, files: Mapping[str, bytes]) -> Sequence[Attachment]:
    """Returns files as they are attached: `report.html` of 2025-07-22 is `2025-07-22-report.html`.

    Args:
        name: Of the report, which tells it from others in a folder of downloads.
        files: Contents by path.
    """
    return [
        Attachment(f"{name}-{PurePosixPath(path).name}", _TYPES[PurePosixPath(path).suffix], content)
        for path, content in files.items()
    ]
