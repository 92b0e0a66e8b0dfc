from __future__ import annotations

from collections.abc import Mapping

from exporter.model import RUNNING, MalformedTask
from exporter.tasks.slurm.hooks import Trace
from exporter.tasks.slurm.jobs import Job, Requeued
from exporter.tasks.slurm.runs import Runs

GPUS = ("a", "b", "c", "d")
START = 1000.0


class FourGpus:
    """Numbered from 0, and for scripts from 128, too."""

    def by_index(self, index: int) -> str | None:
        return GPUS[index] if index < len(GPUS) else None

    def by_number(self, number: int) -> str | None:
        return self.by_index(number % 128)


def job(job_id: str = "7", start: float = START, end: float = RUNNING, indices: tuple[int, ...] | None = (0, 1)) -> Job:
    return Job(job_id, "alice", "biolab", "gpu", "normal", start, end, indices if end == RUNNING else None)


def trace(job_id: str = "7", start: float = START, end: float = RUNNING) -> Trace:
    return Trace(Job(job_id, "alice", "biolab", "gpu", "", start, end), (128, 129))


class Day:
    """What a source comes to know, answer by answer."""

    def __init__(self) -> None:
        self.runs = Runs(START)

    def learn(
        self,
        now: float,
        *jobs: Job,
        waiting: tuple[Requeued, ...] = (),
        traces: tuple[Trace, ...] | None = None,
    ) -> Day:
        told = None if traces is None else {one.job.run: one for one in traces}
        self.runs.learn(now, jobs, waiting, told, FourGpus())
        return self

    def held(self) -> Mapping[tuple[str, float], tuple[float, str]]:
        """The end and the GPUs of each run."""
        found = self.runs.between(0, RUNNING)
        return {kept.job.run: (kept.job.end, "".join(uuid for _, uuid in kept.gpus)) for kept in found}

    def doubts(self) -> list[MalformedTask]:
        return list(self.runs.doubts(0, RUNNING, GPUS))


def test_a_job_that_runs_holds_its_gpus_without_end() -> None:
    assert Day().learn(1010, job()).held() == {("7", START): (RUNNING, "ab")}


def test_gpus_that_were_seen_are_remembered_when_the_end_is_told() -> None:
    day = Day().learn(1010, job()).learn(1020, job(end=1015))
    assert day.held() == {("7", START): (1015, "ab")}
    assert day.learn(1300).held() == {("7", START): (1015, "ab")}
    assert day.doubts() == []


def test_a_requeued_job_is_a_run_of_its_own_each_time() -> None:
    day = Day().learn(1010, job()).learn(1020, waiting=(Requeued("7", 1018),), traces=(trace(end=1016),))
    day.learn(1100, job(start=1090, indices=(2,)))
    assert day.held() == {("7", START): (1016, "ab"), ("7", 1090): (RUNNING, "c")}
    assert day.doubts() == []


def test_without_scripts_the_end_of_a_requeued_run_is_in_doubt_until_it_was_cleared_away() -> None:
    day = Day().learn(1010, job()).learn(1020, waiting=(Requeued("7", 1018),))
    assert day.held() == {("7", START): (1010, "ab")}
    assert [(one.gpu_uuids, one.start, one.end) for one in day.doubts()] == [(("a", "b"), 1010, 1018)]
    # What comes later changes none of it.
    assert [(one.start, one.end) for one in day.learn(1030, waiting=(Requeued("7", 1018),)).doubts()] == [(1010, 1018)]


def test_a_job_that_is_gone_without_a_word_is_in_doubt_until_it_was_missed() -> None:
    day = Day().learn(1010, job()).learn(1020)
    assert [(one.gpu_uuids, one.start, one.end) for one in day.doubts()] == [(("a", "b"), 1010, 1020)]


def test_a_job_that_comes_back_was_never_gone() -> None:
    day = Day().learn(1010, job()).learn(1020).learn(1030, job())
    assert (day.held(), day.doubts()) == ({("7", START): (RUNNING, "ab")}, [])


def test_scripts_tell_of_a_job_that_no_answer_showed() -> None:
    day = Day().learn(1010, traces=(trace(start=1005, end=1006),))
    assert day.held() == {("7", 1005): (1006, "ab")}


def test_a_job_that_ended_unseen_puts_all_gpus_in_doubt_while_it_ran() -> None:
    doubts = Day().learn(1010, job(start=1005, end=1008)).doubts()
    assert [(one.task_id, one.gpu_uuids, one.start, one.end) for one in doubts] == [("7", GPUS, 1005, 1008)]


def test_a_script_that_has_told_only_the_begin_lends_its_gpus_to_a_job_that_ended_unseen() -> None:
    day = Day().learn(1010, job(start=1005, end=1008), traces=(trace(start=1005),))
    assert (day.held(), day.doubts()) == ({("7", 1005): (1008, "ab")}, [])


def test_a_begin_alone_is_nothing_until_the_controller_tells_of_the_job() -> None:
    assert Day().learn(1010, traces=(trace(start=1009),)).held() == {}


def test_a_script_knows_of_an_end_before_the_controller_is_asked_again() -> None:
    day = Day().learn(1010, job(), traces=(trace(end=1010),))
    assert day.held() == {("7", START): (1010, "ab")}


def test_an_index_that_maps_to_no_gpu_puts_all_others_in_doubt() -> None:
    day = Day().learn(1010, job(indices=(1, 9)))
    assert day.held() == {("7", START): (RUNNING, "b")}
    assert [(one.gpu_uuids, one.end) for one in day.doubts()] == [(GPUS, RUNNING)]
    assert "GPU 9, which maps to none" in day.doubts()[0].reason


def test_gpus_that_slurm_does_not_name_put_all_in_doubt() -> None:
    day = Day().learn(1010, job(indices=None))
    assert day.held() == {}
    assert [one.gpu_uuids for one in day.doubts()] == [GPUS]


def test_after_a_long_silence_jobs_may_have_been_forgotten_unless_scripts_tell() -> None:
    day = Day().learn(1010, job()).learn(2010, job())
    assert [(one.gpu_uuids, one.start, one.end) for one in day.doubts()] == [(GPUS, 1010, 1710)]
    assert Day().learn(1010, job(), traces=()).learn(2010, job(), traces=()).doubts() == []


def test_what_is_long_over_is_forgotten() -> None:
    day = Day().learn(1010, job(), job("8", 1000, 1005)).learn(1020, job(end=1015)).learn(9000)
    assert (day.held(), day.runs.kept, day.runs.lost) == ({}, {}, {})


def test_doubts_are_told_only_of_the_window() -> None:
    runs = Day().learn(1010, job(start=1005, end=1008)).runs
    assert list(runs.doubts(1008, 2000, GPUS)) == []
