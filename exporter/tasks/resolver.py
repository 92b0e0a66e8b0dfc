"""Looks names up in threads that nobody waits for.

The system may take half a minute to give up on a name when no DNS server answers, and cannot be interrupted.
asyncio's own threads are joined before the process ends, so such a lookup would hold up SIGTERM.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from aiohttp.abc import AbstractResolver, ResolveResult

T = TypeVar("T")


class Resolver(AbstractResolver):
    """The system's resolver, as aiohttp wants it."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host.

        Raises:
            OSError: it has none, or nobody can say.
        """
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for family, _, protocol, _, address in await _in_daemon_thread(look_up)
        ]

    async def close(self) -> None:
        """There is nothing to close."""


async def _in_daemon_thread(call: Callable[[], T]) -> T:
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()  # a caller that is cancelled leaves the thread to itself

    def run() -> None:
        try:
            outcome.set_result(call())
        except OSError as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="resolver", daemon=True).start()
    return await asyncio.wrap_future(outcome)
