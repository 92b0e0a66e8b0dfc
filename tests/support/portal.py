"""A portal on loopback, a folder of reports, and clients that ask for paths as they are written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
from aiohttp import web
from yarl import URL

from exporter.config import parse
from exporter.portal.app import Portal
from exporter.report import days
from tests.support.live import NOW
from tests.support.periods import renamed, week_of_accounts

ZONE = ZoneInfo("Asia/Taipei")
TODAY = datetime.fromtimestamp(NOW, ZONE).date()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Client:
    portal: Portal
    session: aiohttp.ClientSession

    async def get(self, path: str, *, method: str = "GET", **headers: str) -> Answer:
        url = URL(self.portal.web.url.rstrip("/") + path, encoded=True)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, url, headers=sent, allow_redirects=False) as response:
            return Answer(response.status, response.headers, await response.read())


@asynccontextmanager
async def portal(url: str, directory: Path, now: float = NOW, **keys: Any) -> AsyncIterator[Client]:
    """A portal that asks the Prometheus at a URL, with these keys of its section."""
    document = {
        "prometheus": {"url": url, "timeout": "2s"},
        "report": {"timezone": ZONE.key, "directory": str(directory)},
        "portal": {"port": 0, **keys},
    }
    served = Portal(parse(document, where="test"), now=lambda: now)
    async with served.running(), aiohttp.ClientSession() as session:
        yield Client(served, session)


def store(directory: Path, first: int = 1, last: int = 30, names: Mapping[str, str] | None = None) -> None:
    """Writes the stored days so many days ago: those of a simulated cluster, over and over."""
    accounts = renamed(list(week_of_accounts()), names or {"itrd": "amy"})
    for ago in range(first, last + 1):
        day = TODAY - timedelta(days=ago)
        keep(directory / str(day) / days.FILE, days.dumped(replace(accounts[ago % len(accounts)], day=day)))


def keep(file: Path, content: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def ago(count: int) -> date:
    return TODAY - timedelta(days=count)


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """The URL of a server that answers everything with the handler."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Between:
    """Stands between a portal and its Prometheus: counts, and does what a test has it do."""

    def __init__(self, prometheus: str) -> None:
        self.prometheus = prometheus
        self.asked: list[str] = []
        self.instead: web.Response | None = None
        self.held: asyncio.Event | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        form = dict(await request.post())
        self.asked.append(str(form.get("query", form.get("match[]", ""))))
        if self.held is not None:
            await self.held.wait()
        if self.instead is not None:
            return web.Response(body=self.instead.body, status=self.instead.status)
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.prometheus + request.path, data=form) as response,
        ):
            return web.Response(body=await response.read(), status=response.status)
