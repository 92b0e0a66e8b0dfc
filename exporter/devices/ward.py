"""Where a GPU goes that is slow, hangs, crashes the library or fell off the bus, so that the others do not notice."""

from __future__ import annotations

import asyncio
import time

from exporter.devices.process import Worker, Workers, growing
from exporter.devices.protocol import Verb
from exporter.devices.roster import Package, Roster
from exporter.devices.source import DeviceSink
from exporter.errors import DeviceError, GpuLostError, ReadTimeoutError, WorkerCrashedError

PATIENCE = 1 / 3
"""The part of the time limit after which a late GPU is left to itself: of the rest, a fresh worker needs its start
before the other GPUs' readings are further apart than they may be."""
LOST = "the GPU is not on the bus any more: see dmesg; it needs a reset, or the node a reboot"
_LONGEST_PAUSE = 300.0


class Ward:
    """GPUs set aside, each in the care of one task.

    Args:
        roster: where they come from and return to.
        workers: starts the processes that probe them.
        tasks: holds the tasks.
        sink: is told of workers that were given up.
        interval: seconds between readings.
        timeout: seconds in which a GPU must answer.
    """

    def __init__(
        self,
        roster: Roster,
        workers: Workers,
        tasks: asyncio.TaskGroup,
        sink: DeviceSink,
        *,
        interval: float,
        timeout: float,
    ) -> None:
        self._roster = roster
        self._workers = workers
        self._tasks = tasks
        self._sink = sink
        self._interval = interval
        self._timeout = timeout
        self._one_probe = asyncio.Lock()

    def attend(self, package: Package, worker: Worker, verb: Verb) -> None:
        """Takes over a GPU that is late, and the worker that waits for it."""
        package.set_aside = True
        self._tasks.create_task(self._attend(package, worker, verb))

    def admit(self, package: Package, *, reset: bool = False) -> None:
        """Takes over a GPU that failed.

        Args:
            package: the GPU.
            reset: once it is back, only workers started since know it well.
        """
        package.set_aside = True
        self._tasks.create_task(self._cure(package, pause=self._interval, reset=reset))

    async def _attend(self, package: Package, worker: Worker, verb: Verb) -> None:
        """Reads on with the GPU's own worker until it answers quickly again, or not in time."""
        patience = self._timeout * PATIENCE
        asked = time.monotonic() - patience
        try:
            while True:
                async with asyncio.timeout(asked + self._timeout - time.monotonic()):
                    answer = await worker.answer(verb)
                self._roster.heard(package, verb, answer)
                self._roster.announce()
                if time.monotonic() - asked < patience:
                    package.set_aside = False
                    return
                await asyncio.sleep(asked + self._interval - time.monotonic())
                asked = time.monotonic()
                verb = Verb.READ
                worker.ask(verb, package.address)
        except TimeoutError:
            self._sink.restarted("timeout")
            error: DeviceError = self._late(verb)
        except WorkerCrashedError as crash:
            self._sink.restarted("crash")
            error = crash
        except DeviceError as failure:
            error = failure
        finally:
            worker.kill()
        self._roster.failed(package, error)
        pause = self._timeout if isinstance(error, ReadTimeoutError) else self._interval
        await self._cure(package, worker, pause=pause, reset=isinstance(error, GpuLostError))

    async def _cure(self, package: Package, worker: Worker | None = None, *, pause: float, reset: bool) -> None:
        """Probes with growing pauses until the GPU can be read."""
        if time.monotonic() - package.returned_at < _LONGEST_PAUSE:
            # It cannot be trusted yet: without this, a GPU that only passes probes would come and go for ever.
            pause = max(pause, 2 * package.pause)
        for package.pause in growing(pause, _LONGEST_PAUSE):
            await asyncio.sleep(package.pause)
            if worker is not None:
                # Stuck in the kernel it cannot be killed, and another would only join it.
                await asyncio.wait([worker.ended])
            async with self._one_probe:
                try:
                    worker = await self._workers.start()
                    await self._probe(package, worker)
                except DeviceError as error:
                    self._roster.failed(package, error)
                else:
                    package.set_aside = False
                    package.returned_at = time.monotonic()
                    self._roster.outdated |= reset
                    return
                finally:
                    if worker is not None:
                        worker.kill()

    async def _probe(self, package: Package, worker: Worker) -> None:
        """Everything a GPU must be able to do, once.

        Raises:
            DeviceError: it cannot.
        """
        await worker.begin()
        if package.address not in worker.positions:
            raise GpuLostError(LOST)
        for verb in (Verb.IDENTIFY, Verb.READ):
            worker.ask(verb, package.address)
            try:
                async with asyncio.timeout(self._timeout):
                    answer = await worker.answer(verb)
            except TimeoutError:
                raise self._late(verb) from None
            self._roster.heard(package, verb, answer)
            self._roster.announce()

    def _late(self, verb: Verb) -> ReadTimeoutError:
        return ReadTimeoutError(
            f"{verb}: no answer within {self._timeout:g} s, so the driver hangs: see dmesg; "
            "the GPU is set aside and tried again with growing pauses"
        )
