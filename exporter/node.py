"""One node's accounting: readings and answers go in, immutable snapshots come out.

Pure but for the two clocks it is given, so that a day can be lived through in seconds.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from exporter import config
from exporter.ended import EndedTasks
from exporter.errors import DeviceError, TasksError
from exporter.labels import MAX_SERIES, OTHER
from exporter.metering.idle_clock import IdleClock
from exporter.metering.ledger import Ledger
from exporter.metering.meter import Meter
from exporter.model import (
    SHOWN_SECONDS,
    Answer,
    Gpu,
    GpuState,
    Health,
    Hold,
    Process,
    Reading,
    Scope,
    Snapshot,
    SourceState,
)
from exporter.ownership import Holdings, in_force, joint_owner
from exporter.weighing import Oddities, Question, Verdict, holds_of, weigh

_log = logging.getLogger(__name__)

_MAX_LOGGED = 10
"""Of one kind at a time: an answer may hold thousands."""
_NOBODY_TO_ASK = SourceState(problem="tasks.url is not set: all time is booked to unknown owners")


@dataclass(slots=True)
class _Package:
    """All that is kept of one GPU."""

    gpu: Gpu
    meter: Meter
    ledger: Ledger
    holds: tuple[Hold, ...] | None = None
    """By start, as the last answer has them; None if it does not tell of this GPU."""
    unlisted_owners: int = 0
    """Of those who held it at the last answer: without series of their own."""
    ended: EndedTasks = field(default_factory=EndedTasks)
    reading: Reading | None = None
    health: Health | None = None
    problem: DeviceError | None = None
    processes: tuple[Process, ...] | None = None
    idle_clock: IdleClock = field(default_factory=IdleClock)


@dataclass(slots=True)
class Node:
    """Accounts the GPUs of one node: what the devices and the tasks tell becomes counters, booked to owners."""

    hostname: str
    devices: config.Devices
    metering: config.Metering
    tasks: config.Tasks
    monotonic: Callable[[], float]
    wall: Callable[[], float]
    _packages: dict[str, _Package] = field(default_factory=dict)
    _answer: Answer | None = None
    _holdings: Holdings | None = None
    """Of the last answer."""
    _oddities: Oddities = field(default_factory=Oddities)
    """Of the last answer."""
    _misses_ends: bool = False
    """Whether the last answer does not tell what became of tasks that ran, or of a GPU that was found since."""
    _server_offset: float | None = None
    """The server's Unix time less monotonic time, where it is known to differ from the wall clock's."""
    _read_at: float | None = None
    """Unix seconds of the last reading."""
    _device_problem: str | None = None
    _task_state: SourceState = field(default_factory=SourceState)

    def reconfigure(self, tasks: config.Tasks) -> None:
        """Takes new settings of the tasks; what is booked stays."""
        self.tasks = tasks

    # What the devices tell.

    def found(self, gpus: Sequence[Gpu]) -> None:
        """Takes the identity of all GPUs there are; one that is gone keeps its counters."""
        for gpu in _unambiguous(gpus):
            if (package := self._packages.get(gpu.uuid)) is not None:
                package.gpu = gpu
            else:
                meter = Meter(self.metering.idle_threshold, self.metering.vram_held, self.devices.max_gap)
                package = _Package(gpu, meter, Ledger(self.monotonic(), self.metering.birth))
                self._packages[gpu.uuid] = package
            self._take_holds(package)
        self._compare()

    def read(self, uuid: str, reading: Reading) -> None:
        """Meters a reading; what has waited too long for an answer is booked unknown."""
        package = self._packages[uuid]
        package.reading = reading
        counters = package.meter.observe(reading)
        if not package.meter.may_bridge(reading):
            package.ledger.extend(reading.taken, counters)
        package.idle_clock.observe(reading.taken, counters)
        self._read_at = self.wall()
        now = self.monotonic()
        if not self.tasks.has_source:
            package.ledger.book(now, None, now)
        elif not self._is_fresh():  # What an unreadable GPU drew waits from long ago, but for the next answer only.
            package.ledger.book(now - self.tasks.settle - self.tasks.expire_after, None, now)

    def inspected(self, uuid: str, health: Health) -> None:
        """Keeps the slow facts of one GPU."""
        self._packages[uuid].health = health

    def used_by(self, uuid: str, processes: Sequence[Process]) -> None:
        """Keeps which processes hold VRAM of one GPU."""
        self._packages[uuid].processes = tuple(processes)

    def failed(self, gpu: Gpu | None, error: DeviceError) -> None:
        """Keeps what is wrong with a GPU, or with the whole source."""
        if gpu is None:
            self._device_problem = str(error)
        elif gpu.uuid in self._packages:
            self._packages[gpu.uuid].problem = error

    def recovered(self, gpu: Gpu | None) -> None:
        """Forgets what was wrong."""
        if gpu is None:
            self._device_problem = None
        elif gpu.uuid in self._packages:
            self._packages[gpu.uuid].problem = None

    # What the tasks tell.

    def scope(self) -> Scope:
        """Returns what an answer is wanted for: the GPUs there are."""
        return Scope(
            self.hostname, frozenset[str]().union(*(package.gpu.aliases for package in self._packages.values()))
        )

    def wanted_since(self) -> float:
        """Returns the oldest instant that is asked about, in Unix seconds by the API's clock.

        It is the one that waits for its owner, or the last answer's if that is older. The last hour is asked about
        where tasks may have ended in it that are not told of: at first, and when one is gone without a word.
        """
        now = self.monotonic()
        oldest = (package.ledger.unbooked_since() for package in self._packages.values())
        waiting = [instant for instant in oldest if instant is not None]
        told = -math.inf if self._answer is None or self._misses_ends else self._answer.as_of
        return min(*waiting, max(told, now - SHOWN_SECONDS), now) + self._offset()

    def answered(self, answer: Answer) -> None:
        """Books all time that the answer is old enough to know the owners of, at once."""
        self.settle(weigh(self.question(answer)))

    def question(self, answer: Answer) -> Question:
        """Returns what there is to weigh of an answer, apart from this node: it may go on meanwhile."""
        offset = self.wall() - self.monotonic() + (answer.clock_offset or 0.0)
        ledgers = {(uuid, package.gpu.aliases): package.ledger.copy() for uuid, package in self._packages.items()}
        return Question(answer, self.hostname, ledgers, self.tasks.settle, offset, self.monotonic())

    def settle(self, verdict: Verdict) -> None:
        """Takes what an answer means; one that is not younger than the last changes nothing."""
        answer = verdict.question.answer
        self._task_state = SourceState(last_success=self.wall())
        if self._answer is not None and answer.as_of <= self._answer.as_of:
            return
        running = {uuid: self._held_at_answer(package) for uuid, package in self._packages.items()}
        self._answer, self._holdings = answer, verdict.holdings
        self._misses_ends = any(
            verdict.gpus[uuid].misses(holds) for uuid, holds in running.items() if uuid in verdict.gpus
        )
        # Where the server's clock is another one, a step of ours does not move what it tells.
        self._server_offset = verdict.question.offset if answer.clock_offset else None
        for uuid, package in self._packages.items():
            weighed = verdict.gpus.get(uuid)
            if weighed is None or weighed.aliases != package.gpu.aliases:
                self._take_holds(package)  # found since; the next answer books its time
                continue
            package.holds = weighed.holds
            package.ended.learn(weighed.holds or (), self._answered_at())
            # One that was booked further since waits for the next answer, which is asked for what waits now.
            if package.ledger.adopt(weighed.ledger) and weighed.holds is not None:
                _log_unlisted(package, weighed.unlisted_owners)
        self._take(verdict.oddities)

    def _take_holds(self, package: _Package) -> None:
        """Keeps what the last answer says of a GPU."""
        if self._holdings is None or self._answer is None:
            return
        package.holds = holds_of(self._answer, self._holdings, package.gpu.aliases)
        self._misses_ends |= package.holds is None
        package.ended.learn(package.holds or (), self._answered_at())

    def refused(self, error: TasksError) -> None:
        """Keeps why there was no answer; what is known stays known until it expires."""
        self._task_state = replace(self._task_state, problem=str(error))

    def _compare(self) -> None:
        """Finds where the last answer and this node differ on who has which GPU."""
        if self._holdings is not None:
            self._take(Oddities.between(self._holdings, self.hostname, self._known(), self._answered_at()))

    def _take(self, oddities: Oddities) -> None:
        """Logs once what is new."""
        if not self._packages:
            return  # which GPUs there are is known only once the devices told
        before, self._oddities = self._oddities, oddities
        _log_each(
            "a task of %s names GPU %s, which this node does not have",
            set(oddities.unmatched) - set(before.unmatched),
            self.hostname,
        )
        _log_each(
            "task %r holds a GPU of this node but bears another hostname: booked all the same",
            {task_id[:80] for task_id in set(oddities.mismatched) - set(before.mismatched)},
        )

    def _known(self) -> frozenset[str]:
        """Returns every unique id of the GPUs there are."""
        return frozenset[str]().union(*(package.gpu.aliases for package in self._packages.values()))

    # What the others see.

    @property
    def ready(self) -> bool:
        """Whether there were readings."""
        return self._read_at is not None

    def snapshot(self) -> Snapshot:
        """Returns the whole node as it is now."""
        packages = sorted(self._packages.values(), key=lambda package: (package.gpu.index, package.gpu.uuid))
        oddities = self._oddities if self._is_fresh() else Oddities()
        return Snapshot(
            hostname=self.hostname,
            time=self.wall(),
            gpus=tuple(self._state(package) for package in packages),
            devices=SourceState(self._read_at, self._device_problem),
            tasks=self._task_state if self.tasks.has_source else _NOBODY_TO_ASK,
            expected_gpus=self.devices.expected,
            unmatched_gpus=len(oddities.unmatched),
            hostname_mismatches=len(oddities.mismatched),
            malformed_tasks=len(self._answer.malformed) + self._answer.more_malformed if self._answer else 0,
            unlisted_owners=sum(package.unlisted_owners for package in packages),
            unlisted_tasks=sum(max(0, len(self._holding(package) or ()) - MAX_SERIES) for package in packages),
            api_clock_offset=self._answer.clock_offset if self._answer else None,
        )

    def _state(self, package: _Package) -> GpuState:
        now = self.monotonic()
        reading, counters = package.reading, package.meter.counters
        fresh = reading is not None and now - reading.taken < max(self.devices.max_gap, 3 * reading.period)
        shown = package.ledger.shown_seconds(now)
        holding = self._holding(package)
        tasks = [hold.task for hold in holding or () if hold.task is not None]
        return GpuState(
            gpu=package.gpu,
            reading=reading if fresh else None,
            last_reading=reading,
            health=package.health,
            counters=counters,
            energy_joules=package.meter.energy_joules,
            throttled_seconds=dict(package.meter.throttled_seconds),
            owner=joint_owner(holding),
            accounts=package.ledger.accounts(now),
            unbooked_seconds=max(0.0, counters.observed_seconds - shown) if counters else 0.0,
            tasks=tuple(tasks[:MAX_SERIES]),
            ended_tasks=package.ended.told(now + self._offset(), tasks),
            problem=str(package.problem) if package.problem else None,
            processes=package.processes,
            idle_seconds=package.idle_clock.seconds(now),
        )

    def _holding(self, package: _Package) -> tuple[Hold, ...] | None:
        """Returns who holds a GPU as of the last answer; None if nobody can say, or no more."""
        if package.holds is None or self._answer is None or not self._is_fresh():
            return None
        return self._held_at_answer(package) if self._answered_at() <= self._answer.until else None

    def _held_at_answer(self, package: _Package) -> tuple[Hold, ...]:
        return in_force(package.holds or (), self._answered_at())

    def _is_fresh(self) -> bool:
        """Returns whether the last answer can still say who owns what."""
        if self._answer is None or not self.tasks.has_source:
            return False
        return self.monotonic() - self._answer.as_of < self.tasks.expire_after

    def _answered_at(self) -> float:
        """Returns the instant of the last answer, in Unix seconds as the clock stands now."""
        return self._answer.as_of + self._offset() if self._answer else 0.0

    def _offset(self) -> float:
        """Returns the API's Unix time less monotonic time.

        Where that is the wall clock's it is asked anew each time, so that a clock step moves no duration.
        """
        return self.wall() - self.monotonic() if self._server_offset is None else self._server_offset


def _log_each(words: str, those: Collection[str], *before: str) -> None:
    for one in sorted(those)[:_MAX_LOGGED]:
        _log.warning(words, *before, one)
    if len(those) > _MAX_LOGGED:
        _log.warning("and %d more like it", len(those) - _MAX_LOGGED)


def _log_unlisted(package: _Package, owners: int) -> None:
    if owners and not package.unlisted_owners:
        words = "GPU %d has more owners than the %d with series of their own: %d are summed as %r"
        _log.warning(words, package.gpu.index, MAX_SERIES, owners, OTHER)
    package.unlisted_owners = owners


def _unambiguous(gpus: Iterable[Gpu]) -> list[Gpu]:
    """Returns the GPUs, less each alias that two of them claim: by such a name a task cannot be matched."""
    gpus = list(gpus)
    claims: dict[str, int] = {}
    for gpu in gpus:
        for alias in gpu.aliases:
            claims[alias] = claims.get(alias, 0) + 1
    for alias in sorted(alias for alias, count in claims.items() if count > 1):
        _log.warning("several GPUs go by %s: tasks that name it match the one whose key it is, if any", alias)
    return [
        replace(gpu, aliases=frozenset(alias for alias in gpu.aliases if claims[alias] == 1) | {gpu.uuid})
        for gpu in gpus
    ]
