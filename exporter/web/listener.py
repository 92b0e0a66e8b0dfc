"""The listening socket, and the bound on how many clients it serves at once."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web

from exporter.errors import ListenError
from exporter.web.connection import Connection
from exporter.web.settings import Address
from exporter.web.tls import Tls

_log = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 64
"""Open at once, those in a TLS handshake included."""
_BACKLOG: Final = 128
_HANDSHAKE_SECONDS: Final = 10.0
_TLS_SHUTDOWN_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 1.0
"""After a failed accept, for instance when the process has no file descriptor left."""

_ADVICE = {
    errno.EADDRINUSE: "another process has that port; `ss -ltnp` shows which, {port} chooses another",
    errno.EACCES: "no permission for that port; choose one of 1024 or above with {port}",
    errno.EADDRNOTAVAIL: "this machine has no such address; set {host} to one that `ip address` shows, "
    "or to 0.0.0.0 for all",
}


async def open_socket(where: Address) -> socket.socket:
    """A listening socket on the first address that a host resolves to; port 0 takes any free one.

    Raises:
        ListenError: naming host and port.
    """
    fault = f"cannot listen on {where.host} port {where.port}"
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listener = socket.create_server(
            address,
            family=family,
            backlog=_BACKLOG,
            dualstack_ipv6=family == socket.AF_INET6,
        )
    except (socket.gaierror, UnicodeError) as error:
        raise ListenError(
            f"{fault}: the name does not resolve; set {where.host_setting} to an address of this machine"
        ) from error
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, str(error.strerror))
        advice = advice.format(host=where.host_setting, port=where.port_setting)
        raise ListenError(f"{fault}: {advice}") from error
    listener.setblocking(False)
    return listener


class Listener:
    """Accepts connections and hands them to an HTTP server.

    At the limit a newcomer takes the place of the connection that was longest without an answer, among those of the
    address that has most. A flood from one address so displaces itself, never a Prometheus that scrapes from another.
    """

    def __init__(self, sockets: Sequence[socket.socket], server: web.Server, tls: Callable[[], Tls | None]) -> None:
        self._sockets = sockets
        self._server = server
        self._tls = tls
        self._clients: dict[Connection, tuple[str, asyncio.Task[None]]] = {}
        loop = asyncio.get_running_loop()
        self._accepting = [loop.create_task(self._accept(sock)) for sock in sockets]

    def retire(self) -> None:
        """Closes each open connection behind what is already answered; clients come back under new settings."""
        for connection, (_, task) in self._clients.items():
            if connection.connected:
                connection.force_close()
            else:
                task.cancel()

    async def close(self, patience: float) -> None:
        """Stops accepting, waits `patience` seconds for answers under way, and drops what is left."""
        for accepting in self._accepting:
            accepting.cancel()
        await asyncio.wait(self._accepting)
        for sock in self._sockets:
            sock.close()
        self.retire()
        tasks = [task for _, task in self._clients.values()]
        if not tasks:
            return
        _, left = await asyncio.wait(tasks, timeout=patience)
        for task in left:
            task.cancel()
        await asyncio.wait(tasks)

    async def _accept(self, sock: socket.socket) -> None:
        loop, is_failing = asyncio.get_running_loop(), False
        while True:
            try:
                client, address = await loop.sock_accept(sock)
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
            tls = self._tls()
            connection = Connection(self._server, loop, None if tls is None else tls.admits)
            self._clients[connection] = (address[0], loop.create_task(self._serve(client, connection, tls)))
            # A task that is cancelled before its first step would never close its socket.
            await asyncio.sleep(0)

    def _make_room(self) -> None:
        (greediest, _), *_ = Counter(address for address, _ in self._clients.values()).most_common(1)
        theirs = (connection for connection, (address, _) in self._clients.items() if address == greediest)
        _, task = self._clients.pop(min(theirs, key=lambda connection: connection.served_at))
        task.cancel()

    async def _serve(self, client: socket.socket, connection: Connection, tls: Tls | None) -> None:
        """Keeps one connection from its TLS handshake to its end, which cancelling brings at once."""
        try:
            with contextlib.suppress(OSError):  # a failed handshake is the client's affair, and TLS tells it
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: connection,
                    client,
                    ssl=None if tls is None else tls.context,
                    ssl_handshake_timeout=_HANDSHAKE_SECONDS if tls else None,
                    ssl_shutdown_timeout=_TLS_SHUTDOWN_SECONDS if tls else None,
                )
                await connection.closed
        finally:
            connection.abort()
            self._clients.pop(connection, None)
