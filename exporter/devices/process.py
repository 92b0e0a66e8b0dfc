"""Worker processes as their parent sees them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self

from pydantic import TypeAdapter, ValidationError

from exporter.devices.protocol import Failure, Verb
from exporter.errors import ReadTimeoutError, WorkerCrashedError
from exporter.model import Gpu, Health, Reading

_COMMAND = [sys.executable, "-m", "exporter.devices.worker"]
_SECRETS = {"EXPORTER_TASKS_TOKEN", "CREDENTIALS_DIRECTORY"}
_START_SECONDS = 30.0
"""In which a worker begins: Python, the library and all GPUs' drivers, on a machine that is busy."""
_FAREWELL_SECONDS = 2.0


class Answer(NamedTuple):
    """What a worker said, and how long the library took for it."""

    seconds: float
    value: Any
    """By the verb: bus addresses, a `Gpu`, a `Reading` or a `Health`; None beside a failure."""
    failure: Failure | None
    """None in every answer that `Worker.answer` returns."""


_ANSWERS: dict[Verb, TypeAdapter[Any]] = {
    Verb.BEGIN: TypeAdapter(tuple[float, tuple[str, ...] | None, Failure | None]),
    Verb.IDENTIFY: TypeAdapter(tuple[float, Gpu | None, Failure | None]),
    Verb.READ: TypeAdapter(tuple[float, Reading | None, Failure | None]),
    Verb.INSPECT: TypeAdapter(tuple[float, Health | None, Failure | None]),
}


class Worker:
    """One worker process. Ask it one thing at a time."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self.ended = asyncio.create_task(process.wait())
        """Done once the process is reaped, which a process stuck in the kernel may never be."""
        self.pid = process.pid
        self.positions: dict[str, int] = {}
        """The library's number of each package's first partition, which speaks for all, by the package's address."""

    async def begin(self) -> None:
        """Waits until it has loaded the library and listed the GPUs.

        Raises:
            DeviceError: it cannot.
        """
        try:
            async with asyncio.timeout(_START_SECONDS):
                bdfs = (await self.answer(Verb.BEGIN)).value
        except TimeoutError:
            message = f"amdsmi_init: no answer within {_START_SECONDS:g} s, so the driver hangs: see dmesg"
            raise ReadTimeoutError(message) from None
        for position, bdf in enumerate(bdfs):
            self.positions.setdefault(bdf.rpartition(".")[0], position)

    def ask(self, verb: Verb, address: str) -> None:
        """Asks about the GPU at an address."""
        self._writer.write(b"%b %d\n" % (verb.encode(), self.positions[address]))

    async def answer(self, verb: Verb) -> Answer:
        """The answer to what was asked last; `BEGIN` is never asked, and answered first.

        Cancelled by a time limit, it may be called again: nothing is lost.

        Raises:
            DeviceError: the worker's, in its own words.
            WorkerCrashedError: it died, or speaks nonsense.
        """
        try:
            line = await self._reader.readline()
        except (OSError, ValueError):  # reset; or a line without end
            line = b""
        if not line.endswith(b"\n"):
            raise WorkerCrashedError(await self.cause_of_death())
        try:
            answer = Answer(*_ANSWERS[verb].validate_json(line))
        except ValidationError as error:
            raise WorkerCrashedError("the worker process speaks nonsense: its memory is corrupt") from error
        if answer.failure is not None:
            raise answer.failure.error()
        return answer

    def kill(self) -> None:
        """Ends the process, if the kernel lets it; `ended` tells when it has."""
        self._writer.close()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    @property
    def gone(self) -> bool:
        """Nothing is left of it, neither process nor socket."""
        return self.ended.done() and self._writer.is_closing()

    async def cause_of_death(self) -> str:
        """How the process ended, in words for the operator."""
        await asyncio.wait([self.ended], timeout=_FAREWELL_SECONDS)
        code = self._process.returncode
        if code is None:
            return "the worker process closed its socket and lives on"
        if code < 0:
            return f"the worker process was ended by {signal.Signals(-code).name}: see dmesg"
        return f"the worker process ended with status {code}: see what it wrote to stderr"


class Workers:
    """Starts worker processes, and leaves none behind at the end of its block."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.kill()
        farewells = [worker.ended for worker in self._workers]
        if farewells:
            await asyncio.wait(farewells, timeout=_FAREWELL_SECONDS)
        for farewell in farewells:
            farewell.cancel()

    async def start(self) -> Worker:
        """A new process, which now begins.

        Raises:
            WorkerCrashedError: the system refuses a process.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            try:
                process = await _launch(theirs.fileno())
            except BaseException:
                writer.close()
                raise
        worker = Worker(process, reader, writer)
        self._workers = [other for other in self._workers if not other.gone]
        self._workers.append(worker)
        return worker


async def _launch(descriptor: int) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *_COMMAND,
            str(descriptor),
            stdin=asyncio.subprocess.DEVNULL,
            # The library prints there when it cannot be loaded.
            stdout=asyncio.subprocess.DEVNULL,
            pass_fds=[descriptor],
            # The library may dump core, and its core holds the environment.
            env={name: value for name, value in os.environ.items() if name not in _SECRETS},
        )
    except OSError as error:
        raise WorkerCrashedError(f"no worker process can be started: {error.strerror}") from error


def growing(first: float, longest: float) -> Iterator[float]:
    """Pauses between attempts, in seconds: each twice the one before."""
    pause = first
    while True:
        yield min(pause, longest)
        pause *= 2
