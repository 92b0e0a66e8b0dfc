"""The service of one node: its sources, its accounting, its endpoint, from start to end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic, time

from prometheus_client import ProcessCollector

from exporter import daemon, exposition, log
from exporter.config import Config
from exporter.devices.source import DeviceSource
from exporter.errors import ConfigError, DeviceError, TasksError
from exporter.model import Answer, Gpu, Health, Process, Reading, Scope
from exporter.node import Node
from exporter.tasks.refresher import TaskRefresher
from exporter.web.node import NodePages
from exporter.web.server import WebServer

_log = logging.getLogger(__name__)

_LIVE = ("log", "tasks")
"""Sections that SIGHUP applies whole; of `listen` only TLS and auth."""
_LIFETIME_SECONDS = 1.0
"""For which a rendering is given again while nothing is read: with it ends a value that has ceased to be fresh."""


class Service:
    """One node, wired: two sources tell one sink, and the endpoint shows what came of it."""

    def __init__(self, config: Config, source: DeviceSource) -> None:
        """Builds the parts; nothing runs yet.

        Args:
            config: The settings.
            source: Where readings come from.
        """
        self.config = config
        self._source = source
        self._refresher = TaskRefresher(config.tasks)
        self.node = Node(config.node_name, config.devices, config.metering, config.tasks, monotonic, time)
        registry, instruments = exposition.registry(self.node.snapshot)
        ProcessCollector(registry=registry)
        rendered = exposition.Exposition(registry, _LIFETIME_SECONDS, monotonic)
        self._sink = _Sink(self.node, instruments, rendered, self._refresher)
        pages = NodePages(
            self.node.snapshot, rendered, lambda: self.node.ready, idle_threshold=config.metering.idle_threshold
        )
        self.web = WebServer(config.listen, pages.answer)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Opens the endpoint and runs the sources until the block is left.

        Raises:
            ListenError: The endpoint cannot be opened.
            ConfigError: A certificate or key cannot be used.
        """
        async with self.web, asyncio.TaskGroup() as group:
            running = [
                group.create_task(self._source.run(self._sink), name="devices"),
                group.create_task(self._refresher.run(self._sink), name="tasks"),
            ]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()

    async def run(self, reload: Callable[[], Config]) -> None:
        """Runs until SIGTERM or SIGINT; SIGHUP reads the config again.

        Args:
            reload: Reads the config; a ConfigError from it keeps the old one.

        Raises:
            ListenError: The endpoint cannot be opened.
            ConfigError: A certificate or key cannot be used.
        """
        await daemon.run(
            self.running(),
            lambda: f"serving {self.config.node_name} on {self.web.url}",
            lambda: self._reload(reload),
        )

    def _reload(self, reload: Callable[[], Config]) -> None:
        try:
            self.reconfigure(reload())
        except ConfigError as error:
            _log.error("the config stays as it was: %s", error)
        else:
            _log.info("config read again")

    def reconfigure(self, new: Config) -> None:
        """Applies what can be applied live, and names what needs a restart.

        Raises:
            ConfigError: A certificate or key cannot be used; the old settings stay.
        """
        self._refresher.reconfigure(new.tasks)
        try:
            self.web.apply(new.listen)
        except ConfigError:
            self._refresher.reconfigure(self.config.tasks)
            raise
        log.configure(new.log, waits=False)
        waiting = [
            name for name in type(new).model_fields if name not in (*_LIVE, "listen", "prometheus", "report", "portal")
        ]
        changed = [name for name in waiting if getattr(new, name) != getattr(self.config, name)]
        changed += [
            f"listen.{key}" for key in ("host", "port") if getattr(new.listen, key) != getattr(self.config.listen, key)
        ]
        if changed:
            _log.warning("config: %s changed: restart the service to apply", ", ".join(changed))
        self.config = self.config.model_copy(update={"log": new.log, "tasks": new.tasks})
        self.node.reconfigure(new.tasks)


@dataclass(frozen=True, slots=True)
class _Sink:
    """The one sink of both sources (DeviceSink and TaskSink): the accounting is told first, then the instruments."""

    node: Node
    instruments: exposition.Instruments
    exposition: exposition.Exposition
    refresher: TaskRefresher

    def found(self, gpus: Sequence[Gpu]) -> None:
        before = self.node.scope()
        self.node.found(gpus)
        if self.node.scope() != before:
            self.refresher.hurry()
        for gpu in gpus:
            self.instruments.found(gpu)

    def read(self, uuid: str, reading: Reading, seconds: float) -> None:
        self.node.read(uuid, reading)
        self.exposition.outdated()
        self.instruments.read(seconds)

    def inspected(self, uuid: str, health: Health) -> None:
        self.node.inspected(uuid, health)

    def used_by(self, uuid: str, processes: Sequence[Process]) -> None:
        """See DeviceSink."""
        self.node.used_by(uuid, processes)

    def failed(self, gpu: Gpu | None, error: DeviceError) -> None:
        self.node.failed(gpu, error)
        self.instruments.failed(gpu, error)

    def recovered(self, gpu: Gpu | None) -> None:
        self.node.recovered(gpu)

    def restarted(self, reason: str) -> None:
        self.instruments.restarted(reason)

    def unbooked_since(self) -> float:
        return self.node.unbooked_since()

    def scope(self) -> Scope:
        return self.node.scope()

    def answered(self, answer: Answer, seconds: float) -> None:
        self.node.answered(answer)
        self.instruments.refreshed("ok", seconds)

    def refused(self, error: TasksError, seconds: float) -> None:
        self.node.refused(error)
        self.instruments.refreshed(error.result, seconds)
