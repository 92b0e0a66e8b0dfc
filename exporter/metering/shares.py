"""Who gets how much: cumulative counters over time and task intervals become shares.

The ledger books with it on the node, the report accounts with it from the scrape history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from exporter.model import Amounts, Hold, Owner, Ownership, Task
from exporter.ownership import ownership


@dataclass(frozen=True, slots=True)
class Slice:
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


@dataclass(frozen=True, slots=True)
class Share:
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
    if holds is None:
        if start < end:
            yield Slice(start, end, (), ownership(None))
        return
    live = [hold for hold in holds if hold.start < end and hold.end > start and hold.start < hold.end]
    cuts = {start, end}
    for hold in live:
        cuts.update(edge for edge in (hold.start, hold.end) if start < edge < end)
    edges = sorted(cuts)
    waiting = sorted(live, key=lambda hold: hold.start, reverse=True)
    holding: list[Hold] = []
    for begin, finish in pairwise(edges):
        holding = [hold for hold in holding if hold.end > begin]
        while waiting and waiting[-1].start <= begin:
            holding.append(waiting.pop())
        tasks = {hold.task.key: hold.task for hold in holding if hold.task is not None}
        yield Slice(begin, finish, tuple(tasks[key] for key in sorted(tasks)), ownership(holding))


def shares(at: Callable[[float], Amounts], holds: Sequence[Hold] | None, start: float, end: float) -> list[Share]:
    """Divides what accrued on a GPU in [start, end): each instant equally among the tasks that hold it.

    Args:
        at: The cumulative counters at an instant.
        holds: As for `slices`.
        start: First instant.
        end: First instant after.

    Returns:
        One share for each task and kind of ownership that occurs; they sum to `at(end) - at(start)`.
    """
    total: dict[tuple[tuple[str, float, str] | None, Ownership], Share] = {}
    before = at(start)
    for piece in slices(holds, start, end):
        after = at(piece.end)
        part = 1 / len(piece.holders)
        amounts = after.minus(before).times(part)
        seconds = (piece.end - piece.start) * part
        for task in piece.holders:
            key = (task.key if task else None, piece.ownership)
            if (known := total.get(key)) is not None:
                total[key] = Share(task, piece.ownership, known.seconds + seconds, known.amounts.plus(amounts))
            else:
                total[key] = Share(task, piece.ownership, seconds, amounts)
        before = after
    return list(total.values())
