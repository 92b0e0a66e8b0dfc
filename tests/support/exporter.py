"""The exporter as its users run it: a process, with a config file, signals and a log."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

_SERVING = re.compile(r"serving (.+) on (\S+)/$")
PATIENCE_SECONDS = 120.0
"""For what has to come, however slow the machine."""


@dataclass(slots=True)
class ExporterProcess:
    """A service, running."""

    process: asyncio.subprocess.Process
    config: Path
    patience: float = PATIENCE_SECONDS
    log: list[str] = field(default_factory=list)
    url: str = ""
    _grown: asyncio.Event = field(default_factory=asyncio.Event)
    _reading: asyncio.Task[None] | None = None

    def follow_log(self) -> None:
        """Begins to keep the log, or goes on with it."""
        self._reading = asyncio.create_task(self.read_log())

    async def ignore_log(self) -> None:
        """Reads no more of the log: the pipe that it is written to fills up."""
        assert self._reading is not None
        self._reading.cancel()
        await asyncio.wait([self._reading])

    async def ended(self) -> None:
        """Waits for the end of the process, which an unread pipe would hold up, and of its log."""
        assert self._reading is not None
        if self._reading.cancelled():
            self.follow_log()
        await self.process.wait()
        await self._reading

    async def logged(self, pattern: str) -> str:
        """Waits for a line of the log that matches, and returns it."""
        async with asyncio.timeout(self.patience):
            while True:
                for line in self.log:
                    if re.search(pattern, line):
                        return line
                self._grown.clear()
                await self._grown.wait()

    async def get(self, path: str) -> str:
        """The body of an answer that is 200."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            assert response.status == 200, response.status
            return await response.text()

    async def shows(self, condition: Callable[[Metrics], bool]) -> Metrics:
        """Scrapes until a condition holds, and returns that scrape."""
        async with asyncio.timeout(self.patience):
            while not condition(metrics := Metrics(await self.get("/metrics"))):
                await asyncio.sleep(0.05)  # /metrics has no event to await
            return metrics

    def reload(self, settings: Mapping[str, Any]) -> None:
        """Changes the config file and sends SIGHUP."""
        self.config.write_text(yaml.safe_dump(dict(settings)), encoding="utf-8")
        self.process.send_signal(signal.SIGHUP)

    async def read_log(self) -> None:
        """Keeps the log, until it ends."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log.append(line.decode().rstrip())
            if found := _SERVING.search(self.log[-1]):
                self.url = found[2]
            self._grown.set()


class Metrics:
    """One scrape."""

    def __init__(self, text: str) -> None:
        self.text = text

    def value(self, name: str, **labels: str) -> float | None:
        """The value of the first series with these labels, if there is one."""
        values = self.values(name, **labels)
        return values[0] if values else None

    def labels(self, name: str) -> list[dict[str, str]]:
        """The labels of all series of a metric."""
        lines = (line for line in self.text.splitlines() if line.startswith(name + "{"))
        return [dict(re.findall(r'(\w+)="([^"]*)"', line)) for line in lines]

    def values(self, name: str, **labels: str) -> list[float]:
        """The values of all series with these labels."""
        wanted = [f'{label}="{text}"' for label, text in labels.items()]
        return [
            float(line.rsplit(" ", 1)[1])
            for line in self.text.splitlines()
            if re.match(rf"{name}[{{ ]", line) and all(label in line for label in wanted)
        ]


@asynccontextmanager
async def exporter(
    directory: Path,
    settings: Mapping[str, Any],
    env: Mapping[str, str] | None = None,
    kind: str = "serve",
    flags: Sequence[str] = (),
) -> AsyncIterator[ExporterProcess]:
    """Runs a service on a free loopback port until the block is left; a test may end it before.

    Args:
        directory: For the config file.
        settings: Its content; `listen` is added.
        env: Beside this process' own.
        kind: The command.
        flags: More of its options.
    """
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "config.yaml"
    file.write_text(yaml.safe_dump({"listen": {"host": "127.0.0.1", "port": 0}, **settings}), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "exporter", kind, "--config", str(file), *flags,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )  # fmt: skip
    running = ExporterProcess(process, file)
    running.follow_log()
    try:
        await running.logged("serving ")
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
        await running.ended()
