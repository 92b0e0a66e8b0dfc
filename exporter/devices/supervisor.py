"""The source of readings over amdsmi: a beat of sweeps, through worker processes that may hang, crash or be killed.

One worker reads all GPUs in service, one after the other. It is asked about one GPU at a time, so whatever becomes of
it, the GPU at fault is known. An answer that is late does not hold up the others: the worker is left to that GPU
in the ward, and a fresh one goes on with the rest.
"""

from __future__ import annotations

import asyncio
import math
import time

from exporter.config import Devices
from exporter.devices.faults import WHOLE_SOURCE
from exporter.devices.process import Worker, Workers, growing
from exporter.devices.protocol import Verb
from exporter.devices.roster import Package, Roster
from exporter.devices.source import DeviceSink
from exporter.devices.ward import LOST, PATIENCE, Ward
from exporter.errors import DeviceError, GpuLostError, WorkerCrashedError

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_INSPECT_SECONDS = 60.0
_SEARCH_SECONDS = 300.0
_TOO_MANY_FAILURES = 10
"""A GPU that fails so often in a row may work for a fresh worker only: the driver was reloaded, the GPU reset."""


class _WorkerLost(Exception):  # noqa: N818  a turn of events, not an error
    """The worker was left to a GPU, or died; another one must go on at once."""


class AmdsmiSource:
    """Readings of this machine's GPUs, by amdsmi.

    Args:
        settings: the interval of the sweeps, how long a GPU may take to answer, and how many there should be.
    """

    def __init__(self, settings: Devices) -> None:
        self._settings = settings

    async def run(self, sink: DeviceSink) -> None:
        """Reads until cancelled; no fault of library, driver or GPU ends it."""
        async with Workers() as workers, asyncio.TaskGroup() as tasks:
            await _Supervision(self._settings, sink, workers, tasks).run()


class _Supervision:
    """One run of the source."""

    def __init__(self, settings: Devices, sink: DeviceSink, workers: Workers, tasks: asyncio.TaskGroup) -> None:
        self._settings = settings
        self._sink = sink
        self._workers = workers
        self._roster = Roster(sink)
        self._ward = Ward(self._roster, workers, tasks, sink, interval=settings.interval, timeout=settings.timeout)
        self._patience = settings.timeout * PATIENCE

    async def run(self) -> None:
        """Worker after worker."""
        pauses = growing(_FIRST_PAUSE, _LONGEST_PAUSE)
        while True:
            worker = None
            try:
                worker = await self._workers.start()
                await self._begin(worker)
                pauses = growing(_FIRST_PAUSE, _LONGEST_PAUSE)
                await self._sweep_until_outdated(worker)
                worker.kill()
            except _WorkerLost:
                continue
            except DeviceError as error:
                self._roster.faults.failed(WHOLE_SOURCE, None, error)
                if worker is not None:
                    worker.kill()
                    # Stuck in the kernel it cannot be killed, and another would only join it.
                    await asyncio.wait([worker.ended])
                await asyncio.sleep(next(pauses))
                self._sink.restarted("crash" if isinstance(error, WorkerCrashedError) else "start")

    async def _begin(self, worker: Worker) -> None:
        """Lists and identifies the GPUs; those in the ward are not touched.

        Raises:
            DeviceError: not one GPU can be identified.
        """
        await worker.begin()
        self._roster.outdated = False
        for package in self._roster.enter(worker.positions):
            if not package.set_aside:
                self._roster.failed(package, GpuLostError(LOST))
                self._ward.admit(package, reset=True)
        refused: list[tuple[Package, DeviceError]] = []
        for package in list(self._roster.packages.values()):
            if package.set_aside:
                continue
            try:
                await self._ask(worker, Verb.IDENTIFY, package)
            except DeviceError as error:
                refused.append((package, error))
        if len(refused) == len(self._roster.packages):
            raise refused[0][1]
        self._roster.announce()
        for package, refusal in refused:
            self._roster.failed(package, refusal)
            self._ward.admit(package, reset=True)
        self._roster.faults.over(WHOLE_SOURCE)
        for number, package in enumerate(self._roster.in_service()):
            if package.inspect_at is None:
                # One a beat: all at once would hold up a sweep.
                package.inspect_at = time.monotonic() + number * self._settings.interval

    async def _sweep_until_outdated(self, worker: Worker) -> None:
        """Sweeps in a beat that neither drifts nor piles up, until a worker is wanted that knows more GPUs."""
        beat = time.monotonic()
        few = len(self._roster.packages) < (self._settings.expected or 0)
        search_at = beat + _SEARCH_SECONDS if few else math.inf
        while not self._outdated(worker) and beat < search_at:
            await self._sweep(worker)
            late = time.monotonic() - beat
            beat += self._settings.interval * max(1, math.ceil(late / self._settings.interval))
            await asyncio.sleep(beat - time.monotonic())
        self._sink.restarted("rescan")

    def _outdated(self, worker: Worker) -> bool:
        in_service = self._roster.in_service()
        return self._roster.outdated or any(package.address not in worker.positions for package in in_service)

    async def _sweep(self, worker: Worker) -> None:
        """Reads every GPU in service, and inspects those that are due.

        Raises:
            WorkerCrashedError: the worker died since the last sweep, through no GPU's fault.
            _WorkerLost: a GPU is late, or the library crashed over it.
        """
        if worker.ended.done():
            raise WorkerCrashedError(f"while idle, {await worker.cause_of_death()}")
        packages = self._roster.in_service()
        for package in packages:
            await self._ask_in_service(worker, Verb.READ, package)
        for package in packages:
            if not package.set_aside and (package.inspect_at or 0.0) <= time.monotonic():
                package.inspect_at = time.monotonic() + _INSPECT_SECONDS
                await self._ask_in_service(worker, Verb.INSPECT, package)

    async def _ask_in_service(self, worker: Worker, verb: Verb, package: Package) -> None:
        try:
            await self._ask(worker, verb, package)
        except GpuLostError as error:
            self._roster.failed(package, error)
            self._ward.admit(package, reset=True)
        except DeviceError as error:
            self._roster.failed(package, error)
            if package.failures == _TOO_MANY_FAILURES:
                self._ward.admit(package, reset=True)

    async def _ask(self, worker: Worker, verb: Verb, package: Package) -> None:
        """One question and its answer, which the roster hears.

        Raises:
            DeviceError: the answer is a failure of this GPU.
            _WorkerLost: there was none.
        """
        worker.ask(verb, package.address)
        try:
            async with asyncio.timeout(self._patience):
                answer = await worker.answer(verb)
        except TimeoutError:
            self._ward.attend(package, worker, verb)
            raise _WorkerLost from None
        except WorkerCrashedError as error:
            self._roster.failed(package, error)
            self._ward.admit(package)
            worker.kill()
            self._sink.restarted("crash")
            raise _WorkerLost from error
        self._roster.heard(package, verb, answer)
