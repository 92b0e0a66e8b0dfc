"""What the service of a node answers: /metrics, the page for people, and the two probes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from exporter.model import Snapshot
from exporter.speech import speech
from exporter.web import page
from exporter.web.negotiation import preferred_language
from exporter.web.responses import document, text


class NodePages:
    """Answers with what its callables return."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        exposition: Callable[[str | None], Awaitable[tuple[bytes, str]]],
        ready: Callable[[], bool],
        around: page.Surroundings,
    ) -> None:
        """Asks nothing yet.

        Args:
            snapshot: The node as the page shows it.
            exposition: Body and content type of /metrics for the value of a header Accept.
            ready: Whether there were readings yet.
            around: What is around the node.
        """
        self.page = page.Page(snapshot, around)
        self._exposition = exposition
        self._ready = ready
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

    async def _metrics(self, request: web.BaseRequest) -> web.Response:
        body, content_type = await self._exposition(request.headers.get("Accept"))
        return document(body, content_type, request, vary="Accept, Accept-Encoding")

    def _people(self, request: web.BaseRequest) -> web.Response:
        words = speech(preferred_language(request.headers.get("Accept-Language", "")))
        headers = {"Content-Language": words.tag, "Content-Security-Policy": page.CONTENT_SECURITY_POLICY}
        vary = "Accept-Encoding, Accept-Language"
        return document(self.page(words), "text/html; charset=utf-8", request, vary=vary, headers=headers)

    def _readiness(self, _: web.BaseRequest) -> web.Response:
        return text("ready") if self._ready() else text("not ready: no GPU has been read yet", status=503)
