"""Which worker reads: started, replaced and let go as it fares.

One worker is the incumbent: what it reads is told. Where another plan would be better (a call hangs in the library, a
pause is over, a GPU came) a successor is started beside it, and takes its place once it has proven itself: so a change
of workers costs no reading, and a trial that fails costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import replace

from exporter.devices.protocol import LIBRARY, Batch, LibraryState, Plan, address_of, is_inspection
from exporter.devices.source import DeviceSink
from exporter.devices.supervisor.faults import WHOLE_SOURCE
from exporter.devices.supervisor.member import Member
from exporter.devices.supervisor.process import Workers
from exporter.devices.supervisor.quarantine import Quarantine, exponential_backoff
from exporter.devices.supervisor.roster import Roster
from exporter.errors import DeviceError, GpuLostError, ReadTimeoutError, WorkerCrashedError

_logger = logging.getLogger(__name__)

_LOST = "the GPU is not on the bus any more: see dmesg; it needs a reset, or the node a reboot"
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_SEARCH_SECONDS = 60.0
"""Between searches for GPUs that `devices.expected` says there are, where the kernel does not list them."""
_SILENT_SECONDS = 30.0
"""In which a worker begins to speak, on a machine that is busy: Python, and the kernel's files. Then it speaks at least
twice in `devices.timeout`."""

_Event = tuple[Member, Batch | DeviceError]


class Supervision:
    """One run of the source.

    Args:
        plan: for a worker that may ask everything.
        expected: how many GPUs there should be; 0: as many as there are.
        sink: hears it all.
        workers: starts them.
        tasks: where what waits for their words runs.
    """

    def __init__(self, plan: Plan, expected: int, sink: DeviceSink, workers: Workers, tasks: asyncio.TaskGroup) -> None:
        self._plan = plan
        self._expected = expected
        self._sink = sink
        self._workers = workers
        self._tasks = tasks
        self._roster = Roster(sink)
        self._quarantine = Quarantine(max(plan.interval, _FIRST_PAUSE))
        self._events: asyncio.Queue[_Event] = asyncio.Queue()
        self._incumbent: Member | None = None
        self._successor: Member | None = None
        self._pauses = exponential_backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        self._start_at = 0.0
        """Not sooner is the next worker started."""
        self._search_at = math.inf
        self._reason = ""
        """Why the next worker is started; empty for the first."""
        self._library_failed = ""
        """Why the next worker is to begin without the library, which may crash it, too; empty if it need not."""

    async def run(self) -> None:
        """Goes from event to event."""
        while True:
            await self._arrange()
            try:
                async with asyncio.timeout(self._next_look()):
                    member, event = await self._events.get()
            except TimeoutError:
                self._look_for_silence()
                continue
            if self._successor is not None:
                self._look_for_silence()
            if member not in (self._incumbent, self._successor):
                continue  # it was let go since
            if isinstance(event, DeviceError):
                self._died(member, event)
            else:
                self._heard(member, event)

    # What is wanted.

    async def _arrange(self) -> None:
        """Starts a worker, or lets one go, so that what can be read is."""
        now = time.monotonic()
        if self._successor is not None:
            self._spare_the_spare()
            return
        if now < self._start_at and not self._library_failed:
            return
        left_out = self._quarantine.active(now)
        if self._incumbent is not None:
            news = self._incumbent.library
            if self._workers.lingering and (news.late is None or self._all_covered()):
                return
            if news.late is not None and not news.overdue:
                left_out[news.late] = _late(news.late, self._plan.timeout)
            plan = replace(self._plan, left_out=left_out)
            if not self._is_wanting(self._incumbent, plan) and now < self._search_at:
                return
            self._reason = self._why(self._incumbent, plan)
        elif self._library_failed:
            left_out[LIBRARY], self._library_failed = self._library_failed, ""
        elif self._plan.source == "amdsmi" and LIBRARY in left_out:
            return
        await self._start(replace(self._plan, left_out=left_out))

    def _is_wanting(self, member: Member, plan: Plan) -> bool:
        """Tells whether a worker with this plan would read more through the library than this one does."""
        if member.library.state is LibraryState.UNUSED and self._plan.source == "sysfs":
            return False
        if member.library.outdated:
            return True
        if LIBRARY in plan.left_out:
            return False
        if member.library.late is not None and not member.library.overdue and self._all_covered():
            return False
        silent = member.silent.keys() | (self._missing(member) if member.is_proven else set())
        return bool(silent - plan.left_out.keys())

    def _spare_the_spare(self) -> None:
        """Lets a successor go that was started over a late call, which has come back since."""
        incumbent, successor = self._incumbent, self._successor
        if successor is None or successor.reason != "timeout" or incumbent is None:
            return
        if incumbent.library.late is None:
            self._let_go(successor)

    def _all_covered(self) -> bool:
        return self._roster.has_covered and all(package.covered for package in self._roster.packages.values())

    def _why(self, member: Member, plan: Plan) -> str:
        if member.library.late is not None and member.library.late in plan.left_out:
            return "timeout"
        return "rescan" if member.library.outdated or time.monotonic() >= self._search_at else "retry"

    async def _start(self, plan: Plan) -> None:
        try:
            worker = await self._workers.start(plan)
        except WorkerCrashedError as error:
            self._start_failed(error)
            return
        if self._reason:
            self._sink.restarted(self._reason)
        self._search_at = math.inf
        self._successor = Member(worker, time.monotonic(), self._reason)
        self._tasks.create_task(self._listen(self._successor))

    async def _listen(self, member: Member) -> None:
        try:
            while True:
                self._events.put_nowait((member, await member.worker.batch()))
        except DeviceError as error:
            self._events.put_nowait((member, error))

    # What happens.

    def _heard(self, member: Member, batch: Batch) -> None:
        member.heard_at = time.monotonic()
        if batch.nothing is not None:
            self._let_go(member)
            self._reason = "start"
            self._start_failed(batch.nothing.error())
            return
        member.has_spoken |= bool(batch.present)
        if batch.library is not None:
            member.library = batch.library
            self._heard_of_library(member)
        if member.library.state is not LibraryState.STARTING:
            member.settled_at = min(member.settled_at, member.heard_at)
        if member is self._incumbent:
            self._roster.hear(batch)
            return
        member.hold(batch)
        if member is self._successor and (member.is_proven or (member.has_spoken and self._incumbent is None)):
            self._promote(member)

    def _heard_of_library(self, member: Member) -> None:
        """Puts what the library does not answer into quarantine, and lets out what it answers again."""
        now, news = time.monotonic(), member.library
        active = self._quarantine.active(now)
        if news.late is not None and news.overdue and news.late not in active:
            self._suspect(news.late, ReadTimeoutError(_late(news.late, self._plan.timeout)))
            if member is self._successor:
                self._let_go(member)
            return
        for key, failure in news.given_up.items():
            if key not in active:
                self._quarantine.put(key, failure.message, now)
        if news.error is not None and LIBRARY not in active:
            self._quarantine.put(LIBRARY, news.error.message, now)
        if news.state is LibraryState.SERVING:
            for address in self._missing(member) - active.keys():
                self._suspect(address, GpuLostError(_LOST))
            for key in set(self._quarantine.on_trial(now)) - member.silent.keys():
                self._quarantine.release(key, now)

    def _missing(self, member: Member) -> set[str]:
        """Returns the GPUs that the library should know and does not."""
        known = {address for address, package in self._roster.packages.items() if not package.covered}
        return known - set(member.library.listed)

    def _promote(self, member: Member) -> None:
        """Puts the successor in the incumbent's place."""
        former, self._incumbent, self._successor = self._incumbent, member, None
        if former is not None:
            late = former.library.late
            if late is not None and late not in self._quarantine.active(time.monotonic()):
                self._suspect(late, ReadTimeoutError(_late(late, self._plan.timeout)))
            former.worker.kill()
        self._pauses = exponential_backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        self._roster.faults.over(WHOLE_SOURCE, None)
        for batch in member.take():
            self._roster.hear(batch)
        if not self._roster.has_covered and len(self._roster.packages) < self._expected:
            self._search_at = time.monotonic() + _SEARCH_SECONDS

    def _died(self, member: Member, error: DeviceError) -> None:
        """A worker is no more, or not to be listened to.

        If the library has done it to the one that reads, the next reads without: this one is wanted at once, and a
        library that crashes on one GPU may crash on the next.
        """
        is_trial = member is self._successor
        suspect = self._let_go(member)
        self._reason = "timeout" if isinstance(error, ReadTimeoutError) else "crash"
        if suspect and self._incumbent is self._successor is None and self._kernel_may_serve():
            self._library_failed = str(error)
        if suspect:
            self._suspect(self._to_blame(suspect, member), error)
        if not self._library_failed and (is_trial or not suspect):
            self._start_failed(error)

    def _kernel_may_serve(self) -> bool:
        """Tells whether a worker without the library may read all GPUs: where nothing is known yet, it may."""
        return self._plan.source == "auto" and (not self._roster.packages or self._all_covered())

    def _to_blame(self, suspect: str, member: Member) -> str:
        """Returns what to leave out after a crash: the library as a whole if it crashes on one GPU after another."""
        if is_inspection(suspect) or not self._all_covered():
            return suspect
        others = {key for key in member.worker.plan.left_out if not is_inspection(key)} - {suspect}
        return LIBRARY if others or LIBRARY in self._quarantine.on_trial(time.monotonic()) else suspect

    def _suspect(self, key: str, error: DeviceError) -> None:
        """Leaves something out for a while. Of GPUs that have only the library it is a failure."""
        address = address_of(key)
        if key == LIBRARY and not self._roster.has_covered:
            self._start_failed(error)
            return
        self._quarantine.put(key, str(error), time.monotonic())
        if key == address and not self._roster.is_covered(address) and not self._library_failed:
            self._roster.failed(address, error)
        elif is_inspection(key):
            _logger.warning("the health of the GPU at %s is not asked for: %s", address, error)

    def _start_failed(self, error: DeviceError) -> None:
        """Waits before the next worker, with growing pauses; says so unless another reads on."""
        now = time.monotonic()
        if now >= self._start_at:
            self._start_at = now + next(self._pauses)
        if self._incumbent is None:
            self._roster.faults.failed(WHOLE_SOURCE, None, error)

    def _look_for_silence(self) -> None:
        """Gives up workers that say nothing, though they should several times: not one of their threads runs."""
        for member in (self._incumbent, self._successor):
            if member is None:
                continue
            patience = 2 * self._plan.timeout if member.has_spoken else _SILENT_SECONDS
            if time.monotonic() - member.heard_at > patience:
                self._died(member, ReadTimeoutError(f"the worker process has said nothing for {patience:g} s"))

    def _next_look(self) -> float:
        """Seconds until something may be due."""
        now = time.monotonic()
        due = [self._quarantine.next_due(now), self._search_at, now + self._plan.timeout]
        if self._start_at > now:
            due.append(self._start_at)
        return max(0.001, min(due) - now)

    def _let_go(self, member: Member) -> str:
        """Ends a worker; returns the key of the library's call that it was in, if any."""
        if member is self._incumbent:
            self._incumbent = None
        if member is self._successor:
            self._successor = None
        return member.worker.kill()


def _late(key: str, timeout: float) -> str:
    what = "amdsmi_init" if key == LIBRARY else f"amdsmi, asked to {key}" if is_inspection(key) else "amdsmi"
    return (
        f"{what}: no answer in time (devices.timeout is {timeout:g} s), so the driver hangs: see dmesg; "
        "it is left out and tried again with growing pauses"
    )
