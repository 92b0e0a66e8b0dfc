"""Who has which GPU, for `exporter tasks`. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from exporter.aliases import HostNames
from exporter.errors import UsageError
from exporter.model import RUNNING, Task
from exporter.names import natural
from exporter.speech import N_, Speech
from exporter.table import table

_HEADINGS = (N_("Node"), N_("GPU id"), N_("User"), N_("Task type"), N_("Start"), N_("End"), N_("Task"))


@dataclass(frozen=True, slots=True)
class Held:
    """One GPU held by one task."""

    hostname: str
    gpu_id: str
    """The cluster-wide number."""
    gpu_uuid: str
    username: str
    task_type: str
    start: str
    """ISO 8601."""
    end: str | None
    """None while it runs."""
    task_id: str
    project_uuid: str
    image: str


def held(
    tasks: Iterable[Task],
    start: float,
    end: float,
    zone: ZoneInfo,
    *,
    users: frozenset[str] = frozenset(),
    nodes: frozenset[str] = frozenset(),
) -> list[Held]:
    """Returns a row for each GPU of each task in [start, end), by host, GPU and start.

    Args:
        tasks: As the API gave them.
        start: Unix seconds.
        end: Unix seconds.
        zone: Of the times in the rows.
        users: Only these; empty: all.
        nodes: Only these hosts, with or without their domain; empty: all.

    Raises:
        UsageError: A user or node that no task names; the message names those there are.
    """
    there = [task for task in tasks if task.start < end and task.end > start]
    host = HostNames(mentioned=(*sorted({task.hostname for task in there}), *sorted(nodes))).name
    wanted = frozenset(map(host, nodes))
    _check("user", users, {task.username for task in there})
    _check("node", wanted, {host(task.hostname) for task in there})
    chosen = [
        task for task in there if (not users or task.username in users) and (not nodes or host(task.hostname) in wanted)
    ]
    chosen.sort(key=lambda task: (task.start, task.task_id))
    rows = [
        Held(
            hostname=task.hostname,
            gpu_id=gpu.gpu_id,
            gpu_uuid=gpu.uuid,
            username=task.username,
            task_type=task.task_type,
            start=_local(task.start, zone),
            end=None if task.end == RUNNING else _local(task.end, zone),
            task_id=task.task_id,
            project_uuid=task.project_uuid,
            image=task.image,
        )
        for task in chosen
        for gpu in task.gpus
    ]
    return sorted(rows, key=lambda row: (natural(row.hostname), natural(row.gpu_id)))


def as_json(rows: Sequence[Held]) -> str:
    """Returns a list of objects, one a row."""
    return json.dumps(
        [{name: getattr(row, name) for name in row.__slots__} for row in rows], ensure_ascii=False, indent=2
    )


def as_table(rows: Sequence[Held], words: Speech) -> str:
    """Returns columns for a terminal, aligned beside wide characters."""
    return table(
        [words.gettext(heading).upper() for heading in _HEADINGS],
        [
            (
                row.hostname,
                row.gpu_id or row.gpu_uuid,
                row.username,
                row.task_type,
                row.start[:16].replace("T", " "),
                row.end[:16].replace("T", " ") if row.end else words.gettext("running"),
                row.task_id,
            )
            for row in rows
        ],
    )


def _check(what: str, wanted: frozenset[str], known: set[str]) -> None:
    if unknown := sorted(wanted - known):
        raise UsageError(f"unknown {what} {', '.join(unknown)}; then there are: {', '.join(sorted(known)) or 'none'}")


def _local(instant: float, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(instant, zone).isoformat()
