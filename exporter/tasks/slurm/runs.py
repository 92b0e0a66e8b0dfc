"""Which GPU each job held, and when: kept from answer to answer, as Slurm tells the GPUs only while a job runs. Pure.

Instants are Unix seconds by this machine's clock, which is the controller's: Slurm needs them to agree, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from exporter.model import RUNNING, MalformedTask
from exporter.tasks.slurm.hooks import Trace
from exporter.tasks.slurm.jobs import Job, Requeued

_KEPT_SECONDS = 7200.0
"""For which a run that ended is remembered: longer than anybody asks back."""
_FORGOTTEN_SECONDS = 300.0
"""After which a controller forgets what ended, unless its MinJobAge says otherwise."""
_LOST = "it ended before anything told which GPUs it had: install deploy/slurm/gpu-times.sh"
_GONE = "it is gone, and nothing tells when it ended: install deploy/slurm/gpu-times.sh"
_NO_INDEX = "Slurm does not say which GPUs it has: does gres.conf give them device files (File=, or AutoDetect=)?"
_NO_GPU = "it has GPU {}, which maps to none of this node's: does gres.conf fit the kernel's render nodes?"

Run = tuple[str, float]
"""Id and start."""


class Numbered(Protocol):
    """The GPUs of a node, by the numbers that Slurm gives them; None where there is none."""

    def by_index(self, index: int) -> str | None:
        """Returns the unique id of a GPU by the index that the controller gives."""

    def by_number(self, number: int) -> str | None:
        """Returns it by what scripts are told."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One run of a job on this node's GPUs."""

    job: Job
    gpus: tuple[tuple[int, str], ...]
    """Its GPUs: Slurm's number and the unique id of each."""
    seen: float
    """When it was last seen to run."""
    faults: tuple[str, ...] = ()
    """What is wrong with its GPUs."""
    gone: float = RUNNING
    """When it was first missed, if nothing told of its end."""


@dataclass(slots=True)
class Runs:
    """The runs that are remembered.

    Args:
        since: When remembering began.
    """

    since: float
    kept: dict[Run, Kept] = field(default_factory=dict)
    lost: dict[Run, Job] = field(default_factory=dict)
    """Those that ended, and nothing tells what they had."""
    gaps: list[tuple[float, float]] = field(default_factory=list)
    """In which runs may have begun and ended that nothing tells of."""

    def learn(
        self,
        now: float,
        jobs: Iterable[Job],
        waiting: Iterable[Requeued],
        traces: Mapping[Run, Trace] | None,
        gpus: Numbered,
    ) -> None:
        """Takes an answer of the controller.

        Args:
            now: When it was asked.
            jobs: That run, or have run, on this node.
            waiting: Those of any node that wait, some of them again.
            traces: What Slurm's scripts on this node told; None where they are not in use.
            gpus: Those of this node.
        """
        if traces is None and now - self.since > _FORGOTTEN_SECONDS:
            self.gaps.append((self.since, now - _FORGOTTEN_SECONDS))
        jobs = list(jobs)
        ended = {job.run: job for job in jobs if job.end != RUNNING}
        running = {job.run: job for job in jobs if job.end == RUNNING}
        for run, job in running.items():
            self.kept[run] = _placed(job, job.indices, gpus.by_index, now)
        for run, trace in (traces or {}).items():
            if trace.job.end != RUNNING or run in ended:
                job = ended.get(run) or trace.job
                known = self.kept.get(run) or _placed(job, trace.numbers, gpus.by_number, job.end)
                self.kept[run] = _ended(known, min(job.end, trace.job.end))
        for run, job in ended.items():
            if run in self.kept:
                self.kept[run] = _ended(self.kept[run], min(job.end, self.kept[run].job.end))
            else:
                self.lost[run] = job
        self._miss(now, running, waiting)
        self._forget(now)
        self.since = now

    def _miss(self, now: float, running: Mapping[Run, Job], waiting: Iterable[Requeued]) -> None:
        """Bounds the ends of those that nothing tells of: between when they were seen and when they were missed."""
        submitted = {job.job_id: job.submitted for job in waiting}
        for run, kept in self.kept.items():
            if kept.job.end == RUNNING and run not in running:
                cleared = submitted.get(run[0], 0.0)
                gone = cleared if kept.seen <= cleared < now else now
                self.kept[run] = replace(_ended(kept, kept.seen), gone=max(gone, kept.seen))

    def _forget(self, now: float) -> None:
        self.kept = {run: kept for run, kept in self.kept.items() if kept.job.end > now - _KEPT_SECONDS}
        self.lost = {
            run: job for run, job in self.lost.items() if run not in self.kept and job.end > now - _KEPT_SECONDS
        }
        self.gaps = [gap for gap in self.gaps if gap[1] > now - _KEPT_SECONDS]

    def between(self, start: float, end: float) -> list[Kept]:
        """Returns the runs that held GPUs in a window."""
        return [kept for kept in self.kept.values() if kept.gpus and kept.job.start < end and kept.job.end > start]

    def doubts(self, start: float, end: float, gpus: Sequence[str]) -> Iterator[MalformedTask]:
        """Yields what cannot be accounted in a window.

        Args:
            start: Of the window.
            end: Of the window.
            gpus: The unique ids of all GPUs of the node: of what may have held any of them, all are in doubt.
        """
        everything = tuple(gpus)
        for kept in self.kept.values():
            job = kept.job
            if job.start < end and job.end > start:
                yield from (MalformedTask(job.job_id, fault, everything, job.start, job.end) for fault in kept.faults)
            if kept.gone != RUNNING and kept.seen < end and kept.gone > start:
                yield MalformedTask(job.job_id, _GONE, tuple(uuid for _, uuid in kept.gpus), kept.seen, kept.gone)
        for job in self.lost.values():
            if job.start < end and job.end > start:
                yield MalformedTask(job.job_id, _LOST, everything, job.start, job.end)
        for since, until in self.gaps:
            if since < end and until > start:
                yield MalformedTask(
                    "", "the controller may have forgotten jobs that ended then", everything, since, until
                )


def _placed(job: Job, numbers: Iterable[int] | None, uuid_of: Callable[[int], str | None], seen: float) -> Kept:
    if numbers is None:
        return Kept(job, (), seen, (_NO_INDEX,))
    found = {number: uuid_of(number) for number in numbers}
    gpus = tuple((number, uuid) for number, uuid in found.items() if uuid is not None)
    return Kept(job, gpus, seen, tuple(_NO_GPU.format(number) for number, uuid in found.items() if uuid is None))


def _ended(kept: Kept, end: float) -> Kept:
    return replace(kept, job=replace(kept.job, end=max(end, kept.job.start)), gone=RUNNING)
