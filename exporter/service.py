"""The service of one node: its sources, its accounting, its endpoint, from start to end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector

from exporter import daemon, exposition, log
from exporter.config import Config, ConfigFile, changed_keys
from exporter.devices.source import DeviceSource
from exporter.errors import ConfigError, DeviceError, TasksError
from exporter.model import Answer, Gpu, Health, Process, Reading, Scope
from exporter.node import Node
from exporter.tasks.refresher import TaskRefresher
from exporter.tasks.threads import in_daemon_thread
from exporter.web.flags import WebFlags
from exporter.web.node import NodePages
from exporter.web.page import Surroundings
from exporter.web.server import WebServer
from exporter.weighing import weigh

_log = logging.getLogger(__name__)

_AT_START = ("hostname", "devices", "metering")
"""Of the config, what SIGHUP does not apply; beside the addresses of `listen`."""
_NO_FLAGS = WebFlags()
_LIFETIME_SECONDS = 1.0
"""For which a rendering is given again while nothing is read: with it ends a value that has ceased to be fresh."""


class Service:
    """One node, wired: two sources tell one sink, and the endpoint shows what came of it."""

    def __init__(
        self,
        config: Config,
        source: DeviceSource,
        flags: WebFlags = _NO_FLAGS,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Builds the parts; nothing runs yet.

        Args:
            config: The settings.
            source: Where readings come from.
            flags: What the command line says of the endpoint.
            monotonic: CLOCK_MONOTONIC.
            wall: Unix seconds.

        Raises:
            ConfigError: A file that the settings or flags name cannot be used.
        """
        self.config = config
        self._flags = flags
        self._source = source
        self.refresher = TaskRefresher(config.tasks, now=wall)
        self.node = Node(config.node_name, config.devices, config.metering, config.tasks, monotonic, wall)
        registry = CollectorRegistry(auto_describe=False)
        instruments = exposition.Instruments(registry)
        ProcessCollector(registry=registry)
        rendered = exposition.Exposition(self.node.snapshot, registry, _LIFETIME_SECONDS, monotonic)
        self.sink = Sink(self.node, instruments, rendered, self.refresher)
        self._pages = NodePages(
            self.node.snapshot, rendered, lambda: self.node.ready, Surroundings.of(config), monotonic
        )
        self.web = WebServer(flags.settings(config.listen), self._pages.answer)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Opens the endpoint and runs the sources until the block is left.

        Raises:
            ListenError: The endpoint cannot be opened.
            ConfigError: A certificate or key cannot be used.
        """
        async with self.web, asyncio.TaskGroup() as group:
            running = [
                group.create_task(self._source.run(self.sink), name="devices"),
                group.create_task(self.refresher.run(self.sink), name="tasks"),
                group.create_task(self._work_ahead(), name="ahead"),
            ]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()

    async def _work_ahead(self) -> None:
        """Renders what came of a sweep at its end, if it is going to be scraped before the next."""
        seconds = min(self.config.devices.interval, _LIFETIME_SECONDS)
        while True:
            await self.sink.exposition.news()
            await self._pages.prepare(seconds)

    async def run(self, file: ConfigFile) -> None:
        """Runs until SIGTERM or SIGINT.

        Args:
            file: Is read again at SIGHUP.

        Raises:
            ListenError: The endpoint cannot be opened.
            ConfigError: A certificate or key cannot be used.
        """
        await daemon.run(
            self.running(),
            lambda: f"serving {self.config.node_name} on {', '.join(self.web.urls)}",
            file,
            self.reconfigure,
        )

    def reconfigure(self, new: Config) -> list[str]:
        """Applies what can be applied live, and returns the keys that need a restart.

        Raises:
            ConfigError: A certificate or key cannot be used; the old settings stay.
        """
        self.refresher.reconfigure(new.tasks)
        try:
            self.web.apply(self._flags.settings(new.listen))
        except ConfigError:
            self.refresher.reconfigure(self.config.tasks)
            raise
        log.configure(new.log, waits=False)
        self._pages.page.around = Surroundings.of(new)
        changed = [key for key in changed_keys(self.config, new) if key.split(".")[0] in _AT_START]
        changed += self._flags.moved(self.config.listen, new.listen)
        self.config = self.config.model_copy(update={"log": new.log, "tasks": new.tasks})
        self.node.reconfigure(new.tasks)
        self.sink.exposition.outdated()
        return changed


@dataclass(frozen=True, slots=True)
class Sink:
    """The one sink of both sources (DeviceSink and TaskSink): the accounting is told first, then the instruments.

    After each word what was rendered before is outdated, so that the next scrape shows it.
    """

    node: Node
    instruments: exposition.Instruments
    exposition: exposition.Exposition
    refresher: TaskRefresher

    def found(self, gpus: Sequence[Gpu]) -> None:
        """See DeviceSink."""
        before = self.node.scope()
        self.node.found(gpus)
        if self.node.scope() != before:
            self.refresher.hurry()
        for gpu in gpus:
            self.instruments.found(gpu)
        self.exposition.outdated()

    def read(self, uuid: str, reading: Reading, seconds: float) -> None:
        """See DeviceSink."""
        self.node.read(uuid, reading)
        self.instruments.read(seconds)
        self.exposition.outdated()

    def inspected(self, uuid: str, health: Health) -> None:
        """See DeviceSink."""
        self.node.inspected(uuid, health)
        self.exposition.outdated()

    def used_by(self, uuid: str, processes: Sequence[Process]) -> None:
        """See DeviceSink."""
        self.node.used_by(uuid, processes)
        self.exposition.outdated()

    def failed(self, gpu: Gpu | None, error: DeviceError) -> None:
        """See DeviceSink."""
        self.node.failed(gpu, error)
        self.instruments.failed(gpu, error)
        self.exposition.outdated()

    def recovered(self, gpu: Gpu | None) -> None:
        """See DeviceSink."""
        self.node.recovered(gpu)
        self.exposition.outdated()

    def restarted(self, reason: str) -> None:
        """See DeviceSink."""
        self.instruments.restarted(reason)
        self.exposition.outdated()

    def wanted_since(self) -> float:
        """See TaskSink."""
        return self.node.wanted_since()

    def scope(self) -> Scope:
        """See TaskSink."""
        return self.node.scope()

    async def answered(self, answer: Answer, seconds: float) -> None:
        """See TaskSink."""
        question = self.node.question(answer)
        try:
            verdict = await in_daemon_thread(lambda: weigh(question))
        except OSError:  # no thread to be had: then the loop has to wait
            verdict = weigh(question)
        self.node.settle(verdict)
        self.instruments.refreshed("ok", seconds)
        self.exposition.outdated()

    def refused(self, error: TasksError, seconds: float) -> None:
        """See TaskSink."""
        self.node.refused(error)
        self.instruments.refreshed(error.result, seconds)
        self.exposition.outdated()
