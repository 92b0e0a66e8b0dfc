"""Begins a worker process: `python -m exporter.devices.worker SOCKET PROGRESS PLAN`.

SOCKET and PROGRESS are descriptors that the service hands down, PLAN is a `protocol.Plan`. Its memory counts on every
node, so it imports no more than it must.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import threading
from pathlib import Path

from exporter.devices.protocol import Plan, Progress
from exporter.devices.worker.crew import Crew

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_STACK_BYTES = 512 * 1024
"""Of each thread: they are many, and do little."""
_MOST_BYTES = 768 * 2**20
"""Of address space, several times what it needs; docs/operations.md (What it may use) has what was measured."""


def main() -> None:
    """Works until the service hangs up, or there is nothing to read."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NAME, b"exporter-worker", 0, 0, 0)
    # A call that hangs in the library keeps this process from noticing the end of its parent.
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Ctrl-C and systemd signal every process of the service; the parent decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _bound()
    threading.excepthook = _broken
    try:
        with os.fdopen(int(sys.argv[1]), "wb", buffering=0) as socket, contextlib.suppress(ConnectionError):
            Crew(Plan.decode(sys.argv[3]), Progress(int(sys.argv[2]))).run(socket)
    except BaseException:  # noqa: BLE001  whatever it is, it is told, and the process ends
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    # Not by return: threads may be in calls that never do.
    os._exit(0)


def _bound() -> None:
    """Keeps a library that leaks from taking the node's memory, and lets the kernel take this process first."""
    threading.stack_size(_STACK_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _broken(arguments: threading.ExceptHookArgs) -> None:
    """Ends the process when one of its threads does: half a worker is none."""
    sys.excepthook(arguments.exc_type, arguments.exc_value or arguments.exc_type(), arguments.exc_traceback)
    os._exit(1)


if __name__ == "__main__":
    main()
