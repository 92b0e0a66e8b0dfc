"""Who gets how much: cumulative counters over time and task intervals become shares.

The ledger books with it on the node, the report accounts with it from the scrape history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple, TypeVar

from exporter.model import Amounts, Hold, Owner, Ownership, Task
from exporter.ownership import ownership_of

Key = tuple[str, float, str]
"""Of a task."""


class Slice(NamedTuple):
    """A stretch of time in which the same tasks hold a GPU."""

    start: float
    end: float
    tasks: tuple[Task, ...]
    """In order of their ids; empty unless owned or shared."""
    ownership: Ownership

    @property
    def holders(self) -> tuple[Task | None, ...]:
        """Those among whom it is divided equally: its tasks, or nobody."""
        return self.tasks or (None,)


class Share(NamedTuple):
    """What of a GPU falls to one task, or to nobody, in one kind of ownership."""

    task: Task | None
    ownership: Ownership
    seconds: float
    """GPU-seconds held, observed or not."""
    amounts: Amounts

    @property
    def owner(self) -> Owner:
        """The owner it is booked to."""
        return Owner.of(self.task, self.ownership)


def slices(holds: Sequence[Hold] | None, start: float, end: float) -> Iterator[Slice]:
    """Cuts [start, end) wherever a task starts or ends; the pieces follow each other without gaps.

    Args:
        holds: The intervals of one GPU, in the time base of `start` and `end`; None: nobody can say.
        start: First instant.
        end: First instant after.
    """
    for piece in _pieces(holds, start, end):
        tasks = sorted(piece.holding.tasks.values(), key=lambda task: task.key)
        yield Slice(piece.start, piece.end, tuple(tasks), piece.holding.ownership)


def shares(at: Callable[[float], Amounts], holds: Sequence[Hold] | None, start: float, end: float) -> list[Share]:
    """Divides what accrued on a GPU in [start, end): each instant equally among the tasks that hold it.

    What one holder gets is summed over the pieces as they pass, and each task is given what it grew by while the
    task was there: the time this takes is that of sorting the tasks, however many hold the GPU at once.

    Args:
        at: The cumulative counters at an instant.
        holds: As for `slices`.
        start: First instant.
        end: First instant after.

    Returns:
        One share for each task and kind of ownership that occurs; they sum to `at(end) - at(start)`.
    """
    if holds is None and start < end:  # as at each reading of a node that has nobody to ask
        return [Share(None, Ownership.UNKNOWN, end - start, at(end).minus(at(start)))]
    summed: dict[tuple[Key | None, Ownership], Share] = {}
    of_one_holder: dict[Ownership, _Gain] = dict.fromkeys(Ownership, (0.0, Amounts()))
    present: dict[Key, tuple[Task, dict[Ownership, _Gain]]] = {}

    def settle(task: Task, since: dict[Ownership, _Gain]) -> None:
        for kind, (seconds, amounts) in since.items():
            seconds_now, amounts_now = of_one_holder[kind]
            if seconds_now > seconds:
                _add(summed, Share(task, kind, seconds_now - seconds, amounts_now.minus(amounts)))

    before = at(start)
    for piece in _pieces(holds, start, end):
        for task in piece.left:
            settle(*present.pop(task.key))
        for task in piece.joined:
            present[task.key] = task, {kind: of_one_holder[kind] for kind in (Ownership.OWNED, Ownership.SHARED)}
        after, part = at(piece.end), 1 / (len(present) or 1)
        kind, seconds, amounts = (
            piece.holding.ownership,
            (piece.end - piece.start) * part,
            after.minus(before).times(part),
        )
        if present:
            of_one_holder[kind] = of_one_holder[kind][0] + seconds, of_one_holder[kind][1].plus(amounts)
        else:
            _add(summed, Share(None, kind, seconds, amounts))
        before = after
    for task, since in present.values():
        settle(task, since)
    return list(summed.values())


_Gain = tuple[float, Amounts]
"""Seconds held, and what accrued in them."""


def _add(summed: dict[tuple[Key | None, Ownership], Share], share: Share) -> None:
    key = share.task.key if share.task else None, share.ownership
    if (known := summed.get(key)) is not None:
        share = Share(share.task, share.ownership, known.seconds + share.seconds, known.amounts.plus(share.amounts))
    summed[key] = share


@dataclass(slots=True)
class _Holding:
    """Who holds a GPU, kept up to date as they join and leave."""

    tasks: dict[Key, Task] = field(default_factory=dict)
    _holds: Counter[Key] = field(default_factory=Counter)
    """Of each of these tasks: one that is listed twice counts once."""
    _of_users: Counter[str] = field(default_factory=Counter)
    """Tasks by username."""
    _untold: int = 0
    """Holds without a task."""

    @property
    def ownership(self) -> Ownership:
        return ownership_of(len(self._of_users), is_held=bool(self.tasks) or self._untold > 0)

    def join(self, hold: Hold) -> Task | None:
        """Returns the task, if it is new."""
        if (task := hold.task) is None:
            self._untold += 1
            return None
        key = task.key
        self._holds[key] += 1
        if key in self.tasks:
            return None
        self.tasks[key] = task
        self._of_users[task.username] += 1
        return task

    def leave(self, hold: Hold) -> Task | None:
        """Returns the task, if it is gone."""
        if (task := hold.task) is None:
            self._untold -= 1
            return None
        key = task.key
        if _less_one(self._holds, key):
            return None
        _less_one(self._of_users, task.username)
        return self.tasks.pop(key)


_T = TypeVar("_T", Key, str)


def _less_one(counts: Counter[_T], key: _T) -> int:
    """Returns what is left; of whom nothing is left, nothing is kept."""
    counts[key] -= 1
    return counts[key] or counts.pop(key)


class _Piece(NamedTuple):
    start: float
    end: float
    holding: _Holding
    """As it is until the next piece is asked for."""
    joined: Sequence[Task]
    left: Sequence[Task]


def _pieces(holds: Sequence[Hold] | None, start: float, end: float) -> Iterator[_Piece]:
    if start >= end:
        return
    if holds is None:
        holds = (Hold(start, end, None),)
    changes = [
        (instant, joins, hold)
        for hold in holds
        if hold.start < end and hold.end > start and hold.start < hold.end
        for instant, joins in ((max(hold.start, start), True), (hold.end, False))
        if instant < end
    ]
    changes.sort(key=itemgetter(0, 1))
    holding, begin = _Holding(), start
    joined: list[Task] = []
    left: list[Task] = []
    for instant, joins, hold in changes:
        if instant > begin:
            yield _Piece(begin, instant, holding, joined, left)
            begin, joined, left = instant, [], []
        task = holding.join(hold) if joins else holding.leave(hold)
        if task is not None:
            (joined if joins else left).append(task)
    yield _Piece(begin, end, holding, joined, left)
