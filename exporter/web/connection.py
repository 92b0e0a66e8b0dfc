"""One HTTP connection: what it may send, and for how long it may keep us waiting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from aiohttp import web

from exporter.web.responses import text

MAX_LINE_BYTES: Final = 8190
"""Of the request line, and of one header."""
MAX_HEADERS: Final = 64
MAX_UNANSWERED_BYTES: Final = 64 * 1024
"""Received on one connection since its last answer: headers, body and pipelined requests together."""
REQUEST_SECONDS: Final = 20.0
"""From the first byte of a request (or, at first, from the connection) to the last byte of the answer taken."""
KEEPALIVE_SECONDS: Final = 90.0
"""Between an answer and the next request; longer than the usual scrape intervals."""

# What aiohttp logs of a request is always a fault of the client: garbage, a lost connection, a refused body.
_SILENT = logging.getLogger(f"{__name__}.clients")
_SILENT.disabled = True


class Connection(web.RequestHandler):
    """aiohttp's HTTP/1.1 protocol, with a deadline for requests and a bound on what is held of them.

    Args:
        server: Answers requests.
        loop: The running one.
        admits: Whether a client may stay that has shown a certificate, as `ssl` tells it; None: without TLS.
    """

    __slots__ = ("_admits", "_deadline", "_unanswered_bytes", "_wire", "closed", "served_at")

    def __init__(
        self,
        server: web.Server,
        loop: asyncio.AbstractEventLoop,
        admits: Callable[[Mapping[str, object]], bool] | None,
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=KEEPALIVE_SECONDS,
            logger=_SILENT,
            access_log=_SILENT,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            max_headers=MAX_HEADERS,
            lingering_time=0,
            auto_decompress=False,  # no body is read, so none need be inflated either
        )
        self.closed: asyncio.Future[None] = loop.create_future()
        self.served_at = loop.time()
        """Event loop time of the last answer, at first of the connection."""
        self._admits = admits
        self._wire: asyncio.WriteTransport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._unanswered_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts the deadline of the first request."""
        assert isinstance(transport, asyncio.WriteTransport)
        # An answer counts as sent only when the kernel has all of it, so that a client that does not read meets
        # the deadline instead of holding a buffer.
        transport.set_write_buffer_limits(high=0)
        self._wire = transport
        super().connection_made(transport)
        self._set_deadline()
        if self._admits is not None and not self._admits(transport.get_extra_info("peercert") or {}):
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Takes bytes of a request, within the bounds."""
        self._set_deadline()
        self._unanswered_bytes += len(data)
        if self._unanswered_bytes > MAX_UNANSWERED_BYTES:
            self.abort()
        else:
            super().data_received(data)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Sends an answer, against the deadline."""
        self._set_deadline()
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._rest()

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002  the signature is aiohttp's
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002  it quotes the request
        message: str | None = None,  # noqa: ARG002  it quotes the request
    ) -> web.StreamResponse:
        """Answers what is not HTTP, without repeating any of it."""
        response = text("bad request", status=status)
        response.force_close()
        return response

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tells whoever awaits `closed`."""
        self._rest()
        super().connection_lost(exc)
        if not self.closed.done():
            self.closed.set_result(None)

    def abort(self) -> None:
        """Drops the connection, whatever is still to be sent."""
        if self._wire is not None:  # aiohttp forgets its transport while that still sends
            with suppress(AttributeError):  # what Python 3.11.2 raises over TLS if it was closed twice
                self._wire.abort()

    def _set_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self._loop.call_later(REQUEST_SECONDS, self.abort)

    def _rest(self) -> None:
        self.served_at = self._loop.time()
        self._unanswered_bytes = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
