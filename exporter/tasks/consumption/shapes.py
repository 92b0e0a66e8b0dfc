"""The entries of an answer, told apart while it still arrives: JSON events go in, entries come out.

Nothing is kept of an answer but the entry that is being read, and of that only what a task needs. So neither 100,000
tasks nor a list of ten million empty objects costs memory. The shapes that are read, as far as they are unambiguous:

    {"f3c1": {…}, …}                                entries keyed by task id, as the real server answers
    [{"id": "f3c1", …}, …]                          entries that bear their id (or `task_id`)
    {"status": "ok", "data": {…} or […]}            either of them in an envelope, beside which only scalars stand

and in an entry `gpus` (or `gpu`, `gpu_uuid`) as

    [{"uuid": "APU-…", "id": 27}, …]                `gpu_uuid` serves for `uuid`
    ["APU-…", …]  "APU-…"                           spellings that cannot be mistaken for a number
    {"uuid": "APU-…", "id": 27}                     one GPU
    {"27": {"uuid": "APU-…"}}  {"APU-…": {"id": 27}}  {"27": "APU-…"}  {"APU-…": 27}

An answer that says to be a part of all tasks is refused: the GPUs of the rest would look free.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeVar

from exporter import gpu_id
from exporter.errors import TasksPayloadError
from exporter.labels import MAX_CHARS, bounded
from exporter.model import TaskGpu

_T = TypeVar("_T")
Event = tuple[str, Any]
"""What it is (start_map, map_key, string …, as ijson names it), and its value."""
Reader = Generator[None, Event, _T]
"""Takes one event at a time and returns what they make."""

MAX_GPUS: Final = 1024
"""Named by one task; those beyond are counted with the unusable ones."""
_ENVELOPES: Final = frozenset({"data", "result", "results", "tasks", "items"})
_GPUS: Final = frozenset({"gpus", "gpu", "gpu_uuid"})
_TEXTS: Final = frozenset({"username", "hostname", "start", "end", "id", "task_id"})
_SIGNS_OF_A_TASK: Final = frozenset({"username", "start"})
"""Beside its GPUs and details."""
_FIELDS: Final = _TEXTS | _GPUS | {"task"}
_OPENING: Final = frozenset({"start_map", "start_array"})
_CLOSING: Final = frozenset({"end_map", "end_array"})
_UNMISTAKABLE_DIGITS: Final = 16
_LARGEST_NUMBER: Final = 10**15
"""That is an id; of 1e999999 there would be a million digits."""
_EMPTY: Final[dict[str, Any]] = {"start_map": {}, "start_array": []}
_KINDS: Final = {"start_map": "an object", "start_array": "a list", "string": "text", "null": "null"}


@dataclass(slots=True)
class Entry:
    """What one entry says; a field of another type than expected reads as absent."""

    task_id: str | None = None
    """None where neither a key nor a field tells it."""
    fields: dict[str, Any] = field(default_factory=dict)
    """Scalars as JSON has them, names bounded; an empty list or object where there was one of those."""
    details: dict[str, Any] = field(default_factory=dict)
    """The scalars of `task`."""
    gpus: dict[str, TaskGpu] = field(default_factory=dict)
    """By unique id."""
    nameless: int = 0
    """GPUs without a usable unique id."""
    is_task: bool = False
    """Whether it has any of a task's fields."""

    def name(self, uuid: str | None, gpu: dict[str, Any]) -> None:
        """Adds a GPU, each once."""
        if uuid is None or (uuid not in self.gpus and len(self.gpus) >= MAX_GPUS):
            self.nameless += 1
        elif uuid not in self.gpus:
            number, model = text(gpu.get("id")), text(gpu.get("name"))
            self.gpus[uuid] = TaskGpu(uuid, number, model, _mebibytes(gpu.get("memory")))


def read(emit: Callable[[Entry], None]) -> Reader[None]:
    """Reads one document, hands on each entry as soon as it is complete, and then waits for ever.

    Raises:
        TasksPayloadError: The document is not made of entries.
    """
    event, _ = yield
    if event == "start_map":
        yield from _keyed(emit)
    elif event == "start_array":
        yield from _listed(emit, "expected an object keyed by task id, found a list")
    else:
        raise TasksPayloadError(f"expected an object keyed by task id, found {kind(event)}")
    while True:
        yield


def text(value: object) -> str:
    """Returns stripped text, bounded; whole numbers as text, 27.0 as "27"."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, Decimal) and abs(value) < _LARGEST_NUMBER and value == value.to_integral_value():
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def kind(event: str) -> str:
    """Returns what a value is, in words, by its first event."""
    return _KINDS.get(event, "a number or truth value")


def _keyed(emit: Callable[[Entry], None]) -> Reader[None]:
    """Reads the outermost object: entries by their ids, or an envelope."""
    entries, enveloped = 0, 0
    beside: dict[str, Event] = {}
    while True:
        event, key = yield
        if event == "end_map":
            break
        event, value = yield
        if event == "start_map":
            event, first = yield
            if key in _ENVELOPES and event == "map_key" and first not in _FIELDS:
                enveloped += yield from _envelope(emit, first)
                continue
            entry = Entry(bounded(key))
            yield from _entry(entry, event, first)
            emit(entry)
            entries += 1
        elif event == "start_array" and key in _ENVELOPES:
            enveloped += yield from _listed(emit, "expected tasks, found an empty list")
        else:
            yield from _skip(event)
            if len(beside) < MAX_GPUS:
                beside[key] = event, value
    _check(entries, enveloped, beside)


def _check(entries: int, enveloped: int, beside: dict[str, Event]) -> None:
    """Raises unless there were entries alone, or one envelope beside which nothing says that there are more."""
    strange = next((event for event, _ in beside.values() if not enveloped or event in _OPENING), None)
    if strange is not None:
        raise TasksPayloadError(f"expected one object per task id, found {kind(strange)} among them")
    if entries and enveloped:
        raise TasksPayloadError("expected tasks or an envelope of them, found both")
    more = any(beside[name][1] for name in ("next", "next_page", "has_more") if name in beside)
    totals = (beside[name] for name in ("total", "count") if name in beside)
    if more or any(event == "number" and value > enveloped for event, value in totals):
        raise TasksPayloadError("expected all tasks, found a page of them")


def _envelope(emit: Callable[[Entry], None], key: str) -> Reader[int]:
    """Reads entries by their ids, the first of which was read, and returns how many."""
    entries = 0
    while True:
        event, _ = yield
        if event != "start_map":
            raise TasksPayloadError(f"expected one object per task id, found {kind(event)} among them")
        event, first = yield
        entry = Entry(bounded(key))
        yield from _entry(entry, event, first)
        emit(entry)
        entries += 1
        event, key = yield
        if event == "end_map":
            return entries


def _listed(emit: Callable[[Entry], None], empty: str) -> Reader[int]:
    """Reads entries that bear their ids, and returns how many; `empty` is what to say of none."""
    entries = 0
    while True:
        event, _ = yield
        if event == "end_array":
            break
        if event != "start_map":
            raise TasksPayloadError(f"expected one object per task, found {kind(event)} among them")
        event, first = yield
        entry = Entry()
        yield from _entry(entry, event, first)
        entry.task_id = text(entry.fields.get("task_id")) or text(entry.fields.get("id")) or None
        emit(entry)
        entries += 1
    if not entries:
        raise TasksPayloadError(empty)
    return entries


def _entry(entry: Entry, event: str, key: str) -> Reader[None]:
    """Reads the fields of an entry; its first event after the brace was read."""
    while event != "end_map":
        event, value = yield
        if key in _TEXTS:
            entry.fields[key] = _kept(event, value)
        elif key in _GPUS:
            entry.is_task = True
            yield from _gpus(entry, event, value)
        elif key == "task":
            entry.is_task = True
            if event == "start_map":
                entry.details = yield from _scalars(*(yield))
                event, key = yield
                continue
        if event in _OPENING and key not in _GPUS:
            yield from _skip(event)
        event, key = yield
    entry.is_task |= not _SIGNS_OF_A_TASK.isdisjoint(entry.fields)


def _gpus(entry: Entry, event: str, value: Any) -> Reader[None]:
    if event == "start_array":
        while (item := (yield))[0] != "end_array":
            event, value = item
            if event == "start_map":
                gpu = yield from _scalars(*(yield))
                entry.name(_uuid(gpu), gpu)
            else:
                yield from _skip(event)
                entry.name(_unmistakable(value), {})
    elif event == "start_map":
        yield from _gpu_or_several(entry, *(yield))
    elif event != "null":
        entry.name(_unmistakable(value), {})


def _gpu_or_several(entry: Entry, event: str, key: str) -> Reader[None]:
    """Reads an object that is one GPU, or holds GPUs by number or by unique id."""
    own: dict[str, Any] = {}
    several: list[tuple[str | None, dict[str, Any]]] = []
    while event != "end_map":
        event, value = yield
        if event == "start_map":
            gpu = yield from _scalars(*(yield))
            held = (_uuid(gpu) or _unmistakable(key)), {"id": key if _unmistakable(key) is None else None, **gpu}
        else:
            yield from _skip(event)
            own[key] = _kept(event, value)
            held = (
                (_unmistakable(value), {"id": key})
                if _unmistakable(value)
                else (_unmistakable(key), {"id": _kept(event, value)})
            )
        if len(several) < MAX_GPUS:
            several.append(held)
        event, key = yield
    if (uuid := _uuid(own)) is not None:
        entry.name(uuid, own)
        return
    for uuid, gpu in several:
        entry.name(uuid, gpu)


def _scalars(event: str, key: str) -> Reader[dict[str, Any]]:
    """Reads an object and returns its scalars, as far as a task or a GPU has such; its first event was read."""
    found: dict[str, Any] = {}
    while event != "end_map":
        event, value = yield
        if event in _OPENING:
            yield from _skip(event)
        elif key in _INNER_FIELDS:
            found[key] = _kept(event, value)
        event, key = yield
    return found


_INNER_FIELDS: Final = frozenset({"uuid", "gpu_uuid", "id", "name", "memory", "_type", "project_uuid", "image"})


def _skip(event: str) -> Reader[None]:
    """Reads on to the end of the value that begins with this event."""
    depth = 0
    while True:
        depth += (event in _OPENING) - (event in _CLOSING)
        if depth == 0:
            return
        event, _ = yield


def _kept(event: str, value: Any) -> Any:
    if event == "string":
        return value if len(value) <= MAX_CHARS else bounded(value)
    return _EMPTY.get(event, value)


def _uuid(gpu: dict[str, Any]) -> str | None:
    return gpu_id.canonical(gpu.get("uuid")) or gpu_id.canonical(gpu.get("gpu_uuid"))


def _unmistakable(value: object) -> str | None:
    """Returns the unique id that a text spells; None also for a short number, which is a GPU's place, not its id."""
    if not isinstance(value, str):
        return None
    spelling = value.strip().lower()
    has_prefix = spelling.startswith(("apu-", "gpu-", "0x"))
    return gpu_id.canonical(spelling) if has_prefix or len(spelling) >= _UNMISTAKABLE_DIGITS else None


def _mebibytes(value: object) -> int | None:
    try:
        return int(float(value)) if isinstance(value, str | int | float | Decimal) else None
    except (ValueError, OverflowError):
        return None
