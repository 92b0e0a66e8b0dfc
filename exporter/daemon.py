"""The life of a service: signals, readiness and the watchdog."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from exporter import systemd
from exporter.config import Config, ConfigFile
from exporter.errors import ConfigError

_log = logging.getLogger(__name__)


async def run(
    serving: AbstractAsyncContextManager[object],
    started: Callable[[], str],
    file: ConfigFile,
    apply: Callable[[Config], Sequence[str]],
) -> None:
    """Serves until SIGTERM or SIGINT.

    Args:
        serving: Starts the service when entered, and ends it when left.
        started: Says for the log what it serves, once it does.
        file: Is read again at each SIGHUP.
        apply: Takes what was read, and returns the keys that only a restart applies. A ConfigError, of either, keeps
            the old settings and is logged.

    Raises:
        ConfigError: A file that the config names cannot be used.
        ListenError: The endpoint cannot be opened.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: _reload(file, apply))
    async with serving:
        _log.info(started())
        systemd.notify("READY=1")
        watchdog = asyncio.create_task(systemd.feed_watchdog())
        await stop.wait()
        systemd.notify("STOPPING=1")
        watchdog.cancel()
    _log.info("stopped")


def _reload(file: ConfigFile, apply: Callable[[Config], Sequence[str]]) -> None:
    try:
        with file.named():
            waiting = apply(file.load())
    except ConfigError as error:
        _log.error("the config stays as it was: %s", error)
        return
    if waiting:
        _log.warning("%s: %s changed: restart the service to apply", file.path or "config", ", ".join(waiting))
    _log.info("config read again")
