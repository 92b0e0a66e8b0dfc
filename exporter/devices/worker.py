"""The worker process: the one that talks to amdsmi, and may be killed for it.

Started by its parent as `python -m exporter.devices.worker DESCRIPTOR`, where the descriptor is its end of a
socket. One thread; it sleeps until it is asked, and ends when its parent does. Its memory counts on every node, so
it imports no more than it must.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys
import time
from collections.abc import Callable
from typing import BinaryIO

from exporter.devices.amdsmi import Library
from exporter.devices.protocol import Failure, Verb, encode
from exporter.errors import DeviceError

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15


def main() -> None:
    """Begins, then answers until the parent hangs up."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NAME, b"exporter-amdsmi", 0, 0, 0)
    # A call that hangs in the library keeps this process from noticing the end of its parent.
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Ctrl-C and systemd signal every process of the service; the parent decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    descriptor = int(sys.argv[1])
    with (
        open(descriptor, "rb", closefd=False) as requests,
        open(descriptor, "wb", buffering=0) as answers,
        contextlib.suppress(ConnectionError),
    ):
        serve(requests, answers)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Loads the library, and answers each request with one line."""
    began = time.monotonic()
    try:
        library = Library()
    except DeviceError as error:
        answers.write(_answer(began, failure=Failure.of(error)))
        return
    answers.write(_answer(began, value=library.addresses))
    ways: dict[bytes, Callable[[int], object]] = {
        Verb.IDENTIFY.encode(): library.identify,
        Verb.READ.encode(): library.read,
        Verb.INSPECT.encode(): library.inspect,
    }
    for line in requests:
        verb, position = line.split()
        began = time.monotonic()
        try:
            answers.write(_answer(began, value=ways[verb](int(position))))
        except DeviceError as error:
            answers.write(_answer(began, failure=Failure.of(error)))


def _answer(began: float, value: object = None, failure: Failure | None = None) -> bytes:
    return encode([time.monotonic() - began, value, failure])


if __name__ == "__main__":
    main()
