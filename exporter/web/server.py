"""A guarded HTTP endpoint: TLS, passwords, limits and security headers around whatever answers."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Final, Self

from aiohttp import web

from exporter.config import Listen
from exporter.web.auth import Authenticator, Verdict
from exporter.web.listener import Listener, open_socket
from exporter.web.responses import text
from exporter.web.tls import Tls

_log = logging.getLogger(__name__)

_STOP_SECONDS: Final = 2.0
"""For answers that clients are still fetching when the service ends."""
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="mi300x-exporter", charset="UTF-8"'}

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""Answers a GET or HEAD without a body, of a client that may ask."""


class WebServer:
    """Serves what a callable answers, from `start` to `stop`, or as an async context manager."""

    def __init__(self, settings: Listen, answer: Answer, *, section: str = "listen") -> None:
        """Opens nothing yet.

        Args:
            settings: Where and how to listen.
            answer: Answers each request.
            section: The section of the config that the settings are from, for messages.
        """
        self._settings = settings
        self._route = answer
        self._section = section
        self._tls: Tls | None = None
        self._auth = Authenticator()
        self._listener: Listener | None = None
        self._host = settings.host
        self._own_host = settings.own_host
        self._port = settings.port
        self._passwords_exposed = False
        self._failing: set[str] = set()

    async def start(self) -> None:
        """Opens the endpoint.

        Raises:
            ConfigError: A TLS file is not usable.
            ListenError: The address is not to be had.
        """
        self.apply(self._settings)
        sock = await open_socket(self._host, self._port, self._section)
        self._port = sock.getsockname()[1]
        self._listener = Listener(sock, web.Server(self._answer), self._tls_context)

    def apply(self, settings: Listen) -> None:
        """Takes over TLS and users; host and port stay as they were at the start.

        Open connections are closed if TLS changes. On an error nothing changes.

        Raises:
            ConfigError: A TLS file is not usable.
        """
        tls = Tls.of(settings, self._section)
        before_exposed, self._passwords_exposed = self._passwords_exposed, bool(settings.basic_auth) and tls is None
        if self._passwords_exposed and not before_exposed:
            _log.warning("%s.basic_auth without TLS: passwords cross the network readable", self._section)
        before, self._settings = self._settings, settings
        self._tls = tls
        self._auth.apply(settings.basic_auth)
        if self._listener is not None and _tls_files(before) != _tls_files(settings):
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
        """The port that is open, which port 0 in the config leaves to the system."""
        return self._port

    @property
    def url(self) -> str:
        """Where this machine reaches `/`."""
        host = self._own_host
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._port}/"

    def _tls_context(self) -> ssl.SSLContext | None:
        return None if self._tls is None else self._tls.context

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
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


def _tls_files(settings: Listen) -> tuple[object, ...]:
    return settings.tls_cert, settings.tls_key, settings.client_ca
