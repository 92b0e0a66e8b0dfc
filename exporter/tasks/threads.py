"""Threads that nobody waits for.

asyncio's own are joined before the process ends, so a name server that does not answer, or an endless answer to
decode, would hold up SIGTERM.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def in_daemon_thread(call: Callable[[], T]) -> T:
    """Returns or raises what `call` does; cancelled, it leaves the thread to itself."""
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()  # or cancelling would make `set_result` fail

    def run() -> None:
        try:
            outcome.set_result(call())
        except Exception as error:  # noqa: BLE001  it is the caller's
            outcome.set_exception(error)

    threading.Thread(target=run, name="tasks", daemon=True).start()
    return await asyncio.wrap_future(outcome)
