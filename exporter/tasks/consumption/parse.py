"""The JSON of the consumption API, told apart into tasks and what cannot be used, piece by piece as it arrives.

An entry, in an object keyed by task id (`shapes` tells what else is read):

    {"username": "itrd", "hostname": "colab-gpu4",
     "gpus": [{"uuid": "APU-52f67b3700dcc6f3", "id": 27, "name": "AMD Instinct MI300X", "memory": 196592}],
     "task": {"_type": "WEBAPP", "project_uuid": "…", "image": "…", "create_time": "Wed, 16 Jul 2025 08:19:30 GMT"},
     "start": "Wed, 16 Jul 2025 08:19:32 GMT", "end": "", "total_seconds": 86399.0}

Nothing inside an entry can spoil the answer; a document that is not made of entries is refused as a whole,
since reading it as "nobody has a GPU" would show all of them free.
"""

from __future__ import annotations

from decimal import Decimal
from sys import intern
from typing import Any, Final
from zoneinfo import ZoneInfo

import ijson

from exporter.errors import TasksPayloadError
from exporter.model import RUNNING, MalformedTask, Scope, Task, TaskGpu
from exporter.tasks.consumption import dates, shapes
from exporter.tasks.consumption.shapes import Entry, text

MAX_BYTES: Final = 64 * 2**20
"""Some 130,000 tasks; what is larger is not an answer."""
MAX_TEXT_BYTES: Final = 16 * 2**20
"""Of one text: the parser holds it whole, and twice while it grows."""
MAX_OF_A_NODE: Final = 10_000
"""Tasks that are kept for a node; no 64 GPUs have had more in the minutes that it asks for."""
MAX_OF_A_CLUSTER: Final = 500_000
_MAX_EXAMPLES: Final = 10
"""Unusable entries of no concern to the node that are kept, to be named in its log; the others are counted."""
_PIECE_BYTES: Final = 2**16
_LATE_SECONDS: Final = 300.0
"""By which an end may lie before its start for it to be two clocks that differ, not a date that is wrong."""
# A number of 5,000 digits ends ijson 3.6's C backend with a SystemError.
_NOT_JSON: Final = (ijson.JSONError, SystemError, ValueError, ArithmeticError)


class AnswerReader:
    """Takes the bytes of an answer as they arrive; keeps what concerns a node, or everything.

    Args:
        zone: Of dates without an offset.
        scope: What is to be kept whole; None: everything.
    """

    def __init__(self, zone: ZoneInfo, scope: Scope | None = None) -> None:
        self._zone = zone
        self._scope = scope
        self._most = MAX_OF_A_CLUSTER if scope is None else MAX_OF_A_NODE
        self.tasks: list[Task] = []
        self.malformed: list[MalformedTask] = []
        """Those that concern the node, and a few of the others."""
        self.more_malformed = 0
        """Those of which nothing was kept."""
        self._gpus: dict[tuple[TaskGpu, ...], tuple[TaskGpu, ...]] = {}
        """Of tasks that are kept, each once: 100,000 tasks have the same few, as they have the same few names."""
        self._examples = 0
        self._entries = 0
        self._are_tasks = False
        self._name_gpus = False
        self._size = 0
        self._pending = bytearray()
        self._in_one_text = 0
        self._events: list[shapes.Event] = ijson.sendable_list()
        self._parser = ijson.basic_parse_coro(self._events)
        self._reader = shapes.read(self._take)
        next(self._reader)

    def feed(self, data: bytes) -> None:
        """Reads on.

        Raises:
            TasksPayloadError: This is no answer, or one without end.
        """
        self._size += len(data)
        if self._size > MAX_BYTES:
            raise TasksPayloadError(
                f"the answer is larger than {MAX_BYTES // 2**20} MiB: is this the management server?"
            )
        self._pending += data
        # The parser looks at an unfinished text from its beginning each time: what it is given doubles.
        if len(self._pending) < self._in_one_text:
            return
        pending = bytes(self._pending)
        self._pending.clear()
        if self._size == len(pending) and pending.lstrip()[:1] == b"<":
            raise TasksPayloadError("the answer is a web page, not JSON: is a login page or a proxy in between?")
        step = max(_PIECE_BYTES, self._in_one_text)
        for start in range(0, len(pending), step):
            self._parse(pending[start : start + step])

    def close(self) -> None:
        """Reads the end.

        Raises:
            TasksPayloadError: The answer is only a part of one, or not made of tasks.
        """
        if self._pending:
            self._parse(bytes(self._pending))
        try:
            self._parser.close()
        except _NOT_JSON:
            raise self._not_json() from None
        self._hand_on()
        if self._entries and not self._are_tasks:
            raise TasksPayloadError("expected tasks, found objects with none of a task's fields")
        if self._entries and not self._name_gpus:
            raise TasksPayloadError("expected tasks that name their GPUs, found none that names one by a usable uuid")

    def _parse(self, piece: bytes) -> None:
        try:
            self._parser.send(piece)
        except _NOT_JSON:
            # Not chained: the error quotes the body.
            raise self._not_json() from None
        self._in_one_text = 0 if self._events else self._in_one_text + len(piece)
        if self._in_one_text > MAX_TEXT_BYTES:
            raise TasksPayloadError(f"the answer holds a text, or spaces, of more than {MAX_TEXT_BYTES // 2**20} MiB")
        self._hand_on()

    def _hand_on(self) -> None:
        for event in self._events:
            self._reader.send(event)
        del self._events[:]

    def _not_json(self) -> TasksPayloadError:
        return TasksPayloadError(f"the answer ({self._size} bytes) is not JSON, or only a part of it")

    def _take(self, entry: Entry) -> None:
        self._entries += 1
        self._are_tasks |= entry.is_task
        self._name_gpus |= bool(entry.gpus)
        concerns = self._scope is None or self._scope.concerns(text(entry.fields.get("hostname")), entry.gpus)
        gpus = tuple(entry.gpus.values())
        task, fault = _read(entry, self._gpus.setdefault(gpus, gpus) if concerns else gpus, self._zone)
        if task is not None and concerns:
            self.tasks.append(task)
        if fault is not None:
            self._take_fault(fault, concerns=concerns)
        if len(self.tasks) + len(self.malformed) > self._most:
            whose = "" if self._scope is None else " of this node"
            raise TasksPayloadError(f"the answer names more than {self._most} tasks{whose}")

    def _take_fault(self, fault: MalformedTask, *, concerns: bool) -> None:
        if not concerns:
            if self._examples >= _MAX_EXAMPLES:
                self.more_malformed += 1
                return
            self._examples += 1
        self.malformed.append(fault)


def _read(entry: Entry, gpus: tuple[TaskGpu, ...], zone: ZoneInfo) -> tuple[Task | None, MalformedTask | None]:
    """Returns the task on these GPUs, if it can be accounted; what is wrong with the entry, if anything is.

    A task that names usable GPUs beside unusable ones is in both: accounted for the former, counted for the latter.
    """
    uuids = tuple(entry.gpus)
    task_id = entry.task_id or ""
    said_start, said_end = entry.fields.get("start"), entry.fields.get("end")
    start = dates.instant(said_start, zone)
    end = RUNNING if _is_running(said_end) else dates.instant(said_end, zone)
    if start is None or end is None or end < start:
        return None, _misplaced(entry, uuids, start, end)
    username = text(entry.fields.get("username"))
    if not username:
        return None, MalformedTask(task_id, "it has no username", uuids, start, end)
    if entry.task_id is None:
        return None, MalformedTask(task_id, "it has no id", uuids, start, end)
    if not uuids:
        return None, MalformedTask(task_id, "it names no GPU by a usable uuid", (), start, end)
    task = Task(
        task_id=task_id,
        username=intern(username),
        task_type=intern(text(entry.details.get("_type"))),
        gpus=gpus,
        start=start,
        end=end,
        hostname=intern(text(entry.fields.get("hostname"))),
        project_uuid=intern(text(entry.details.get("project_uuid"))),
        image=intern(text(entry.details.get("image"))),
    )
    if not entry.nameless:
        return task, None
    reason = f"{entry.nameless} of its {entry.nameless + len(uuids)} GPUs have no usable uuid"
    return task, MalformedTask(task_id, reason, (), start, end)


def _misplaced(entry: Entry, uuids: tuple[str, ...], start: float | None, end: float | None) -> MalformedTask:
    """Returns an entry whose time cannot be told, with the bound that can be."""
    task_id = entry.task_id or ""
    if start is None:
        reason = f"start: expected a date, found {_found(entry.fields.get('start'))}"
        return MalformedTask(task_id, reason, uuids, end=RUNNING if end is None else end)
    if end is None:
        reason = f"end: expected a date or nothing, found {_found(entry.fields.get('end'))}"
        return MalformedTask(task_id, reason, uuids, start)
    if end >= start - _LATE_SECONDS:
        return MalformedTask(task_id, "it ends before it starts, and so held nothing", (), start, start)
    # One of the two is wrong and nothing tells which: neither bounds the time that is in doubt.
    return MalformedTask(task_id, "it ends before it starts", uuids)


def _is_running(end: object) -> bool:
    return end is None or (isinstance(end, str) and end.strip() in {"", "None"}) or dates.is_zero(end)


def _found(value: Any) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case None:
            return "null"
        case Decimal():
            return str(value)[:60]
        case _:
            return repr(value)[:60]
