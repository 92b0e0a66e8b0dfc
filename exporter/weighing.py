"""What an answer means for the GPUs of a node, worked out on copies: on any thread, for as long as it takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporter.metering.ledger import Ledger
from exporter.model import Answer, Hold, Owner, Ownership
from exporter.ownership import Holdings, in_force, ownership


@dataclass(frozen=True, slots=True)
class Oddities:
    """Where tasks and hardware do not fit together."""

    unmatched: tuple[str, ...] = ()
    """Unique ids that tasks of this host name and this node does not have."""
    mismatched: tuple[str, ...] = ()
    """Ids of tasks on this node's GPUs that bear another hostname."""

    @classmethod
    def between(cls, holdings: Holdings, hostname: str, known: frozenset[str], instant: float) -> Oddities:
        """Returns where an answer and the GPUs that a node knows differ at an instant, in Unix seconds."""
        return cls(
            holdings.unmatched(hostname, known, instant),
            tuple(task.task_id for task in holdings.mismatched(hostname, known, instant)),
        )


@dataclass(frozen=True, slots=True)
class Question:
    """A node as it was when an answer came."""

    answer: Answer
    hostname: str
    ledgers: Mapping[tuple[str, frozenset[str]], Ledger]
    """Copies, which are booked; by a GPU's unique id and all ids that it goes by."""
    settle: float
    """`tasks.settle`, in seconds."""
    offset: float
    """The API's Unix time less monotonic time."""
    now: float
    """CLOCK_MONOTONIC."""

    @property
    def instant(self) -> float:
        """Returns the instant of the answer, in Unix seconds by the API's clock."""
        return self.answer.as_of + self.offset


@dataclass(frozen=True, slots=True)
class Weighed:
    """What became of one GPU."""

    aliases: frozenset[str]
    ledger: Ledger
    """Booked as far as the answer tells."""
    holds: tuple[Hold, ...] | None
    """By start; None if the answer does not tell of this GPU."""
    unlisted_owners: int
    """Of those who hold it: without series of their own."""

    def misses(self, held: Iterable[Hold]) -> bool:
        """Returns whether the answer does not name all the tasks that held the GPU before."""
        if self.holds is None:
            return False
        named = {hold.task.key for hold in self.holds if hold.task is not None}
        return any(hold.task is not None and hold.task.key not in named for hold in held)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means."""

    question: Question
    holdings: Holdings
    gpus: Mapping[str, Weighed]
    """By unique id."""
    oddities: Oddities


def weigh(question: Question) -> Verdict:
    """Books all time that the answer is old enough to know the owners of, in the ledgers of the question."""
    holdings = Holdings(question.answer)
    weighed = {key[0]: _weigh(question, holdings, key[1], ledger) for key, ledger in question.ledgers.items()}
    known = frozenset[str]().union(*(gpu.aliases for gpu in weighed.values()))
    oddities = Oddities.between(holdings, question.hostname, known, question.instant)
    return Verdict(question, holdings, weighed, oddities)


def holds_of(answer: Answer, holdings: Holdings, aliases: frozenset[str]) -> tuple[Hold, ...] | None:
    """Returns who holds the GPU of these ids when, by start; None if the answer does not tell of it."""
    return holdings.holds(aliases) if answer.tells_of(aliases) else None


def _weigh(question: Question, holdings: Holdings, aliases: frozenset[str], ledger: Ledger) -> Weighed:
    answer, offset, now = question.answer, question.offset, question.now
    holds = holds_of(answer, holdings, aliases)
    if holds is None:
        return Weighed(aliases, ledger, None, 0)
    unlisted = _expect(ledger, in_force(holds, question.instant), now)
    waiting = ledger.unbooked_since()
    # A GPU that came back since the question was asked waits; the next question reaches back to it.
    if waiting is not None and waiting + offset >= answer.since:
        until = min(answer.as_of - question.settle, answer.until - offset)
        first, last = waiting + offset, until + offset
        concerned = [_shifted(hold, -offset) for hold in holds if hold.end > first and hold.start < last]
        ledger.book(until, concerned, now)
    return Weighed(aliases, ledger, holds, unlisted)


def _expect(ledger: Ledger, holding: Sequence[Hold], now: float) -> int:
    """Has the series ready of all who hold a GPU: as things are, and for when the others have left.

    Returns:
        How many owners are served as others are, for want of series.
    """
    kinds = (Ownership.OWNED, ownership(holding))
    holders = dict.fromkeys((hold.task.username, hold.task.task_type) for hold in holding if hold.task is not None)
    owners = [Owner(*holder, kind) for holder in holders for kind in kinds]
    unlisted = {owner[:2] for owner in owners if ledger.expect(owner, now) != owner}
    return len(unlisted)


def _shifted(hold: Hold, seconds: float) -> Hold:
    return Hold(hold.start + seconds, hold.end + seconds, hold.task)
