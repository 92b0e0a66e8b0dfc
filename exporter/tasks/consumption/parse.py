"""The JSON of the consumption API, told apart into tasks and what cannot be used.

An entry, in an object keyed by task id:

    {"username": "itrd", "hostname": "colab-gpu4",
     "gpus": [{"uuid": "APU-52f67b3700dcc6f3", "id": 27, "name": "AMD Instinct MI300X", "memory": 196592}],
     "task": {"_type": "WEBAPP", "project_uuid": "…", "image": "…", "create_time": "Wed, 16 Jul 2025 08:19:30 GMT"},
     "start": "Wed, 16 Jul 2025 08:19:32 GMT", "end": "", "total_seconds": 86399.0}

Nothing inside an entry can spoil the answer; a document that is not made of entries is refused as a whole,
since reading it as "nobody has a GPU" would show all of them free.
"""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from exporter import gpu_id
from exporter.errors import TasksPayloadError
from exporter.model import RUNNING, MalformedTask, Task, TaskGpu
from exporter.tasks.consumption import dates

_NO_END = ("", "None")
_SIGNS_OF_A_TASK = frozenset({"username", "gpus", "task", "start"})


def _text(value: object) -> str:
    """Returns stripped text; numbers as they are written."""
    if isinstance(value, str):
        return _encodable(value.strip())
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _encodable(text: str) -> str:
    """Returns text without lone surrogates, which JSON can spell and no output can encode."""
    return text.encode(errors="replace").decode()


def _mebibytes(value: object) -> int | None:
    try:
        return int(float(value)) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError):
        return None


def _object(value: object) -> object:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> object:
    return [_object(item) for item in value] if isinstance(value, list) else []


Text = Annotated[str, BeforeValidator(_text)]


class _Lenient(BaseModel):
    """Fields of another type than expected read as absent; unknown ones are ignored. Validation cannot fail."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Gpu(_Lenient):
    uuid: Text = ""
    id: Text = ""
    name: Text = ""
    memory: Annotated[int | None, BeforeValidator(_mebibytes)] = None


class _Details(_Lenient):
    task_type: Text = Field(default="", alias="_type")
    project_uuid: Text = ""
    image: Text = ""


class _Entry(_Lenient):
    username: Text = ""
    hostname: Text = ""
    gpus: Annotated[list[_Gpu], BeforeValidator(_objects)] = []
    task: Annotated[_Details, BeforeValidator(_object)] = Field(default_factory=_Details)
    start: Any = None
    end: Any = None


def parse(document: object, zone: ZoneInfo) -> tuple[tuple[Task, ...], tuple[MalformedTask, ...]]:
    """Returns tasks, and entries that cannot be accounted in full, from a decoded JSON document.

    A task that names usable GPUs beside unusable ones is in both: accounted for the former, counted for the latter.

    Args:
        document: the decoded body.
        zone: the zone of dates without an offset.

    Raises:
        TasksPayloadError: the document is not an object of task entries.
    """
    tasks: list[Task] = []
    malformed: list[MalformedTask] = []
    for key, fields in _entries(document).items():
        task, fault = _read(_encodable(key), _Entry.model_validate(fields), zone)
        if task is not None:
            tasks.append(task)
        if fault is not None:
            malformed.append(fault)
    return tuple(tasks), tuple(malformed)


def _entries(document: object) -> dict[str, dict[str, Any]]:
    if not isinstance(document, dict):
        raise TasksPayloadError(f"expected an object keyed by task id, found {_kind(document)}")
    for value in document.values():
        if not isinstance(value, dict):
            raise TasksPayloadError(f"expected one object per task id, found {_kind(value)} among them")
    if document and not any(_SIGNS_OF_A_TASK & entry.keys() for entry in document.values()):
        raise TasksPayloadError("expected tasks, found objects with none of a task's fields")
    return document


def _found(value: object) -> str:
    return repr(value)[:60] if isinstance(value, str | int | float) else _kind(value)


def _kind(value: object) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return "text"
        case None:
            return "null"
        case _:
            return "a number or truth value"


def _read(task_id: str, entry: _Entry, zone: ZoneInfo) -> tuple[Task | None, MalformedTask | None]:
    """Returns the task, if it can be accounted; what is wrong with the entry, if anything is."""
    gpus, nameless = _gpus(entry)
    uuids = tuple(gpu.uuid for gpu in gpus)
    start = dates.instant(entry.start, zone)
    end = RUNNING if _is_running(entry.end) else dates.instant(entry.end, zone)
    if start is None or end is None or end < start:
        return None, _misplaced(task_id, entry, uuids, start, end)
    if not entry.username:
        return None, MalformedTask(task_id, "it has no username", uuids, start, end)
    if not gpus:
        return None, MalformedTask(task_id, "it names no GPU by a usable uuid", (), start, end)
    task = Task(
        task_id=task_id,
        username=entry.username,
        task_type=entry.task.task_type,
        gpus=gpus,
        start=start,
        end=end,
        hostname=entry.hostname,
        project_uuid=entry.task.project_uuid,
        image=entry.task.image,
    )
    if not nameless:
        return task, None
    reason = f"{nameless} of its {len(entry.gpus)} GPUs have no usable uuid"
    return task, MalformedTask(task_id, reason, (), start, end)


def _misplaced(
    task_id: str, entry: _Entry, uuids: tuple[str, ...], start: float | None, end: float | None
) -> MalformedTask:
    """Returns an entry whose time cannot be told, with the bound that can be."""
    if start is None:
        reason = f"start: expected a date, found {_found(entry.start)}"
        return MalformedTask(task_id, reason, uuids, end=RUNNING if end is None else end)
    if end is None:
        reason = f"end: expected a date or nothing, found {_found(entry.end)}"
        return MalformedTask(task_id, reason, uuids, start)
    # One of the two is wrong and nothing tells which: neither bounds the time that is in doubt.
    return MalformedTask(task_id, "it ends before it starts", uuids)


def _is_running(end: object) -> bool:
    return end is None or (isinstance(end, str) and end.strip() in _NO_END)


def _gpus(entry: _Entry) -> tuple[tuple[TaskGpu, ...], int]:
    """Returns each GPU once, and how many have no usable uuid."""
    found: dict[str, TaskGpu] = {}
    nameless = 0
    for gpu in entry.gpus:
        uuid = gpu_id.canonical(gpu.uuid)
        if uuid is None:
            nameless += 1
        else:
            found.setdefault(uuid, TaskGpu(uuid, gpu.id, gpu.name, gpu.memory))
    return tuple(found.values()), nameless
