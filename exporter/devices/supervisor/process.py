"""Worker processes as their parent sees them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from types import TracebackType
from typing import Self

from pydantic import TypeAdapter
from pydantic_core import from_json

from exporter.devices.protocol import Batch, Plan, Progress
from exporter.errors import WorkerCrashedError

_COMMAND = [sys.executable, "-m", "exporter.devices.worker"]
_SECRETS = {"EXPORTER_TASKS_TOKEN", "CREDENTIALS_DIRECTORY"}
_FAREWELL_SECONDS = 2.0
_LONGEST_LINE = 2**20
_LARGEST = 1e24
"""More than a counter of 64 bits in KiB comes to."""
_BATCH = TypeAdapter(Batch)


class Worker:
    """One worker process, and what it was told to do."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        progress: Progress,
        plan: Plan,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._progress = progress
        self.plan = plan
        self.began = time.monotonic()
        self.ended = asyncio.create_task(process.wait())
        """Done once the process is reaped, which a process stuck in the kernel may never be."""
        self.pid = process.pid

    async def batch(self) -> Batch:
        """Waits for what it says next.

        Raises:
            WorkerCrashedError: it died, or speaks nonsense.
        """
        try:
            line = await self._reader.readline()
        except (OSError, ValueError):  # reset; or a line without end
            line = b""
        if not line.endswith(b"\n"):
            raise WorkerCrashedError(await self._cause_of_death())
        try:
            return _decoded(line, time.monotonic())
        except ValueError as error:
            raise WorkerCrashedError("the worker process speaks nonsense: its memory is corrupt") from error

    def kill(self) -> str:
        """Ends the process, if the kernel lets it; `ended` tells when it has.

        Returns:
            The key of the library's call that it was in, or died in; empty without, and the second time.
        """
        if self.closed:
            return ""
        suspect = self._progress.key
        self._progress.close()
        self._writer.transport.abort()  # what it has not read yet is for nobody
        if not self.ended.done():
            # Not by the process object, which would look whether it ended, and so take that from who waits for it.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        return suspect

    async def hung_up(self) -> None:
        """Waits until the socket of a process that was killed is closed."""
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    @property
    def closed(self) -> bool:
        """It was killed, or at least told so."""
        return self._writer.is_closing()

    @property
    def gone(self) -> bool:
        """Nothing is left of it, neither process nor socket."""
        return self.ended.done() and self._writer.is_closing()

    async def _cause_of_death(self) -> str:
        """How the process ended, in words for the operator."""
        await asyncio.wait([self.ended], timeout=_FAREWELL_SECONDS)
        code = self._process.returncode
        if code is None:
            return "the worker process closed its socket and lives on"
        if code < 0:
            return f"the worker process was ended by {signal.Signals(-code).name}: see dmesg"
        return f"the worker process ended with status {code}: see what it wrote to stderr"


def _decoded(line: bytes, now: float) -> Batch:
    """Returns what a line tells.

    Raises:
        ValueError: It is no batch, or one whose numbers no hardware tells. What is told of the future would keep all
            later words on its GPU from counting, and a number that no float holds would end every scrape.
    """
    document = from_json(line, allow_inf_nan=False)
    if not _is_within_reason(document):
        raise ValueError("numbers that no counter reaches")
    batch = _BATCH.validate_python(document)
    if any(reading.taken > now or seconds < 0 for _, seconds, reading in batch.readings):
        raise ValueError("a reading of the future")
    if any(at > now for _, at, _ in batch.failures):
        raise ValueError("a failure of the future")
    return batch


def _is_within_reason(document: object) -> bool:
    """Tells whether every number in a document is one that a counter may reach; some hundred in each sweep."""
    values = [document]
    for value in values:
        kind = type(value)
        if kind is float or kind is int:
            if not -_LARGEST < value < _LARGEST:  # type: ignore[operator]  # it is a number
                return False
        elif kind is dict:
            values += value.values()  # type: ignore[attr-defined]
        elif kind is list:
            values += value  # type: ignore[arg-type]
    return True


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
        for worker in self._workers:
            await worker.hung_up()
        for farewell in farewells:
            farewell.cancel()

    @property
    def lingering(self) -> bool:
        """Some process was killed and is not dead: stuck in the kernel, where another would only join it."""
        return any(worker.closed and not worker.ended.done() for worker in self._workers)

    async def start(self, plan: Plan) -> Worker:
        """Starts a process that carries out a plan.

        Raises:
            WorkerCrashedError: the system refuses a process.
        """
        self._workers = [worker for worker in self._workers if not worker.gone]
        try:
            worker = await _launched(plan)
        except OSError as error:
            raise WorkerCrashedError(f"no worker process can be started: {error.strerror}") from error
        self._workers.append(worker)
        return worker


def _environment() -> dict[str, str]:
    """Returns ours without secrets: the library may dump core, and its core holds the environment.

    Of many threads each would reserve an arena of 64 MiB, which tells address space that leaks from what does not.
    """
    ours = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    return {"MALLOC_ARENA_MAX": "2", **ours}


async def _launched(plan: Plan) -> Worker:
    with contextlib.ExitStack() as of_worker, contextlib.ExitStack() as on_failure:
        page = os.memfd_create("exporter-progress")
        of_worker.callback(os.close, page)
        os.ftruncate(page, Progress.SIZE)
        progress = Progress(page)
        on_failure.callback(progress.close)
        ours, theirs = socket.socketpair()
        of_worker.enter_context(theirs)
        reader, writer = await asyncio.open_connection(sock=ours, limit=_LONGEST_LINE)
        on_failure.callback(writer.close)
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            str(theirs.fileno()),
            str(page),
            plan.encode(),
            stdin=asyncio.subprocess.DEVNULL,
            # The library prints there when it cannot be loaded.
            stdout=asyncio.subprocess.DEVNULL,
            pass_fds=[theirs.fileno(), page],
            env=_environment(),
        )
        on_failure.pop_all()
        return Worker(process, reader, writer, progress, plan)
