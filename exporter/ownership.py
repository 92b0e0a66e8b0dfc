"""Whose a GPU is: who holds it when, and the one rule that says what follows from that. Pure.

Instants are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from exporter.labels import bounded
from exporter.model import Answer, Hold, Owner, Ownership, Task


def ownership(holding: Iterable[Hold] | None) -> Ownership:
    """Returns whose a GPU is while it is held so.

    Args:
        holding: The holds in force, each once; None: nobody can say.
    """
    if holding is None:
        return Ownership.UNKNOWN
    holding = tuple(holding)
    usernames = {hold.task.username for hold in holding if hold.task is not None}
    return ownership_of(len(usernames), is_held=bool(holding))


def ownership_of(users: int, *, is_held: bool) -> Ownership:
    """Returns whose a GPU is while so many users hold it, or, without users, somebody who cannot be told."""
    if users:
        return Ownership.OWNED if users == 1 else Ownership.SHARED
    return Ownership.UNKNOWN if is_held else Ownership.UNALLOCATED


def joint_owner(holding: Collection[Hold] | None) -> Owner:
    """Returns the one owner that gauges name: usernames, and types, are sorted and joined by `+`.

    Args:
        holding: As for `ownership`.
    """
    tasks = [hold.task for hold in holding or () if hold.task is not None]
    usernames = sorted({task.username for task in tasks})
    task_types = sorted({task.task_type for task in tasks if task.task_type})
    return Owner(bounded("+".join(usernames)), bounded("+".join(task_types)), ownership(holding))


def in_force(holds: Iterable[Hold], at: float) -> tuple[Hold, ...]:
    """Returns those of the holds that are in force at an instant, in their order."""
    return tuple(hold for hold in holds if hold.start <= at < hold.end)


class Holdings:
    """All intervals of all tasks of an answer, looked up by any unique id of a GPU."""

    def __init__(self, answer: Answer) -> None:
        self._tasks = answer.tasks
        self._holds: dict[str, list[Hold]] = {}
        for task in answer.tasks:
            self._add(Hold(task.start, task.end, task), (gpu.uuid for gpu in task.gpus))
        for entry in answer.malformed:
            self._add(Hold(entry.start, entry.end, None), entry.gpu_uuids)

    def _add(self, hold: Hold, uuids: Iterable[str]) -> None:
        if hold.start < hold.end:
            for uuid in uuids:
                self._holds.setdefault(uuid, []).append(hold)

    def holds(self, aliases: Iterable[str]) -> tuple[Hold, ...]:
        """Returns every interval in which a GPU is held, by start; a task that names two of its aliases counts once.

        Entries that cannot be accounted to anybody are holds without a task. Empty intervals are left out.
        """
        found: dict[tuple[float, float, object], Hold] = {}
        for alias in aliases:
            for hold in self._holds.get(alias, ()):
                found[hold.start, hold.end, hold.task and hold.task.key] = hold
        return tuple(sorted(found.values(), key=_order))

    def unmatched(self, hostname: str, known: frozenset[str], at: float) -> tuple[str, ...]:
        """Returns the unique ids that tasks of this host name at an instant, and that are none of its aliases."""
        named = {gpu.uuid for task in self._running(at) if task.hostname == hostname for gpu in task.gpus}
        return tuple(sorted(named - known))

    def mismatched(self, hostname: str, known: frozenset[str], at: float) -> tuple[Task, ...]:
        """Returns the tasks that hold one of this host's GPUs at an instant and bear the name of another host."""
        return tuple(
            task
            for task in self._running(at)
            if task.hostname not in {"", hostname} and any(gpu.uuid in known for gpu in task.gpus)
        )

    def _running(self, at: float) -> Iterator[Task]:
        return (task for task in self._tasks if task.start <= at < task.end)


def _order(hold: Hold) -> tuple[float, float, str]:
    return hold.start, hold.end, hold.task.task_id if hold.task else ""
