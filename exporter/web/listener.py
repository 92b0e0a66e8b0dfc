"""The listening socket, and the bound on how many clients it serves at once."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Final

from aiohttp import web

from exporter.errors import ListenError
from exporter.web.connection import Connection

_log = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 64
"""Open at once, those in a TLS handshake included."""
_BACKLOG: Final = 128
_HANDSHAKE_SECONDS: Final = 10.0
_TLS_SHUTDOWN_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 1.0
"""After a failed accept, for instance when the process has no file descriptor left."""

_ADVICE = {
    errno.EADDRINUSE: "another process has that port; `ss -ltnp` shows which, {section}.port chooses another",
    errno.EACCES: "no permission for that port; set {section}.port to 1024 or above",
    errno.EADDRNOTAVAIL: "this machine has no such address; set {section}.host to one that `ip address` shows, "
    "or to 0.0.0.0 for all",
}


async def open_socket(host: str, port: int, section: str) -> socket.socket:
    """A listening socket on the first address that `host` resolves to; port 0 takes any free one.

    Args:
        host: A name or an address.
        port: 0 to 65535.
        section: The section of the config that says so, for messages.

    Raises:
        ListenError: naming host and port.
    """
    where = f"cannot listen on {host} port {port}"
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listener = socket.create_server(
            address,
            family=family,
            backlog=_BACKLOG,
            dualstack_ipv6=family == socket.AF_INET6,
        )
    except (socket.gaierror, UnicodeError) as error:
        raise ListenError(
            f"{where}: the name does not resolve; set {section}.host to an address of this machine"
        ) from error
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, str(error.strerror))
        raise ListenError(f"{where}: {advice.format(section=section)}") from error
    listener.setblocking(False)
    return listener


class Listener:
    """Accepts connections and hands them to an HTTP server.

    At the limit a newcomer takes the place of the connection that was longest without an answer, among those of the
    address that has most. A flood from one address so displaces itself, never a Prometheus that scrapes from another.
    """

    def __init__(self, sock: socket.socket, server: web.Server, tls: Callable[[], ssl.SSLContext | None]) -> None:
        self._socket = sock
        self._server = server
        self._tls = tls
        self._clients: dict[Connection, tuple[str, asyncio.Task[None]]] = {}
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    def retire(self) -> None:
        """Closes each open connection behind what is already answered; clients come back under new settings."""
        for connection, (_, task) in self._clients.items():
            if connection.connected:
                connection.force_close()
            else:
                task.cancel()

    async def close(self, patience: float) -> None:
        """Stops accepting, waits `patience` seconds for answers under way, and drops what is left."""
        self._accepting.cancel()
        await asyncio.wait([self._accepting])
        self._socket.close()
        self.retire()
        tasks = [task for _, task in self._clients.values()]
        if not tasks:
            return
        _, left = await asyncio.wait(tasks, timeout=patience)
        for task in left:
            task.cancel()
        await asyncio.wait(tasks)

    async def _accept(self) -> None:
        loop, is_failing = asyncio.get_running_loop(), False
        while True:
            try:
                client, address = await loop.sock_accept(self._socket)
            except OSError as error:
                if not is_failing:
                    _log.warning("no new connection can be taken: %s; trying again each second", error.strerror)
                is_failing = True
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if is_failing:
                _log.info("new connections are taken again")
            is_failing = False
            if len(self._clients) >= MAX_CONNECTIONS:
                self._make_room()
            connection = Connection(self._server, loop)
            self._clients[connection] = (address[0], loop.create_task(self._serve(client, connection)))
            # A task that is cancelled before its first step would never close its socket.
            await asyncio.sleep(0)

    def _make_room(self) -> None:
        (greediest, _), *_ = Counter(address for address, _ in self._clients.values()).most_common(1)
        theirs = (connection for connection, (address, _) in self._clients.items() if address == greediest)
        _, task = self._clients.pop(min(theirs, key=lambda connection: connection.served_at))
        task.cancel()

    async def _serve(self, client: socket.socket, connection: Connection) -> None:
        """Keeps one connection from its TLS handshake to its end, which cancelling brings at once."""
        tls = self._tls()
        try:
            with contextlib.suppress(OSError):  # a failed handshake is the client's affair, and TLS tells it
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: connection,
                    client,
                    ssl=tls,
                    ssl_handshake_timeout=_HANDSHAKE_SECONDS if tls else None,
                    ssl_shutdown_timeout=_TLS_SHUTDOWN_SECONDS if tls else None,
                )
                await connection.closed
        finally:
            connection.abort()
            self._clients.pop(connection, None)
