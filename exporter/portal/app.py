"""The portal as a service, from start to end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from exporter import daemon, log
from exporter.config import Config, ConfigFile
from exporter.portal.site import Site
from exporter.report.history.client import PrometheusClient
from exporter.web.flags import WebFlags
from exporter.web.server import WebServer

_NO_FLAGS: Final = WebFlags()


class Portal:
    """Serves the cluster's pages.

    Args:
        settings: The config.
        flags: What the command line says of the endpoint.
        now: Unix seconds.

    Raises:
        ConfigError: A file that the settings or flags name cannot be used.
    """

    def __init__(self, settings: Config, flags: WebFlags = _NO_FLAGS, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._started_with = settings.portal
        self._flags = flags
        self._now = now
        self._site = Site(settings, now)
        self.web = WebServer(flags.settings(settings.portal, "portal"), self._answer)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serves until the block is left.

        Raises:
            ConfigError: A certificate, key, token or header cannot be used.
            ListenError: The endpoint cannot be opened.
        """
        async with PrometheusClient(self._settings.prometheus):
            pass  # what of its settings cannot be used is said now, and not to the first who looks
        async with self.web:
            first = asyncio.create_task(self._site.state())
            try:
                yield
            finally:
                first.cancel()
                self._site.close()

    async def run(self, file: ConfigFile) -> None:
        """Runs until SIGTERM or SIGINT.

        Args:
            file: Is read again at SIGHUP.

        Raises:
            ConfigError, ListenError: As `running` does.
        """
        await daemon.run(
            self.running(), lambda: f"serving the cluster on {', '.join(self.web.urls)}", file, self.reconfigure
        )

    def reconfigure(self, new: Config) -> list[str]:
        """Takes other settings, and returns the keys that need a restart: those that say where to listen.

        Raises:
            ConfigError: A certificate or key cannot be used; the old settings stay.
        """
        self.web.apply(self._flags.settings(new.portal, "portal"))
        log.configure(new.log, waits=False)
        self._site.close()
        self._settings, self._site = new, Site(new, self._now)
        return self._flags.moved(self._started_with, new.portal, "portal")

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._site.answer(request)
