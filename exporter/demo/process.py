"""A server process of ours: started, waited for, ended and reaped."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from exporter.errors import ExporterError

_KEPT_LINES = 20
_START_SECONDS = 120.0
"""After which one that still logs nothing that was waited for is given up."""
_LINE_BYTES = 2**20
"""VictoriaMetrics logs a query it refuses in one line."""


class ServerProcess:
    """Runs a command from entry to exit of an `async with`.

    Entering returns once the process has logged a line for each of `milestones`, in whichever order.

    Args:
        command: The program and its arguments.
        package: The Debian package that brings the program.
        milestones: Patterns of log lines; their matches are `found`, in the same order.
    """

    def __init__(self, command: Sequence[str], *, package: str, milestones: Sequence[re.Pattern[str]]) -> None:
        self._command = command
        self._package = package
        self._milestones = milestones
        self._matches: dict[int, re.Match[str]] = {}
        self._last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[None] | None = None

    @property
    def found(self) -> list[re.Match[str]]:
        """The first match of each milestone."""
        return [self._matches[n] for n in range(len(self._milestones))]

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> Self:
        """Starts it.

        Raises:
            ExporterError: It is not installed, or was not ready before it ended or two minutes went by; with its last
                words.
        """
        if shutil.which(self._command[0]) is None:
            raise ExporterError(f"{self._command[0]}: not installed: apt-get install {self._package}")
        # A session of its own: Ctrl-C reaches us alone, and we end it in order. If we are killed, the kernel ends it.
        self._process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "TERM", "--", *self._command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=_LINE_BYTES,
        )
        ready = asyncio.Event()
        self._drain = asyncio.create_task(self._read_log(ready))
        started = asyncio.create_task(ready.wait())
        try:
            await asyncio.wait((started, self._drain), timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            await self._stop()
            raise
        finally:
            started.cancel()
        if not ready.is_set():
            await self._stop()
            raise ExporterError("\n".join((f"{self._command[0]} did not start:", *self._last_lines)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it."""
        await self._stop()

    async def _read_log(self, ready: asyncio.Event) -> None:
        """Reads for as long as it runs: a full pipe would block it."""
        assert self._process is not None
        assert self._process.stderr is not None
        async for raw in self._process.stderr:
            line = raw.decode(errors="replace").rstrip()
            self._last_lines.append(line)
            for n, milestone in enumerate(self._milestones):
                match = None if n in self._matches else milestone.search(line)
                if match:
                    self._matches[n] = match
            if len(self._matches) == len(self._milestones):
                ready.set()

    async def _stop(self) -> None:
        assert self._process is not None
        assert self._drain is not None
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), timeout=10)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        await self._drain
