"""Threads that nobody waits for.

asyncio's own are joined before the process ends, so a name server that does not answer would hold up SIGTERM.
"""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def in_daemon_thread(call: Callable[[], T]) -> T:
    """Returns or raises what `call` does; cancelled, it leaves the thread to itself.

    Raises:
        OSError: There is no thread to be had.
    """
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()  # or cancelling would make `set_result` fail

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001  it is the caller's, a cancellation too
            outcome.set_exception(error)

    try:
        threading.Thread(target=run, name="tasks", daemon=True).start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, "no thread to be had") from error
    return await asyncio.wrap_future(outcome)


async def on_own_loop(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Returns or raises what a coroutine does on an event loop of its own, in a daemon thread.

    Whatever keeps that loop busy, the caller's turns on: the interpreter gives it its turn every few milliseconds.
    Cancelled, it cancels the coroutine there and does not wait for it.

    Raises:
        OSError: There is no thread or no file descriptor to be had.
    """
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def watched() -> T:
        task = asyncio.current_task()
        assert task is not None
        running.append((asyncio.get_running_loop(), task))
        return await call()

    def run() -> T:
        _need_descriptors()
        with asyncio.Runner() as runner:
            return runner.run(watched())

    try:
        return await in_daemon_thread(run)
    except asyncio.CancelledError:
        for loop, task in running:
            with suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(task.cancel)
        raise


def _need_descriptors() -> None:
    """Raises OSError if there are none for an event loop: asyncio's, half made, ends in a traceback of its own."""
    first, second = socket.socketpair()
    with first, second:
        select.epoll().close()
