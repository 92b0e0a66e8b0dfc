"""A server before Prometheus that refuses questions about more than a month, as Mimir does."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

LIMIT_SECONDS = 768 * 3600.0
"""Mimir's usual `max_total_query_length`; here label queries are held to it, too."""


@asynccontextmanager
async def limited(prometheus: str) -> AsyncIterator[str]:
    """The URL of the server that passes on what it does not refuse."""
    async with aiohttp.ClientSession() as session:

        async def answer(request: web.Request) -> web.Response:
            form = {key: str(value) for key, value in (await request.post()).items()}
            ranges = [float(found) / 1000 for found in re.findall(r"\[(\d+)ms\]", form.get("query", ""))]
            length = float(form.get("end", 0)) - float(form.get("start", 0)) + max(ranges, default=0.0)
            if length > LIMIT_SECONDS:
                words = f"the query time range exceeds the limit (query length: {length:.0f}s, limit: 768h)"
                return web.json_response({"status": "error", "errorType": "bad_data", "error": words}, status=422)
            async with session.post(f"{prometheus}{request.path}", data=form) as passed:
                return web.Response(status=passed.status, body=await passed.read(), content_type="application/json")

        app = web.Application()
        app.router.add_post("/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()
