"""What the service and a worker process say to each other.

The service says one thing, as it starts a worker: the `Plan`. The worker then tells what it reads, unasked, as lines
over a private socket, each a `Batch`: what its threads had to say within a moment, so that a sweep is one line. Where
it is in the library just now stands in a page of memory that both share (`Progress`), so that a crash has a suspect.
Both ends run the same code, so there are no versions. The worker's end stays small: no import outside the standard
library.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from exporter.errors import DeviceError
from exporter.model import Gpu, Health, Process, Reading

_ERRORS = {error.kind: error for error in DeviceError.__subclasses__()}

LIBRARY = "library"
"""As a key: the library as a whole."""


def inspection(address: str) -> str:
    """Returns the key of asking the library how a GPU is; a GPU's address itself is that of asking all else."""
    return f"inspect {address}"


def is_inspection(key: str) -> bool:
    """Tells whether a key is about a GPU's health."""
    return " " in key


def address_of(key: str) -> str:
    """Returns the address of the GPU that a key is about; empty for the library as a whole."""
    return "" if key == LIBRARY else key.rpartition(" ")[2]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worker is to do."""

    source: str
    """auto, amdsmi or sysfs."""
    interval: float
    """Seconds between readings."""
    timeout: float
    """Seconds in which a GPU must answer."""
    start: float = 30.0
    """Seconds in which the library must begin."""
    check: float = 60.0
    """Seconds after which what is read cheaply is held against amdsmi's answer again: `economy`."""
    processes: bool = True
    left_out: Mapping[str, str] = field(default_factory=dict)
    """What the library must not be asked, by key, and why."""
    sysfs: str = "/sys"
    proc: str = "/proc"

    def encode(self) -> str:
        """Returns the plan as an argument of a command line."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def decode(cls, text: str) -> Plan:
        """Returns what `encode` encoded."""
        return cls(**json.loads(text))


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
        """The error this was; of a kind that is not known here, which a corrupt worker may send: any."""
        return _ERRORS.get(self.kind, DeviceError)(self.message)


class LibraryState(StrEnum):
    """How far a worker is with the library."""

    UNUSED = "unused"
    """It is not wanted, or left out."""
    STARTING = "starting"
    SERVING = "serving"
    """Every GPU that may be asked was asked once."""
    REFUSED = "refused"
    """It cannot begin."""


@dataclass(frozen=True, slots=True)
class LibraryNews:
    """How a worker's library does."""

    state: LibraryState
    error: Failure | None = None
    """Why it refuses."""
    listed: list[str] = field(default_factory=list)
    """The GPUs that it knows, once it serves."""
    given_up: Mapping[str, Failure] = field(default_factory=dict)
    """What this worker asks no more, by key, and why."""
    late: str | None = None
    """The key of a call that takes too long."""
    overdue: bool = False
    """That call is later than a GPU may ever be."""
    outdated: bool = False
    """There are GPUs that it does not know, or knew before they were away."""


@dataclass(slots=True)
class Batch:
    """What a worker tells at once, each by the address of the GPU."""

    gpus: list[tuple[str, Gpu]] = field(default_factory=list)
    """Who they are; `index` says nothing."""
    readings: list[tuple[str, float, Reading]] = field(default_factory=list)
    """With the seconds it took to read."""
    health: list[tuple[str, Health]] = field(default_factory=list)
    processes: list[tuple[str, tuple[Process, ...]]] = field(default_factory=list)
    failures: list[tuple[str, float, Failure]] = field(default_factory=list)
    """Of GPUs that could not be read, with the instant, in CLOCK_MONOTONIC seconds."""
    library: LibraryNews | None = None
    """If it changed."""
    present: list[str] | None = None
    """The GPUs there are, if that changed; None if not."""
    covered: list[str] | None = None
    """Those of them that have the kernel's files."""
    nothing: Failure | None = None
    """Why there is nothing to read at all; the worker then ends."""


def encode(batch: Batch) -> bytes:
    """Returns a batch as one line, without what is empty; dataclasses become objects, sets sorted lists."""
    told = {name: value for name in batch.__slots__ if (value := getattr(batch, name)) not in ([], None)}
    return json.dumps(told, default=_plain, separators=(",", ":")).encode() + b"\n"


def _plain(value: Any) -> object:
    if isinstance(value, frozenset):
        return sorted(value)
    return {name: getattr(value, name) for name in value.__slots__}


class Progress:
    """The key of the call of the library that is under way, in memory that outlives the worker.

    Args:
        descriptor: of a file of at least `SIZE` bytes.
    """

    SIZE = 64

    def __init__(self, descriptor: int) -> None:
        self._page = mmap.mmap(descriptor, self.SIZE)

    def enter(self, key: str) -> None:
        """Notes that a call begins."""
        self._page[:] = key.encode().ljust(self.SIZE, b"\0")

    def leave(self) -> None:
        """Notes that it ended."""
        self._page[0] = 0

    @property
    def key(self) -> str:
        """Of the call under way; empty without."""
        return "" if self._page[0] == 0 else self._page[:].rstrip(b"\0").decode(errors="replace")

    def close(self) -> None:
        """Lets the memory go."""
        self._page.close()
