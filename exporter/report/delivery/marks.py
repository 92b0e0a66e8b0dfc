"""Who was sent a report already: `.deliveries.json` in its folder, written whole or not at all.

A target is marked before it is sent to, and again afterwards. If the process ends in between, nobody knows whether the
message arrived: it is not sent again, as two of it annoy for ever, and one that is missing is in the folder. Targets
are told apart by a salted digest that takes long to compute, as their URLs hold passwords.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from exporter.config import Delivery
from exporter.errors import DeliveryError, ReportError
from exporter.report.delivery.due import Kind, wants
from exporter.report.write import write

FILE: Final = ".deliveries.json"
_LOCK: Final = ".delivering"
_SALT_BYTES: Final = 16
_COST: Final = 2**14
"""Of scrypt: 16 MiB and some 50 ms a target."""


class Mark(StrEnum):
    """How far a delivery is."""

    OPEN = "open"
    """Not sent, or refused: to be tried."""
    TRYING = "trying"
    SETTLED = "settled"
    """Sent, or never to be tried again."""


class _Content(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    salt: str
    targets: dict[str, Mark]


@dataclass(slots=True)
class Marks:
    """The marks of one report."""

    directory: Path
    name: str
    """Of the report's folder."""
    salt: bytes = field(default_factory=lambda: os.urandom(_SALT_BYTES))
    targets: dict[str, Mark] = field(default_factory=dict)

    def key(self, target: Delivery) -> str:
        """Returns what a target is known by: where it goes to, when, and in which format and language.

        A file is known by its path, so that a new password in it makes no new target.
        """
        place = target.to.get_secret_value() if target.to else str(target.to_file)
        known = "\n".join([place, target.format, target.language or "", target.when])
        return hashlib.scrypt(known.encode(), salt=self.salt, n=_COST, r=8, p=1, dklen=16).hex()

    def set(self, key: str, mark: Mark) -> None:
        """Marks a target, on the disk.

        Raises:
            DeliveryError: The mark cannot be written.
        """
        targets = {**self.targets, key: mark}
        content = _Content(salt=self.salt.hex(), targets=targets).model_dump_json(indent=2) + "\n"
        try:
            write(self.directory, {f"{self.name}/{FILE}": content.encode()})
        except ReportError as error:
            raise DeliveryError(f"the mark of it cannot be kept: {error}") from error
        self.targets = targets


def read(directory: Path, name: str) -> Marks | None:
    """Returns the marks of a report; None if it was never delivered.

    Raises:
        DeliveryError: They cannot be read, or are not as they were written.
    """
    file = directory / name / FILE
    try:
        content = _Content.model_validate_json(file.read_bytes())
        return Marks(directory, name, bytes.fromhex(content.salt), dict(content.targets))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError, ValueError) as error:
        raise DeliveryError(
            f"{file}: not as it was written: who got the report is not known, so nobody does; remove it to send to all"
        ) from error


def has_open(directory: Path, name: str, targets: Sequence[Delivery], kind: Kind) -> bool | None:
    """Returns whether a report is still to be delivered to one of these; None if it never was to any."""
    marks = read(directory, name)
    if marks is None:
        return None
    return any(marks.targets.get(marks.key(target)) is Mark.OPEN for target in targets if wants(target, kind))


@contextmanager
def delivering(directory: Path) -> Iterator[None]:
    """Lets one process at a time deliver the reports of a folder.

    Raises:
        DeliveryError: Another one does, or the folder cannot be written to.
    """
    try:
        lock = (directory / _LOCK).open("a")
    except OSError as error:
        raise DeliveryError(f"{directory}: the reports cannot be delivered: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DeliveryError(f"{directory}: another run is delivering its reports") from None
        yield
