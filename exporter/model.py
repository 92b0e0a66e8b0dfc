"""The types every part speaks: GPUs, readings, tasks, ownership and the state of one node.

No I/O and no other module of the project. Absent is `None` or a missing key, never 0. Instants named
`taken` or `as_of` are CLOCK_MONOTONIC seconds, which all processes of one machine share; `start`, `end`
and `time` are Unix seconds.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

RUNNING = math.inf
"""The end of an interval that has none yet."""
SHOWN_SECONDS = 3600.0
"""For so long after its end an exporter shows a task, and a report counts on it."""


class Ownership(StrEnum):
    """Whose a GPU is at an instant."""

    OWNED = "owned"
    """Tasks of one user hold it."""
    SHARED = "shared"
    """Tasks of several users hold it."""
    UNALLOCATED = "unallocated"
    """The API answered and names nobody."""
    UNKNOWN = "unknown"
    """No answer fresh enough to say, or a task names the GPU but cannot be placed in time or to a user."""


class Owner(NamedTuple):
    """The labels OWNER; username and type are empty unless owned or shared."""

    username: str
    task_type: str
    ownership: Ownership

    @classmethod
    def of(cls, task: Task | None, ownership: Ownership) -> Owner:
        """Returns the owner of what falls to a task, or to none, in one kind of ownership."""
        return cls(task.username, task.task_type, ownership) if task else cls("", "", ownership)


UNALLOCATED = Owner("", "", Ownership.UNALLOCATED)
UNKNOWN = Owner("", "", Ownership.UNKNOWN)


class Amounts(NamedTuple):
    """What accrues on a GPU as time passes: cumulative, or the difference between two instants."""

    observed_seconds: float = 0.0
    busy_seconds: float = 0.0
    """∫ utilization dt."""
    idle_seconds: float = 0.0
    """Time with utilization below `metering.idle_threshold`."""
    idle_vram_held_seconds: float = 0.0
    """Idle time with more VRAM used than `metering.vram_held`."""
    vram_used_byte_seconds: float = 0.0
    """∫ VRAM used dt."""
    energy_joules: float = 0.0
    """The hardware's counter; unlike the others it spans unobserved time."""

    def plus(self, other: Amounts) -> Amounts:
        """Both together."""
        a, b, c, d, e, f = self  # unrolled, as it is done for every reading and every share
        u, v, w, x, y, z = other
        return Amounts(a + u, b + v, c + w, d + x, e + y, f + z)

    def minus(self, other: Amounts) -> Amounts:
        """What accrued since `other`."""
        a, b, c, d, e, f = self
        u, v, w, x, y, z = other
        return Amounts(a - u, b - v, c - w, d - x, e - y, f - z)

    def times(self, factor: float) -> Amounts:
        """A share of it."""
        a, b, c, d, e, f = self
        return Amounts(a * factor, b * factor, c * factor, d * factor, e * factor, f * factor)

    def toward(self, later: Amounts, part: float) -> Amounts:
        """On the line from these counters to later ones; rounding never carries it beyond those."""
        return Amounts(*(min(a + (b - a) * part, b) for a, b in zip(self, later, strict=True)))


@dataclass(frozen=True, slots=True)
class Gpu:
    """One physical package, as identified at start."""

    index: int
    """Its place on the node, as `amd-smi list` prints it."""
    uuid: str
    """The unique id: 16 lower-case hex digits."""
    aliases: frozenset[str] = frozenset()
    """Every unique id it goes by, canonical, `uuid` among them."""
    model: str = ""
    bdf: str = ""
    card: str = ""
    """The DRM device: card1, card9 …"""
    driver_version: str = ""
    vbios_version: str = ""
    compute_partition: str = ""
    memory_partition: str = ""
    vram_total_bytes: int | None = None
    source: str = ""
    """Where its readings come from: `amdsmi` or `sysfs` (the kernel's files) alone, `both`, or `simulated`."""
    library_version: str = ""
    """Of amdsmi; empty where it tells nothing."""
    stand_in: str = ""
    """Why the kernel's files stand in for amdsmi, in words for the operator; empty where they do not."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one GPU said at one instant."""

    taken: float
    utilization: float | None = None
    """Graphics activity, 0 to 1; the mean of the XCCs on a partitioned GPU."""
    memory_controller_utilization: float | None = None
    """0 to 1."""
    vram_used_bytes: int | None = None
    power_watts: float | None = None
    """Of the socket."""
    energy_joules: float | None = None
    """The hardware's accumulator."""
    temperatures_celsius: Mapping[str, float] = field(default_factory=dict)
    """By sensor: hotspot, memory, vrsoc."""
    clocks_hertz: Mapping[str, float] = field(default_factory=dict)
    """By clock: gfx (mean of the XCCs), memory."""
    throttle_residency: Mapping[str, int] = field(default_factory=dict)
    """By reason (prochot, ppt, socket_thermal, vr_thermal, hbm_thermal): ticks spent throttled."""
    throttle_ticks: int | None = None
    """The accumulation counter those residencies are a part of."""
    xgmi_read_bytes: Mapping[str, int] = field(default_factory=dict)
    """By link."""
    xgmi_written_bytes: Mapping[str, int] = field(default_factory=dict)
    """By link."""
    pcie_replays: int | None = None
    period: float = 0.0
    """Seconds after which the next reading of a GPU that is slow to answer is due; 0: after `devices.interval`."""


@dataclass(frozen=True, slots=True)
class Health:
    """Facts of one GPU that are slow to read, and change slowly."""

    ecc_errors: Mapping[str, int] = field(default_factory=dict)
    """By severity: correctable, uncorrectable, deferred."""
    retired_pages: int | None = None


@dataclass(frozen=True, slots=True)
class Process:
    """One process that uses a GPU, as the kernel tells."""

    pid: int
    vram_used_bytes: int
    command: str = ""
    """Its short name; empty where /proc does not tell."""
    container: str = ""
    """The first 12 digits of its container's id, or the number of its Slurm job; empty outside, or where untold."""
    user: str = ""
    """The name, else the number, of the user it runs as on the node; empty where untold."""


@dataclass(frozen=True, slots=True)
class TaskGpu:
    """One GPU of a task, as the consumption API describes it."""

    uuid: str
    """Canonical, 16 lower-case hex digits."""
    gpu_id: str = ""
    """The cluster-wide number people know it by."""
    model: str = ""
    memory_mib: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One entry of the consumption API: a user's, on one or more GPUs, in [start, end)."""

    task_id: str
    username: str
    task_type: str
    gpus: tuple[TaskGpu, ...]
    start: float
    end: float = RUNNING
    hostname: str = ""
    project_uuid: str = ""
    image: str = ""

    @property
    def key(self) -> tuple[str, float, str]:
        """Returns what tells it from every other task: ids are used again, and one may stand twice in an answer."""
        return self.task_id, self.start, self.username


@dataclass(frozen=True, slots=True)
class MalformedTask:
    """An entry that cannot be accounted to a user or placed in time.

    The GPUs it names, if any, are `unknown` in [start, end) wherever no other task holds them.
    """

    task_id: str
    reason: str
    gpu_uuids: tuple[str, ...] = ()
    start: float = -math.inf
    end: float = RUNNING


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of a cluster that a question is about: one node."""

    hostname: str
    gpu_uuids: frozenset[str]
    """Every unique id of its GPUs, canonical."""

    def concerns(self, hostname: str, gpu_uuids: Collection[str]) -> bool:
        """Returns whether an entry of this hostname and these GPUs has to do with the node."""
        return hostname == self.hostname or not self.gpu_uuids.isdisjoint(gpu_uuids)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the consumption API said of a window of time."""

    tasks: tuple[Task, ...]
    malformed: tuple[MalformedTask, ...]
    as_of: float
    """CLOCK_MONOTONIC when the request was sent, less the age a cache in between gave the answer."""
    since: float = -math.inf
    """Unix seconds at which the window began: of tasks that ended before it tells nothing."""
    until: float = math.inf
    """Unix seconds at which the window ended: of tasks that began later it tells nothing."""
    about: frozenset[str] | None = None
    """The unique ids of the GPUs it tells of; None: of all."""
    more_malformed: int = 0
    """Entries beside `malformed` that cannot be accounted either, and name none of those GPUs."""
    clock_offset: float | None = None
    """The server's clock less this machine's, in seconds; 0 where the time that the request took explains what they
    differ by, None where the server does not tell its time. The instants of tasks are in the server's clock."""

    def tells_of(self, gpu_uuids: frozenset[str]) -> bool:
        """Returns whether a GPU of these unique ids has nobody where no task names it."""
        return self.about is None or gpu_uuids <= self.about


@dataclass(frozen=True, slots=True)
class Hold:
    """A task on one GPU in [start, end); without a task: somebody's, and it cannot be told whose."""

    start: float
    end: float
    task: Task | None


@dataclass(frozen=True, slots=True)
class GpuState:
    """One GPU at the instant of a snapshot."""

    gpu: Gpu
    reading: Reading | None
    """None unless fresh."""
    last_reading: Reading | None
    """Of whatever age: the hardware's counters in it are held, its gauges are not."""
    health: Health | None
    counters: Amounts | None
    """None until there was a first reading."""
    energy_joules: float | None
    """The hardware's counter; None if it never told."""
    throttled_seconds: Mapping[str, float]
    owner: Owner
    """As of the last good refresh; a shared GPU's names and types are sorted and joined by `+`."""
    accounts: tuple[tuple[Owner, Amounts], ...]
    """What is served as booked, by owner."""
    unbooked_seconds: float
    """Observed seconds that no owner's series shows yet."""
    tasks: tuple[Task, ...]
    """Those that held it as of the last good refresh."""
    ended_tasks: tuple[Task, ...] = ()
    """Those that held it and ended within the last hour, the latest first; none has the id of one that runs."""
    problem: str | None = None
    """Why it cannot be read, and what to do; None if it can."""
    processes: tuple[Process, ...] | None = None
    """Those that hold VRAM of it, most first; None where the kernel does not tell."""
    idle_seconds: float | None = None
    """For how long it has been idle, whoever held it: 0 while it is active; None before it was observed."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """How one of the two sources does."""

    last_success: float | None = None
    """Unix seconds of the last good answer."""
    problem: str | None = None
    """What is wrong now and what to do, in words for the operator; None if nothing is."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole node at one instant: all that /metrics and the page show."""

    hostname: str
    time: float
    gpus: tuple[GpuState, ...]
    """By index."""
    devices: SourceState
    tasks: SourceState
    expected_gpus: int | None = None
    unmatched_gpus: int = 0
    """GPUs that running tasks of this hostname name and this node does not have."""
    hostname_mismatches: int = 0
    """Tasks on GPUs of this node that bear another hostname."""
    malformed_tasks: int = 0
    unlisted_owners: int = 0
    """Owners without series of their own, summed as `other`."""
    unlisted_tasks: int = 0
    """Running tasks without series."""
    api_clock_offset: float | None = None
    """The consumption API's clock less this node's, in seconds; None if it does not tell."""
