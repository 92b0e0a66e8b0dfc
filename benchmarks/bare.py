"""The least that aiohttp can do: a process that serves the content of files.

python -m benchmarks.bare FILE…     prints its port; the nth file is at /n and below, counted from 0
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from benchmarks.scrapes import Server


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


async def _serve(bodies: Sequence[bytes]) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=bodies[int(request.match_info["number"])])

    app = web.Application()
    app.router.add_get("/{number:[0-9]+}{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve([Path(file).read_bytes() for file in sys.argv[1:]]))
