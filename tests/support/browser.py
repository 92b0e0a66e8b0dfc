"""Debian's Chromium, headless, spoken to over its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import tempfile
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


class Page:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._session: dict[str, str] = {}
        self._events: list[dict[str, Any]] = []
        self.complaints: list[str] = []
        """All that the console showed: errors, CSP violations, exceptions, failed requests."""

    async def attach(self) -> None:
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": params, **self._session})
        while True:
            message = await self._receive()
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    async def show(self, width: int, height: int, *, dark: bool) -> None:
        """Sets the size of the screen, in CSS pixels, and the colour scheme."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def prefer(self, language: str) -> None:
        """Sets the language that the reader likes best."""
        await self.call("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})

    async def goto(self, url: str) -> None:
        self._events.clear()
        await self.call("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            await self._receive()

    async def evaluate(self, expression: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def frame(self) -> None:
        """Waits until what was laid out has been drawn, and its observers have been told."""
        wait = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
        answer = await self.call("Runtime.evaluate", expression=wait, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer

    async def screenshot(self) -> bytes:
        """The whole page, as PNG."""
        picture = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(picture["data"])

    async def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = await self._socket.receive_json()
        match message.get("method"):
            case "Log.entryAdded":
                self.complaints.append(message["params"]["entry"]["text"])
            case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled":
                self.complaints.append(str(message["params"]))
            case str():
                self._events.append(message)
        return message


@contextlib.asynccontextmanager
async def browser_page() -> AsyncIterator[Page]:
    """A tab of a fresh browser, gone afterwards with all it stored."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = await asyncio.create_subprocess_exec(
            "chromium",
            *_FLAGS,
            f"--user-data-dir={profile}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert browser.stderr is not None
            async with asyncio.timeout(60):
                line = b""
                while b"DevTools listening on " not in line:
                    line = await browser.stderr.readline()
                    assert line, "chromium ended before it listened"
            address = line.decode().split("DevTools listening on ")[1].strip()
            drain = asyncio.create_task(browser.stderr.read())
            async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
                page = Page(socket)
                await page.attach()
                yield page
            browser.terminate()
            await drain
        finally:
            with contextlib.suppress(ProcessLookupError):
                browser.kill()
            await browser.wait()
