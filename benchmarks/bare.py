"""What /metrics costs without us: aiohttp with the bytes ready, and with prometheus_client's encoder.

python -m benchmarks.bare FILE…     prints its port

The nth file, counted from 0, is served at /n and below, be it what it may. At /encoded/n an exposition is encoded, and
compressed if it is, at each request anew, of families that are ready after the first.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aiohttp import web
from prometheus_client import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from benchmarks.scrapes import Server

_GZIP = b"\x1f\x8b"
_GZIP_LEVEL = 1
"""Ours."""


@asynccontextmanager
async def bare_server(files: Sequence[Path]) -> AsyncIterator[Server]:
    """Such a process, until the block is left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.bare", *map(str, files), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield Server(process.pid, int(await process.stdout.readline()))
    finally:
        process.kill()
        await process.wait()


@dataclass(frozen=True, slots=True)
class _Families(Collector):
    """What a body tells, for an encoder."""

    families: Sequence[Metric]

    def collect(self) -> Sequence[Metric]:
        return self.families


class _Encoded:
    """Makes a body anew."""

    def __init__(self, body: bytes) -> None:
        self._is_compressed = body.startswith(_GZIP)
        text = (gzip.decompress(body) if self._is_compressed else body).decode()
        is_openmetrics = text.endswith("# EOF\n")
        self._encode = generate_openmetrics if is_openmetrics else generate_latest
        self._families = _Families(list((parse_openmetrics if is_openmetrics else parse_text)(text)))
        assert len(self._encode(self._families)) == len(text.encode())

    def __call__(self) -> bytes:
        text = self._encode(self._families)
        return gzip.compress(text, _GZIP_LEVEL, mtime=0) if self._is_compressed else text


async def _serve(bodies: Sequence[bytes]) -> None:
    @cache
    def encoded(number: int) -> _Encoded:
        return _Encoded(bodies[number])

    async def ready(request: web.Request) -> web.Response:
        return web.Response(body=bodies[int(request.match_info["number"])])

    async def anew(request: web.Request) -> web.Response:
        return web.Response(body=encoded(int(request.match_info["number"]))())

    app = web.Application()
    app.router.add_get("/{number:[0-9]+}{tail:.*}", ready)
    app.router.add_get("/encoded/{number}", anew)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve([Path(file).read_bytes() for file in sys.argv[1:]]))
