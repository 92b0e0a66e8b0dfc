"""The file of bookings: YAML of two lists, in which every fault is told by line and key. Pure.

hosts:
  colab-gpu1: [52f67b3700dcc6f3, 0cab2c7c9fd3a5f1]
bookings:
  - {user: amy, gpus: [colab-gpu1/0], from: 2026-11-26 09:00, to: 2026-11-27 18:00}
  - {user: bob, hosts: [colab-gpu2], from: 2026-11-26}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import yaml

from exporter.errors import TasksPayloadError
from exporter.gpu_id import canonical
from exporter.labels import bounded
from exporter.model import RUNNING, MalformedTask, Task, TaskGpu

_KEYS = ("user", "gpus", "hosts", "from", "to", "type", "project", "id")
_MAX_BOOKINGS = 20_000
_MAX_GPUS = 10_000
_ID = "the unique id of a GPU (`exporter check` tells them), or host/number"


@dataclass(frozen=True, slots=True)
class Bookings:
    """What a file says."""

    tasks: tuple[Task, ...]
    malformed: tuple[MalformedTask, ...]


class _FaultError(Exception):
    """What is wrong with one booking, at a place of the file."""

    def __init__(self, node: yaml.Node, words: str) -> None:
        super().__init__(f"line {node.start_mark.line + 1}: {words}")


@dataclass(slots=True)
class _Booking:
    """One entry, as far as it is read."""

    line: int
    values: Mapping[str, yaml.Node]
    gpus: dict[str, TaskGpu] = field(default_factory=dict)
    hosts: dict[str, None] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)
    """GPUs and hosts, in the file's words."""
    start: float | None = None
    end: float | None = RUNNING


def parse(text: str, zone: ZoneInfo) -> Bookings:
    """Reads a file.

    Args:
        text: The whole file.
        zone: Of times without an offset.

    Raises:
        TasksPayloadError: It is not YAML, or its hosts are not usable; the message names the line.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise TasksPayloadError(f"expected YAML: {' '.join(str(error).split())[:300]}") from None
    try:
        sections = _keys(root, ("hosts", "bookings")) if root is not None else {}
        hosts = _hosts(sections.get("hosts"))
        entries = _items(sections["bookings"], "bookings") if "bookings" in sections else []
    except _FaultError as fault:
        raise TasksPayloadError(str(fault)) from None
    if len(entries) > _MAX_BOOKINGS:
        raise TasksPayloadError(f"more than {_MAX_BOOKINGS} bookings: keep those of other years elsewhere")
    tasks: dict[int, Task] = {}
    malformed: list[MalformedTask] = []
    for entry in entries:
        match _read(entry, hosts, zone):
            case Task() as task:
                tasks[entry.start_mark.line + 1] = task
            case MalformedTask() as bad:
                malformed.append(bad)
    return Bookings(tuple(tasks.values()), (*malformed, *_overlapping(tasks)))


def _read(entry: yaml.Node, hosts: Mapping[str, tuple[TaskGpu, ...]], zone: ZoneInfo) -> Task | MalformedTask:
    booking = _Booking(entry.start_mark.line + 1, {})
    try:
        booking.values = _keys(entry, _KEYS)
        return _task(booking, entry, hosts, zone)
    except _FaultError as fault:
        start = -RUNNING if booking.start is None else booking.start
        end = RUNNING if booking.end is None or booking.end < start else booking.end
        return MalformedTask(f"line {booking.line}", str(fault), tuple(booking.gpus), start, end)


def _task(booking: _Booking, entry: yaml.Node, hosts: Mapping[str, tuple[TaskGpu, ...]], zone: ZoneInfo) -> Task:
    values = booking.values
    _take_gpus(booking, entry, hosts)
    if "from" not in values:
        raise _FaultError(entry, "from: expected when it begins, found nothing")
    booking.end = None  # should the next lines fail, nothing bounds it
    booking.start = _instant(values["from"], "from", zone)
    booking.end = _instant(values["to"], "to", zone) if "to" in values else RUNNING
    if booking.end <= booking.start:
        booking.start, booking.end = None, None  # one of the two is wrong, and nothing tells which
        raise _FaultError(values["to"], "to: expected a time after from")
    if "user" not in values:
        raise _FaultError(entry, "user: expected a name, found nothing")
    user = _text(values["user"], "user")
    derived = f"{user} {_text(values['from'], 'from')} {booking.named[0]}"
    return Task(
        task_id=bounded(_text(values["id"], "id") if "id" in values else derived),
        username=bounded(user),
        task_type=bounded(_text(values["type"], "type")) if "type" in values else "",
        gpus=tuple(booking.gpus.values()),
        start=booking.start,
        end=booking.end,
        hostname=next(iter(booking.hosts)) if len(booking.hosts) == 1 else "",
        project_uuid=bounded(_text(values["project"], "project")) if "project" in values else "",
    )


def _take_gpus(booking: _Booking, entry: yaml.Node, hosts: Mapping[str, tuple[TaskGpu, ...]]) -> None:
    values = booking.values
    if ("gpus" in values) == ("hosts" in values):
        raise _FaultError(entry, "expected either gpus or hosts")
    for node in _items(values.get("gpus") or values["hosts"], "gpus" if "gpus" in values else "hosts"):
        name = _text(node, "gpus" if "gpus" in values else "hosts")
        host, gpus = _of_host(name, node, hosts) if "hosts" in values else _of_gpu(name, node, hosts)
        booking.named.append(name)
        booking.hosts[host] = None
        booking.gpus.update((gpu.uuid, gpu) for gpu in gpus)
        if len(booking.gpus) > _MAX_GPUS:
            raise _FaultError(node, f"expected at most {_MAX_GPUS} GPUs")
    if not booking.gpus:
        raise _FaultError(entry, "expected a GPU or host that has any, found none")


def _of_host(name: str, node: yaml.Node, hosts: Mapping[str, tuple[TaskGpu, ...]]) -> tuple[str, tuple[TaskGpu, ...]]:
    if name not in hosts:
        raise _FaultError(node, f"hosts: {name!r} is not among this file's hosts")
    return name, hosts[name]


def _of_gpu(name: str, node: yaml.Node, hosts: Mapping[str, tuple[TaskGpu, ...]]) -> tuple[str, tuple[TaskGpu, ...]]:
    host, slash, number = name.rpartition("/")
    if slash:
        _of_host(host, node, hosts)
        if not (number.isascii() and number.isdecimal()) or int(number[:9]) >= len(hosts[host]):
            raise _FaultError(node, f"gpus: {name!r}: {host} has {len(hosts[host])} GPUs, numbered from 0")
        return host, (hosts[host][int(number[:9])],)
    uuid = canonical(name)
    if uuid is None:
        raise _FaultError(node, f"gpus: expected {_ID}, found {name[:60]!r}")
    for known, gpus in hosts.items():
        for gpu in gpus:
            if gpu.uuid == uuid:
                return known, (gpu,)
    return "", (TaskGpu(uuid),)


def _hosts(section: yaml.Node | None) -> dict[str, tuple[TaskGpu, ...]]:
    found: dict[str, tuple[TaskGpu, ...]] = {}
    seen: dict[str, str] = {}
    if section is None or _is_empty(section):
        return found
    for name, node in _keys(section).items():
        gpus: list[TaskGpu] = []
        for item in _items(node, name):
            uuid = canonical(_text(item, name))
            if uuid is None:
                raise _FaultError(item, f"hosts: {name}: expected the unique id of a GPU (`exporter check` tells them)")
            if uuid in seen:
                raise _FaultError(item, f"hosts: {name}: GPU {uuid} stands at {seen[uuid]}, too")
            seen[uuid] = name
            gpus.append(TaskGpu(uuid, gpu_id=f"{name}/{len(gpus)}"))
        found[bounded(name)] = tuple(gpus)
    return found


def _overlapping(tasks: Mapping[int, Task]) -> Iterator[MalformedTask]:
    """Yields what is booked twice: both hold it, so it is shared, but who booked should know."""
    last: dict[str, tuple[int, Task]] = {}
    told: set[int] = set()
    for line, task in sorted(tasks.items(), key=lambda item: (item[1].start, item[0])):
        for gpu in task.gpus:
            before = last.get(gpu.uuid)
            if before is not None and before[1].end > task.start and line not in told:
                told.add(line)
                words = f"line {line}: GPU {gpu.gpu_id or gpu.uuid} is booked by line {before[0]}, too: both hold it"
                yield MalformedTask(task.task_id, words, (), task.start, task.end)
            if before is None or before[1].end < task.end:
                last[gpu.uuid] = line, task


def _keys(node: yaml.Node, known: tuple[str, ...] | None = None) -> dict[str, yaml.Node]:
    """Returns the values by their keys.

    Args:
        node: A mapping.
        known: Which keys there are; None: any.
    """
    if not isinstance(node, yaml.MappingNode):
        raise _FaultError(node, "expected keys and values")
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = _text(key, "a key")
        if known is not None and name not in known:
            raise _FaultError(key, f"{name[:60]!r}: expected one of the keys {', '.join(known)}")
        if name in found:
            raise _FaultError(key, f"{name[:60]}: stands twice")
        found[name] = value
    return found


def _items(node: yaml.Node, key: str) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if _is_empty(node):
        return []
    raise _FaultError(node, f"{key}: expected a list, such as [a, b]")


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.value.strip()


def _text(node: yaml.Node, key: str) -> str:
    if not isinstance(node, yaml.ScalarNode) or not (value := str(node.value).strip()):
        raise _FaultError(node, f"{key}: expected a text that is not empty")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise _FaultError(node, f"{key}: half of a surrogate pair is no text")
    return value


def _instant(node: yaml.Node, key: str, zone: ZoneInfo) -> float:
    text = _text(node, key)
    try:
        read = datetime.fromisoformat(text)
        return (read if read.tzinfo else read.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        raise _FaultError(node, f"{key}: expected a time such as 2026-11-26 09:00, found {text[:40]!r}") from None
