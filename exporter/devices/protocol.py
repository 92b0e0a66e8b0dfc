"""What a worker process and its parent say to each other: lines, over a private socket.

The worker first says that it began, with the bus addresses of all GPUs in the library's order, or why it could
not. Then the parent asks, `verb position`, one question at a time, and each gets one answer, the JSON document
`[seconds, value, failure]`; so the parent always knows which GPU a worker hangs or dies on.
Both ends run the same code, so there are no versions. The worker stays small: no import outside the standard
library.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from exporter.errors import DeviceError

_ERRORS = {error.kind: error for error in DeviceError.__subclasses__()}


class Verb(StrEnum):
    """What a worker can be asked, of one GPU."""

    BEGIN = "begin"
    """Never asked: the first answer. Value: the bus address of each GPU."""
    IDENTIFY = "identify"
    """Value: a `Gpu`."""
    READ = "read"
    """Value: a `Reading`."""
    INSPECT = "inspect"
    """Value: a `Health`."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A `DeviceError` on its way through the socket."""

    kind: str
    message: str

    @classmethod
    def of(cls, error: DeviceError) -> Failure:
        """The failure that `error` becomes again at the other end."""
        return cls(error.kind, str(error))

    def error(self) -> DeviceError:
        """The error this was."""
        return _ERRORS[self.kind](self.message)


def encode(message: object) -> bytes:
    """A message as one line; dataclasses become objects, sets sorted lists."""
    return json.dumps(message, default=_plain, separators=(",", ":")).encode() + b"\n"


def _plain(value: Any) -> object:
    if isinstance(value, frozenset):
        return sorted(value)
    return {name: getattr(value, name) for name in value.__slots__}
