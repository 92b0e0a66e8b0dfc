"""The portal as a service, from start to end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from aiohttp import web

from exporter import daemon, log
from exporter.config import Config
from exporter.errors import ConfigError
from exporter.portal.site import Site
from exporter.report.history.client import PrometheusClient
from exporter.web.server import WebServer

_log = logging.getLogger(__name__)

_RESTART: Final = ("host", "port")
"""Keys of the section `portal` that SIGHUP does not apply."""


class Portal:
    """Serves the cluster's pages.

    Args:
        settings: The config.
        now: Unix seconds.
    """

    def __init__(self, settings: Config, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._now = now
        self._site = Site(settings, now)
        self.web = WebServer(settings.portal, self._answer, section="portal")

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

    async def run(self, reload: Callable[[], Config]) -> None:
        """Runs until SIGTERM or SIGINT; SIGHUP reads the config again.

        Args:
            reload: Reads the config; a ConfigError from it keeps the old one.

        Raises:
            ConfigError, ListenError: As `running` does.
        """
        await daemon.run(
            self.running(), lambda: f"serving the cluster on {self.web.url}", partial(self._reload, reload)
        )

    def reconfigure(self, new: Config) -> None:
        """Takes other settings, all but where to listen.

        Raises:
            ConfigError: A certificate or key cannot be used; the old settings stay.
        """
        self.web.apply(new.portal)
        log.configure(new.log, waits=False)
        old = self._settings.portal
        if changed := [f"portal.{key}" for key in _RESTART if getattr(new.portal, key) != getattr(old, key)]:
            _log.warning("config: %s changed: restart the portal to apply", ", ".join(changed))
        self._site.close()
        self._settings, self._site = new, Site(new, self._now)

    def _reload(self, reload: Callable[[], Config]) -> None:
        try:
            self.reconfigure(reload())
        except ConfigError as error:
            _log.error("the config stays as it was: %s", error)
        else:
            _log.info("config read again")

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._site.answer(request)
