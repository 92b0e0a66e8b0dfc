"""The HTTP endpoint: /metrics, the page for people, and the two probes."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Mapping
from typing import Final, Self

from aiohttp import web

from exporter.config import Listen
from exporter.model import Snapshot
from exporter.speech import speech
from exporter.web import page
from exporter.web.auth import Authenticator, Verdict
from exporter.web.listener import Listener, open_socket
from exporter.web.negotiation import preferred_language
from exporter.web.responses import document, text
from exporter.web.tls import Tls

_log = logging.getLogger(__name__)

_STOP_SECONDS: Final = 2.0
"""For answers that clients are still fetching when the service ends."""
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="mi300x-exporter", charset="UTF-8"'}


class WebServer:
    """Serves what its callables return, from `start` to `stop`, or as an async context manager."""

    def __init__(
        self,
        settings: Listen,
        snapshot: Callable[[], Snapshot],
        exposition: Callable[[str | None], tuple[bytes, str]],
        ready: Callable[[], bool],
    ) -> None:
        """Opens nothing yet.

        Args:
            settings: The section `listen` of the config.
            snapshot: The node as the page shows it.
            exposition: Body and content type of /metrics for the value of a header Accept.
            ready: Whether there were readings yet.
        """
        self._settings = settings
        self._page = page.Page(snapshot)
        self._exposition = exposition
        self._ready = ready
        self._routes: Mapping[str, Callable[[web.BaseRequest], web.Response]] = {
            "/": self._people,
            "/metrics": self._metrics,
            "/-/healthy": lambda _: text("healthy"),
            "/-/ready": self._readiness,
        }
        self._tls: Tls | None = None
        self._auth = Authenticator()
        self._listener: Listener | None = None
        self._host = settings.host
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
        sock = await open_socket(self._host, self._port)
        self._port = sock.getsockname()[1]
        self._listener = Listener(sock, web.Server(self._answer), self._tls_context)

    def apply(self, settings: Listen) -> None:
        """Takes over TLS and users; host and port stay as they were at the start.

        Open connections are closed if TLS changes. On an error nothing changes.

        Raises:
            ConfigError: A TLS file is not usable.
        """
        tls = Tls.of(settings)
        before_exposed, self._passwords_exposed = self._passwords_exposed, bool(settings.basic_auth) and tls is None
        if self._passwords_exposed and not before_exposed:
            _log.warning("listen.basic_auth without TLS: passwords cross the network readable")
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
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self._host, self._host)  # noqa: S104  only compared
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._port}/"

    def _tls_context(self) -> ssl.SSLContext | None:
        return None if self._tls is None else self._tls.context

    async def _answer(self, request: web.BaseRequest) -> web.Response:
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
        route = self._routes.get(request.path)
        if route is None:
            return text("no such page; there are /, /metrics, /-/healthy and /-/ready", status=404)
        return self._guarded(request, route)

    def _guarded(self, request: web.BaseRequest, route: Callable[[web.BaseRequest], web.Response]) -> web.Response:
        """A defect in one page is logged when it begins, and leaves the other pages alone."""
        try:
            response = route(request)
        except Exception:  # noqa: BLE001  a defect of one page must not end the others
            if request.path not in self._failing:
                _log.exception("cannot make %s", request.path)
            self._failing.add(request.path)
            return text("this page has failed; the service's log says why", status=500)
        self._failing.discard(request.path)
        return response

    def _metrics(self, request: web.BaseRequest) -> web.Response:
        body, content_type = self._exposition(request.headers.get("Accept"))
        return document(body, content_type, request, vary="Accept, Accept-Encoding")

    def _people(self, request: web.BaseRequest) -> web.Response:
        words = speech(preferred_language(request.headers.get("Accept-Language", "")))
        headers = {"Content-Language": words.tag, "Content-Security-Policy": page.CONTENT_SECURITY_POLICY}
        vary = "Accept-Encoding, Accept-Language"
        return document(self._page(words), "text/html; charset=utf-8", request, vary=vary, headers=headers)

    def _readiness(self, _: web.BaseRequest) -> web.Response:
        return text("ready") if self._ready() else text("not ready: no GPU has been read yet", status=503)


def _tls_files(settings: Listen) -> tuple[object, ...]:
    return settings.tls_cert, settings.tls_key, settings.client_ca
