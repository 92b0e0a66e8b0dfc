"""Who held which GPU, from what exporters showed of tasks. Pure.

An exporter shows a task while it runs, and for an hour after it ended; so each scrape tells of the hour before the
refresh that it shows, and scrapes less than an hour apart tell all:

    refreshes  |    |    |                                     |    |
    told of  ──────────────              not told of      ──────────────
                           └─────────────────────────────┘
                            what ended here, nobody knows

In between a GPU is held by the tasks that are shown before and after. Whoever else held it is unknown, and that is
said. Instants are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from exporter.model import RUNNING, SHOWN_SECONDS, MalformedTask, Task, TaskGpu
from exporter.names import natural
from exporter.report.observed import Floats

UNREFRESHED_SECONDS = 600.0
"""By so much the last refresh may be older than the present, and still tell who holds a GPU now."""
_LATE_SECONDS = 120.0
"""By so much a start that is shown after another one may lie before that was last seen: the task began meanwhile."""
_LATEST = 4102444800.0
"""The year 2100: what ends later has no end that a calendar need know."""
NOT_TOLD = "no scrape tells who held it"


class RunKey(NamedTuple):
    """What tells one run of a task on one GPU from every other."""

    gpu_uuid: str
    task_id: str
    start: float


class Who(NamedTuple):
    """What the labels of a task tell."""

    username: str
    task_type: str
    project_uuid: str
    image: str
    gpu_id: str
    hostname: str

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> Who:
        """Returns what a label set tells; labels that are empty are not there."""
        return cls(*(labels.get(name, "") for name in cls._fields))


@dataclass(frozen=True, slots=True)
class Shown:
    """A run as scrapes showed it."""

    who: Who
    last: float
    """When it was shown last, running or ended: up to the end of the cell it was in."""
    end: float | None = None
    gone: float | None = None
    """When it was over at the latest, if no end was told; None: not looked for. `last` is then of the last answer."""

    def joined(self, later: Shown) -> Shown:
        """Returns both, of which the later one knows better."""
        return replace(later, last=max(self.last, later.last), end=self.end if later.end is None else later.end)


Runs = dict[RunKey, Shown]


@dataclass(frozen=True, slots=True)
class Known:
    """What tells how far the scrapes of one GPU tell of tasks."""

    instants: Floats
    """Of refreshes whose answers were scraped, ascending, no two further apart than half an hour unless none was."""

    def after(self, instant: float) -> float | None:
        """Returns the first refresh after an instant; None if there is none."""
        row = int(np.searchsorted(self.instants, instant, side="right"))
        return float(self.instants[row]) if row < len(self.instants) else None

    def untold(self, start: float, end: float, *, is_over: bool) -> Iterator[tuple[float, float]]:
        """Yields the parts of a window of which no refresh tells.

        Args:
            start: Of the window.
            end: Of the window.
            is_over: Whether it is; else what the last refresh says still holds a while.
        """
        first_untold = np.concatenate([[-np.inf], self.instants])
        next_told = np.append(self.instants - SHOWN_SECONDS, np.inf)
        if not is_over and len(self.instants) and end - self.instants[-1] <= UNREFRESHED_SECONDS:
            next_told[-1] = self.instants[-1]
        stretches = zip(np.maximum(first_untold, start).tolist(), np.minimum(next_told, end).tolist(), strict=True)
        yield from ((first, until) for first, until in stretches if first < until)


@dataclass(frozen=True, slots=True)
class Told:
    """Who held what in a window."""

    tasks: tuple[Task, ...]
    untold: tuple[MalformedTask, ...]
    """When it is not known who else held a GPU, as entries without an id."""

    @property
    def untold_seconds(self) -> float:
        """The most GPU-seconds that may have been somebody else's."""
        return sum(entry.end - entry.start for entry in self.untold)


def told(runs: Runs, known: Mapping[str, Known], start: float, end: float, *, is_over: bool) -> Told:
    """Returns who held what in a window.

    Args:
        runs: As scrapes showed them; of one that was `lost` with `gone`.
        known: By GPU.
        start: Of the window.
        end: Of the window.
        is_over: Whether it is over.
    """
    doubts: dict[str, list[tuple[float, float]]] = {
        uuid: list(each.untold(start, end, is_over=is_over)) for uuid, each in known.items()
    }
    ends: dict[tuple[str, float, str], list[tuple[float, RunKey, Shown]]] = {}
    for key, shown in runs.items():
        until = _end(key, shown, known, doubts.setdefault(key.gpu_uuid, []), end)
        if until > start and key.start < end:
            ends.setdefault((key.task_id, key.start, shown.who.username), []).append((until, key, shown))
    untold = tuple(
        MalformedTask("", NOT_TOLD, (uuid,), *stretch)
        for uuid in sorted(doubts)
        for stretch in _united(doubts[uuid], start, end)
    )
    tasks = sorted((_task(parts) for parts in ends.values()), key=lambda task: (task.start, task.task_id))
    return Told(tuple(tasks), untold)


def lost(runs: Runs, known: Mapping[str, Known]) -> list[RunKey]:
    """Returns the runs that scrapes no longer showed at some time, though none had told of an end."""
    return [
        key
        for key, shown in runs.items()
        if shown.end is None
        and shown.gone is None
        and key.gpu_uuid in known
        and known[key.gpu_uuid].after(shown.last) is not None
    ]


def tells_no_ends(runs: Runs, known: Mapping[str, Known]) -> bool:
    """Returns whether exporters showed tasks, but none that had ended, though some did: they are of an older kind."""
    if any(shown.end is not None for shown in runs.values()):
        return False
    gone = [(shown.last, known[key.gpu_uuid].after(shown.last)) for key in lost(runs, known) for shown in (runs[key],)]
    return any(after is not None and after - last < SHOWN_SECONDS for last, after in gone)


@dataclass(frozen=True, slots=True)
class TaskSamples:
    """All samples of one id on one GPU in a stretch of time."""

    starts: Sequence[tuple[float, float]]
    """Times and values, in the order of time."""
    ends: Sequence[tuple[float, float]]
    """The same."""
    infos: Mapping[Who, Floats]
    """When each label set was scraped."""
    refreshes: Sequence[tuple[float, float]]
    """When its exporter was scraped, and of when the answer was that it had then; in the order of time."""


def runs_of_samples(gpu_uuid: str, task_id: str, samples: TaskSamples) -> Runs:
    """Returns the runs of one id on one GPU."""
    seen: dict[float, tuple[float, float]] = {}
    for time, start in samples.starts:
        seen[start] = seen.get(start, (time, time))[0], time
    if not seen or not samples.infos:
        return {}
    by_start = sorted(_uncorrected(seen, samples.refreshes))
    latest = {end: time for time, end in samples.ends}
    runs: Runs = {}
    for start, until in pairwise((*by_start, RUNNING)):
        first, last = seen[start]
        fitting = [(time, end) for end, time in latest.items() if start <= end <= until and time >= first]
        end = max(fitting)[1] if fitting else None
        answer, gone = _last_and_gone(last, until, samples.refreshes)
        who = _who_then(samples.infos, first, last)
        runs[RunKey(gpu_uuid, task_id, start)] = Shown(who, max(start, answer) if gone else last, end, gone)
    return runs


def _last_and_gone(last: float, until: float, refreshes: Sequence[tuple[float, float]]) -> tuple[float, float | None]:
    """Returns of when the answer was that told of a run last, and when it was over at the latest.

    Args:
        last: The last scrape that showed it.
        until: When the next run of its id begins.
        refreshes: As scraped.

    Returns:
        None if no later answer was scraped and there is no next run: it may go on.
    """
    answer = _answer_shown_at(last, refreshes)
    later = next((told for time, told in refreshes if time > last and told > answer), None)
    if later is None:
        return answer, None if until == RUNNING else until
    # It would be shown with its end, were that not too long ago, or its id another run's.
    gone = later - SHOWN_SECONDS if until == RUNNING and later - SHOWN_SECONDS > answer else later
    return answer, min(gone, until)


def _answer_shown_at(time: float, refreshes: Sequence[tuple[float, float]]) -> float:
    """Returns of when the answer was that a scrape shows: while the API is silent, exporters go on showing the last."""
    return max((told for scraped, told in refreshes if scraped <= time), default=time)


def _uncorrected(
    seen: Mapping[float, tuple[float, float]], refreshes: Sequence[tuple[float, float]]
) -> Iterator[float]:
    """Yields the starts, in the order in which they were seen, but for those that a later word corrects."""
    in_order = sorted(seen, key=lambda start: seen[start])
    for start, later in pairwise((*in_order, RUNNING)):
        if later >= _answer_shown_at(seen[start][1], refreshes) - _LATE_SECONDS:
            yield start


def _who_then(infos: Mapping[Who, Floats], first: float, last: float) -> Who:
    """Returns the label set that was there in a stretch most often, or else the nearest."""

    def fit(who: Who) -> tuple[int, float, Who]:
        times = infos[who]
        inside = int(np.count_nonzero((times >= first) & (times <= last)))
        distance = float(np.min(np.abs(times - last), initial=np.inf))
        return inside, -distance, who

    return max(infos, key=fit)


def _end(key: RunKey, shown: Shown, known: Mapping[str, Known], doubts: list[tuple[float, float]], end: float) -> float:
    """Returns when a run ended; adds since when it may have been over already, or may have gone on."""
    if shown.end is not None:
        return shown.end if shown.end < _LATEST else RUNNING
    if shown.gone is not None:
        last = min(shown.last, shown.gone)
        doubts.append((last, shown.gone))
        return last
    refreshes = known[key.gpu_uuid].instants if key.gpu_uuid in known else np.empty(0)
    if not len(refreshes):
        return shown.last
    last = float(refreshes[-1])
    return last if any(first <= last < until for first, until in doubts) and last < end else RUNNING


def _united(stretches: Iterable[tuple[float, float]], start: float, end: float) -> Iterator[tuple[float, float]]:
    """Yields stretches within a window, those that overlap or touch as one."""
    current: tuple[float, float] | None = None
    for first, last in sorted((max(first, start), min(last, end)) for first, last in stretches):
        if first >= last:
            continue
        if current and first <= current[1]:
            current = current[0], max(current[1], last)
            continue
        if current:
            yield current
        current = first, last
    if current:
        yield current


def _task(parts: Sequence[tuple[float, RunKey, Shown]]) -> Task:
    """Returns the task that holds several GPUs; an end that is told of one of them is the end."""
    parts = sorted(parts, key=lambda part: (natural(part[2].who.hostname), natural(part[2].who.gpu_id), part[1]))
    _, key, first = parts[0]
    is_told = any(shown.end is not None for _, _, shown in parts)
    gpus = {key.gpu_uuid: TaskGpu(key.gpu_uuid, shown.who.gpu_id) for _, key, shown in parts}
    return Task(
        task_id=key.task_id,
        username=first.who.username,
        task_type=first.who.task_type,
        gpus=tuple(gpus.values()),
        start=key.start,
        end=max(until for until, _, shown in parts if shown.end is not None or not is_told),
        hostname=first.who.hostname,
        project_uuid=first.who.project_uuid,
        image=first.who.image,
    )
