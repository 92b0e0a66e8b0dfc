"""What the service of a node answers: /metrics, the page for people, and the two probes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from aiohttp import web

from exporter.model import Snapshot
from exporter.speech import speech
from exporter.web import page
from exporter.web.negotiation import preferred_language
from exporter.web.responses import compressed, document, is_compressed, text
from exporter.web.scrapers import Scrapers


class _Scraper(NamedTuple):
    """Who asks for /metrics, and in which form: by the headers of these names."""

    address: str | None
    accept: str | None
    accept_encoding: str

    @classmethod
    def of(cls, request: web.BaseRequest) -> _Scraper:
        return cls(request.remote, request.headers.get("Accept"), request.headers.get("Accept-Encoding", ""))


class NodePages:
    """Answers with what its callables return."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        exposition: Callable[[str | None], Awaitable[tuple[bytes, str]]],
        ready: Callable[[], bool],
        around: page.Surroundings,
        monotonic: Callable[[], float],
    ) -> None:
        """Asks nothing yet.

        Args:
            snapshot: The node as the page shows it.
            exposition: Body and content type of /metrics for the value of a header Accept.
            ready: Whether there were readings yet.
            around: What is around the node.
            monotonic: CLOCK_MONOTONIC.
        """
        self.page = page.Page(snapshot, around)
        self._exposition = exposition
        self._ready = ready
        self._monotonic = monotonic
        self._scrapers = Scrapers[_Scraper]()
        self._routes: Mapping[str, Callable[[web.BaseRequest], web.Response]] = {
            "/": self._people,
            "/-/healthy": lambda _: text("healthy"),
            "/-/ready": self._readiness,
        }

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Returns the page that a request asks for, or 404."""
        if request.path == "/metrics":
            return await self._metrics(request)
        route = self._routes.get(request.path)
        if route is None:
            return text("no such page; there are /, /metrics, /-/healthy and /-/ready", status=404)
        return route(request)

    async def prepare(self, seconds: float) -> None:
        """Makes ready, for those who will ask for /metrics within so many seconds, what they would be given now."""
        now = self._monotonic()
        for scraper in self._scrapers.expected(now, now + seconds):
            with suppress(Exception):  # whoever asks for it is told
                body, _ = await self._exposition(scraper.accept)
                if is_compressed(body, scraper.accept_encoding):
                    compressed(body)

    async def _metrics(self, request: web.BaseRequest) -> web.Response:
        scraper = _Scraper.of(request)
        self._scrapers.came(scraper, self._monotonic())
        body, content_type = await self._exposition(scraper.accept)
        return document(body, content_type, request, vary="Accept, Accept-Encoding")

    def _people(self, request: web.BaseRequest) -> web.Response:
        words = speech(preferred_language(request.headers.get("Accept-Language", "")))
        headers = {"Content-Language": words.tag, "Content-Security-Policy": page.CONTENT_SECURITY_POLICY}
        vary = "Accept-Encoding, Accept-Language"
        return document(self.page(words), "text/html; charset=utf-8", request, vary=vary, headers=headers)

    def _readiness(self, _: web.BaseRequest) -> web.Response:
        return text("ready") if self._ready() else text("not ready: no GPU has been read yet", status=503)
