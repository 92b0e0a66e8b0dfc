"""The life of a service: signals, readiness and the watchdog."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from exporter import systemd

_log = logging.getLogger(__name__)


async def run(
    serving: AbstractAsyncContextManager[object], started: Callable[[], str], reload: Callable[[], None]
) -> None:
    """Serves until SIGTERM or SIGINT.

    Args:
        serving: Starts the service when entered, and ends it when left.
        started: Says for the log what it serves, once it does.
        reload: Is called at each SIGHUP.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    async with serving:
        _log.info(started())
        systemd.notify("READY=1")
        watchdog = asyncio.create_task(systemd.feed_watchdog())
        await stop.wait()
        systemd.notify("STOPPING=1")
        watchdog.cancel()
    _log.info("stopped")
