"""systemd's notification protocol (sd_notify(3)); without systemd it does nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket

_log = logging.getLogger(__name__)


def notify(state: str) -> None:
    """Sends a state such as `READY=1` to the service manager, if one listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),  # systemd restarts itself, too; what it misses it will say
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
    ):
        sender.setblocking(False)  # a full queue of messages must not stop the service
        sender.connect(address)
        sender.sendall(state.encode())


async def feed_watchdog() -> None:
    """Tells the watchdog (WatchdogSec=) twice per period, for ever, that the event loop turns."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return
    told = os.environ.get("WATCHDOG_USEC", "0")
    try:
        period = max(0, int(told)) / 1e6
    except ValueError:
        _log.warning("WATCHDOG_USEC is %r, which is no number of microseconds: the watchdog is not fed", told)
        return
    while period:
        notify("WATCHDOG=1")
        await asyncio.sleep(period / 2)
