"""A real endpoint on loopback, and clients that speak to it byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from exporter.config import Listen
from exporter.model import Snapshot
from exporter.web.node import NodePages
from exporter.web.page import Surroundings
from exporter.web.server import WebServer
from exporter.web.settings import WebSettings, of_section
from tests.support import snapshots

METRICS = b"# TYPE up gauge\nup 1\n" * 200
CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"
PATIENCE_SECONDS = 120.0
"""How long a test waits for what must happen; shorter than keep-alive, which would close any connection."""
GET_METRICS = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass
class Endpoint:
    """What the server serves, to be changed by the test, and the server."""

    snapshot: Snapshot = snapshots.EIGHT
    metrics: bytes = METRICS
    failure: Exception | None = None
    ready: bool = True
    accepts: list[str | None] = field(default_factory=list)
    """The headers Accept that /metrics was asked with."""
    server: WebServer = field(init=False)

    async def exposition(self, accept: str | None) -> tuple[bytes, str]:
        self.accepts.append(accept)
        if self.failure is not None:
            raise self.failure
        return self.metrics, CONTENT_TYPE

    @property
    def port(self) -> int:
        return self.server.port

    async def get(self, path: str, tls: ssl.SSLContext | None = None, **options: Any) -> Answer:
        """One request over a connection of its own."""
        async with aiohttp.ClientSession(
            auto_decompress=False, timeout=aiohttp.ClientTimeout(PATIENCE_SECONDS)
        ) as session:
            method = options.pop("method", "GET")
            if tls is not None:
                options["ssl"] = tls
            url = options.pop("url", self.server.url).rstrip("/")
            if (host := options.pop("host", None)) is not None:
                url = f"http://{host}:{self.port}"
            async with session.request(method, url + path, **options) as response:
                return Answer(response.status, response.headers, await response.read())

    async def send(self, data: bytes, *, local: str = "127.0.0.1") -> bytes:
        """All that the server says to these bytes until it closes the connection."""
        async with self.connected(local=local) as (reader, writer):
            with contextlib.suppress(ConnectionError):
                writer.write(data)
                await writer.drain()
            return await until_closed(reader)

    @contextlib.asynccontextmanager
    async def connected(
        self, *, local: str = "127.0.0.1"
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(local, 0))
        try:
            yield reader, writer
        finally:
            writer.transport.abort()  # a server that does not read would keep a close waiting
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@contextlib.asynccontextmanager
async def serving(told: WebSettings) -> AsyncIterator[Endpoint]:
    """An endpoint."""
    served = Endpoint()
    pages = NodePages(lambda: served.snapshot, served.exposition, lambda: served.ready, Surroundings(), time.monotonic)
    served.server = WebServer(told, pages.answer)
    async with served.server:
        yield served


def endpoint(**listen: object) -> contextlib.AbstractAsyncContextManager[Endpoint]:
    """An endpoint with these keys of the section `listen`."""
    return serving(settings(**listen))


def settings(**listen: object) -> WebSettings:
    return of_section(Listen.model_validate({"host": "127.0.0.1", "port": 0, **listen}))


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """What arrives until the other side closes or resets the connection."""
    received = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while chunk := await reader.read(65536):
                received += chunk
    return received


async def answered(reader: asyncio.StreamReader) -> bytes:
    """One uncompressed answer with its body."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
        lines = (line.partition(b":") for line in head.lower().splitlines())
        length = next(int(value) for name, _, value in lines if name == b"content-length")
        return head + await reader.readexactly(length)
