"""A guarded HTTP endpoint: TLS, passwords, limits and security headers around whatever answers."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Self

from aiohttp import web

from exporter.errors import ListenError
from exporter.web.auth import Authenticator, Verdict
from exporter.web.listener import Listener, open_socket
from exporter.web.rate import Bucket
from exporter.web.responses import text
from exporter.web.settings import WebSettings
from exporter.web.tls import Tls

_log = logging.getLogger(__name__)

_STOP_SECONDS: Final = 2.0
"""For answers that clients are still fetching when the service ends."""
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="mi300x-exporter", charset="UTF-8"'}

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""Answers a GET or HEAD without a body, of a client that may ask."""


class WebServer:
    """Serves what a callable answers, from `start` to `stop`, or as an async context manager."""

    def __init__(self, settings: WebSettings, answer: Answer) -> None:
        """Opens nothing yet.

        Args:
            settings: Where and how to listen.
            answer: Answers each request.
        """
        self._settings = settings
        self._addresses = settings.addresses
        self._route = answer
        self._tls: Tls | None = None
        self._auth = Authenticator()
        self._bucket: Bucket | None = None
        self._listener: Listener | None = None
        self._passwords_exposed = False
        self._failing: set[str] = set()

    async def start(self) -> None:
        """Opens the endpoint.

        Raises:
            ConfigError: A TLS file is not usable.
            ListenError: An address is not to be had.
        """
        self.apply(self._settings)
        sockets: list[socket.socket] = []
        try:
            for address in self._addresses:
                sockets.append(await open_socket(address))  # noqa: PERF401  those that are open are closed if one is not to be had
        except ListenError:
            for sock in sockets:
                sock.close()
            raise
        self._addresses = tuple(
            replace(address, port=sock.getsockname()[1]) for address, sock in zip(self._addresses, sockets, strict=True)
        )
        server = web.Server(self._answer, request_factory=self._request)
        self._listener = Listener(sockets, server, lambda: self._tls)

    def apply(self, settings: WebSettings) -> None:
        """Takes over all but the addresses, which stay as they were at the start.

        Open connections are closed if TLS changes. On an error nothing changes.

        Raises:
            ConfigError: A TLS file is not usable.
        """
        tls = None if settings.tls is None else Tls(settings.tls)
        before_exposed, self._passwords_exposed = self._passwords_exposed, bool(settings.users) and tls is None
        if self._passwords_exposed and not before_exposed:
            _log.warning("%s without TLS: passwords cross the network readable", settings.users_setting)
        before, self._settings = self._settings, settings
        self._tls = tls
        self._auth.apply(settings.users)
        if self._bucket is None or before.rate_limit != settings.rate_limit:
            self._bucket = None if settings.rate_limit is None else Bucket(settings.rate_limit)
        if self._listener is not None and before.tls != settings.tls:
            self._listener.retire()

    async def stop(self) -> None:
        """Ends the endpoint within about two seconds."""
        if self._listener is not None:
            await self._listener.close(_STOP_SECONDS)
            self._listener = None
        self._auth.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        """The first port that is open, which port 0 in the config leaves to the system."""
        return self._addresses[0].port

    @property
    def url(self) -> str:
        """Where this machine reaches `/`."""
        return self.urls[0]

    @property
    def urls(self) -> list[str]:
        """Where this machine reaches `/`, for each address."""
        scheme = "http" if self._tls is None else "https"
        return [f"{scheme}://{address.own_place}/" for address in self._addresses]

    def _request(self, *arguments: Any) -> web.BaseRequest:
        return _Request(self._settings.headers, *arguments, asyncio.get_running_loop())

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._bucket is not None and not self._bucket.take():
            return text("too many requests, try again", status=429, headers={"Retry-After": "1"})
        if request.body_exists:
            response = text("no request here takes a body", status=413)
            response.force_close()
            return response
        if request.method not in {"GET", "HEAD"}:
            return text("only GET and HEAD", status=405, headers={"Allow": "GET, HEAD"})
        match await self._auth.judge(request.headers.get("Authorization"), request.remote or ""):
            case Verdict.REFUSED:
                return text("a valid user name and password are needed", status=401, headers=_CHALLENGE)
            case Verdict.BUSY:
                return text("too many passwords to check, try again", status=503, headers={"Retry-After": "2"})
        return await self._guarded(request)

    async def _guarded(self, request: web.BaseRequest) -> web.StreamResponse:
        """A defect in one page is logged when it begins, and leaves the other pages alone."""
        part = "/".join(request.path.split("/", 2)[:2])
        try:
            response = await self._route(request)
        except ConnectionError:  # the client is gone while it was sent something
            raise
        except Exception:  # noqa: BLE001  a defect of one page must not end the others
            if part not in self._failing:
                _log.exception("cannot make %s", part)
            self._failing.add(part)
            return text("this page has failed; the service's log says why", status=500)
        self._failing.discard(part)
        return response


class _Request(web.BaseRequest):
    """Knows which headers every answer gets, however it is sent."""

    ATTRS = web.BaseRequest.ATTRS | {"_on_every_answer"}

    def __init__(self, headers: Mapping[str, str], *arguments: Any) -> None:
        super().__init__(*arguments)
        self._on_every_answer = headers

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        for name, value in self._on_every_answer.items():
            response.headers.pop(name, None)
            if value:
                response.headers[name] = value
