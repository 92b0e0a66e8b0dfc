"""What `scontrol show job -d --json` says of the jobs on one node. Pure but for the bytes that it is fed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import ijson

from exporter.errors import TasksError, TasksPayloadError
from exporter.labels import bounded
from exporter.model import RUNNING
from exporter.tasks.slurm.hostlist import expand, numbers
from exporter.tasks.slurm.scontrol import failure

MAX_GPUS: Final = 1024
"""Of one node."""
MAX_JOBS: Final = 10_000
"""That are kept of a node: the running, and those that ended within minutes."""
_HEAD_BYTES: Final = 2**16
_GPUS = re.compile(r"(?:^|,)gpu(?::[^:(),]+)?:([0-9]+)(?:\((IDX|CNT):([0-9,-]+|N/A)\))?")
"""In `gpu:mi300x:2(IDX:0-1)`; also in `gpu:2(CNT:2)`, which has no index."""
_ALLOCATED = re.compile(r"(?:^|,)gres/gpu=([0-9]+)")
_HOLDING = {"RUNNING", "SUSPENDED"}
"""A suspended job keeps its GPUs."""
_NOT_JSON: Final = (ijson.JSONError, SystemError, ValueError, ArithmeticError, RecursionError)
_OTHER = "expected the JSON of Slurm 24.05 or later, found {}: is scontrol that of another version?"


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a job that has, or had, GPUs of the node."""

    job_id: str
    """Its own, also if it is a task of an array or a component of a heterogeneous job."""
    username: str
    account: str
    partition: str
    qos: str
    start: float
    """Unix seconds; with the id it tells this run from one before or after a requeue."""
    end: float = RUNNING
    """Unix seconds. What Slurm shows of a job that runs is only when its time limit ends it, and left out."""
    indices: tuple[int, ...] | None = None
    """Of its GPUs on the node; None once it has ended, and where Slurm does not tell."""

    @property
    def run(self) -> tuple[str, float]:
        """Returns what tells this run from all others."""
        return self.job_id, self.start


@dataclass(frozen=True, slots=True)
class Requeued:
    """A job that waits again, or anew."""

    job_id: str
    submitted: float
    """Unix seconds: of one that waits again, when its last run was cleared away."""


class JobReader:
    """Takes what `scontrol` prints as it arrives; keeps the jobs of one node.

    Args:
        node: Slurm's name of it.
    """

    def __init__(self, node: str) -> None:
        self._node = node
        self.jobs: list[Job] = []
        self.waiting: list[Requeued] = []
        self._entries = 0
        self._size = 0
        self._head = bytearray()
        self._found: list[Any] = ijson.sendable_list()
        self._parser = ijson.items_coro(self._found, "jobs.item", use_float=True)

    def feed(self, data: bytes) -> None:
        """Reads on.

        Raises:
            TasksPayloadError: This is not what `scontrol` prints.
        """
        self._size += len(data)
        if not self._entries and len(self._head) <= _HEAD_BYTES:
            self._head += data
        try:
            self._parser.send(data)
        except _NOT_JSON:
            raise self._not_json() from None
        self._take()

    def close(self, words: str) -> None:
        """Reads the end.

        Args:
            words: What `scontrol` said on stderr.

        Raises:
            TasksError: No controller answered, or this is not what `scontrol` prints.
        """
        if not self._size:
            raise failure(words, "it printed nothing")
        try:
            self._parser.close()
        except _NOT_JSON:
            raise self._not_json() from None
        self._take()
        if not self._entries:
            self._check_empty(words)

    def _not_json(self) -> TasksError:
        if self._head.lstrip()[:1] == b"<":
            return TasksPayloadError("scontrol prints a web page, not JSON: is tasks.slurm.scontrol another program?")
        return TasksPayloadError(_OTHER.format(f"{self._size} bytes that are not JSON, or only a part of it"))

    def _check_empty(self, words: str) -> None:
        """Tells a cluster without jobs from no answer: `scontrol` prints an empty list and exits with 0 either way."""
        try:
            document = json.loads(self._head)
        except _NOT_JSON:
            raise self._not_json() from None
        if not isinstance(document, dict) or document.get("jobs") != []:
            raise TasksPayloadError(_OTHER.format("no list of jobs"))
        if not _number(document.get("last_update")):
            raise failure(words, "no controller answered")

    def _take(self) -> None:
        for entry in self._found:
            self._entries += 1
            match _read(entry, self._node):
                case Job() as job:
                    self.jobs.append(job)
                case Requeued() as waiting:
                    self.waiting.append(waiting)
            if len(self.jobs) > MAX_JOBS:
                raise TasksPayloadError(f"scontrol names more than {MAX_JOBS} jobs of this node")
        del self._found[:]


def _read(entry: object, node: str) -> Job | Requeued | None:
    if not isinstance(entry, dict) or "job_id" not in entry:
        raise TasksPayloadError(_OTHER.format("entries that are no jobs"))
    states = entry.get("job_state")
    if not isinstance(states, list) or not all(isinstance(state, str) for state in states):
        raise TasksPayloadError(_OTHER.format("jobs without a list of states"))
    job_id = _text(entry["job_id"])
    start, end = _number(entry.get("start_time")), _number(entry.get("end_time"))
    if "PENDING" in states or start is None:
        # Its start is a guess of when it may begin. `COMPLETING` beside it: requeued, and being cleared away.
        return Requeued(job_id, _number(entry.get("submit_time")) or 0.0)
    if (place := _place(entry, node)) is None or not _ALLOCATED.search(_text(entry.get("tres_alloc_str"))):
        return None
    holds = not _HOLDING.isdisjoint(states) and "COMPLETING" not in states
    if not holds and end is None:
        return None
    return Job(
        job_id=job_id,
        username=bounded(_text(entry.get("user_name")) or _text(entry.get("user_id"))),
        account=bounded(_text(entry.get("account"))),
        partition=bounded(_text(entry.get("partition"))),
        qos=bounded(_text(entry.get("qos"))),
        start=start,
        end=RUNNING if holds or end is None else max(start, end),
        indices=_indices(entry.get("gres_detail"), place) if holds else None,
    )


def _place(entry: Mapping[str, Any], node: str) -> tuple[int, int] | None:
    """Returns which of so many nodes of a job this one is; None if it is none of them."""
    names: list[object] = []
    match entry.get("job_resources"):
        case {"nodes": {"allocation": list(allocated)}}:
            names = [one.get("name") if isinstance(one, dict) else None for one in allocated]
    if not names:
        names = list(expand(_text(entry.get("nodes"))))
    return (names.index(node), len(names)) if node in names else None


def _indices(details: object, place: tuple[int, int]) -> tuple[int, ...] | None:
    """Returns the GPUs on one node; None where Slurm does not say which, and none if it says that there are none."""
    at, nodes = place
    if not isinstance(details, list) or len(details) != nodes or not isinstance(details[at], str):
        return None
    found: set[int] = set()
    for count, kind, listed in _GPUS.findall(details[at]):
        indices = {int(number) for number in numbers(listed)} if kind == "IDX" else set()
        if len(indices) != int(count[:9]) or max(indices, default=0) >= MAX_GPUS:
            return None
        found |= indices
    return tuple(sorted(found))


def _number(value: object) -> float | None:
    """Returns a number above 0 as Slurm writes it: beside whether it is set, and whether it is infinite."""
    if isinstance(value, dict):
        if value.get("set") is not True or value.get("infinite") is True:
            return None
        value = value.get("number")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < 2**53 else None


def _text(value: object) -> str:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return str(value)[:4096].encode(errors="replace").decode()
    return ""


Kind = Literal["partition", "qos"]


def task_type(job: Job, kind: Kind) -> str:
    """Returns what the setting `tasks.slurm.type` makes the type of a job's task."""
    return job.qos if kind == "qos" else job.partition
