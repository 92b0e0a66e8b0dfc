"""Who held what, from what an exporter showed: against the truth of made-up days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.model import RUNNING, Answer, Task
from exporter.ownership import Holdings, in_force
from exporter.report.history.task_runs import (
    Known,
    RunKey,
    Runs,
    Shown,
    TaskSamples,
    Told,
    Who,
    lost,
    runs_of_samples,
    tells_no_ends,
    told,
)

UUID, OTHER = "00000000000000aa", "00000000000000bb"
HOUR = 3600.0
START, END = 0.0, 12 * HOUR
REFRESH, EXPIRY, CELL = 30.0, 600.0, 1800.0
AMY = Who("amy", "LAB", "p", "torch:2", "27", "colab-gpu1")


def known(*instants: float) -> Known:
    return Known(np.array(instants))


def every(seconds: float, start: float = START, end: float = END + HOUR) -> Known:
    return Known(np.arange(start, end + 1, seconds))


def key(name: str, start: float, uuid: str = UUID) -> RunKey:
    return RunKey(uuid, name, start)


def of_day(runs: Runs, *, refreshes: Known | None = None, is_over: bool = True, end: float = END) -> Told:
    uuids = {one.gpu_uuid for one in runs} or {UUID}
    return told(runs, dict.fromkeys(uuids, refreshes or every(1800)), START, end, is_over=is_over)


def spans(found: Told) -> list[tuple[str, float, float]]:
    return [(task.task_id, task.start, task.end) for task in found.tasks]


def stretches(found: Told) -> list[tuple[float, float]]:
    return [(entry.start, entry.end) for entry in found.untold]


def test_a_task_has_the_start_and_end_it_was_shown_with() -> None:
    found = of_day({key("t", 100.0): Shown(AMY, 7200.0, 5000.0)})
    (task,) = found.tasks

    assert (task.start, task.end, task.username, task.task_type) == (100.0, 5000.0, "amy", "LAB")
    assert (task.project_uuid, task.image, task.hostname) == ("p", "torch:2", "colab-gpu1")
    assert [(gpu.uuid, gpu.gpu_id) for gpu in task.gpus] == [(UUID, "27")]
    assert found.untold_seconds == 0.0


def test_the_gpus_of_a_task_are_one_task_by_the_end_that_any_of_them_tells() -> None:
    other = AMY._replace(gpu_id="3", hostname="colab-gpu2")
    found = of_day({
        key("t", 100.0): Shown(AMY, 3600.0, gone=3700.0),
        key("t", 100.0, OTHER): Shown(other, 7200.0, 5000.0),
    })  # fmt: skip
    (task,) = found.tasks

    assert [gpu.uuid for gpu in task.gpus] == [UUID, OTHER]
    assert (task.end, task.hostname) == (5000.0, "colab-gpu1")


def test_what_is_shown_last_runs_on() -> None:
    shown = {key("t", 100.0): Shown(AMY, END + HOUR)}
    assert spans(of_day(shown)) == [("t", 100.0, RUNNING)]


def test_an_hour_without_a_scrape_hides_nothing_and_what_is_longer_is_unknown_from_the_last_answer_on() -> None:
    assert stretches(of_day({}, refreshes=known(0, 3600, 7200, *range(9000, 47000, 1800)))) == []

    gap = known(*range(0, 3601, 600), *range(14400, 47000, 1800))
    found = of_day({key("t", 100.0): Shown(AMY, END + HOUR)}, refreshes=gap)
    assert stretches(found) == [(3600.0, 10800.0)]
    assert spans(found) == [("t", 100.0, RUNNING)]
    assert found.untold_seconds == 7200.0


def test_before_the_first_and_after_the_last_answer_nothing_is_known() -> None:
    assert stretches(of_day({}, refreshes=every(1800, 2 * HOUR, 10 * HOUR))) == [(0.0, HOUR), (10 * HOUR, END)]
    assert stretches(of_day({}, refreshes=known())) == [(START, END)]


def test_of_a_day_that_is_not_over_the_last_answer_holds_for_ten_minutes() -> None:
    shown = {key("t", 100.0): Shown(AMY, 7200.0)}
    fresh = of_day(shown, refreshes=every(600, end=7000.0), is_over=False, end=7200.0)
    assert (spans(fresh), stretches(fresh)) == ([("t", 100.0, RUNNING)], [])

    stale = of_day(shown, refreshes=every(600, end=6000.0), is_over=False, end=7200.0)
    assert (spans(stale), stretches(stale)) == ([("t", 100.0, 6000.0)], [(6000.0, 7200.0)])


def test_a_run_that_is_shown_no_longer_though_scrapes_go_on_is_lost() -> None:
    runs = {key("t", 100.0): Shown(AMY, 3600.0), key("u", 100.0): Shown(AMY, END + 2 * HOUR)}
    refreshes = {UUID: every(1800)}
    assert lost(runs, refreshes) == [key("t", 100.0)]
    assert tells_no_ends(runs, refreshes)
    assert not tells_no_ends(runs | {key("v", 1.0): Shown(AMY, 1800.0, 60.0)}, refreshes)


def test_that_a_task_went_while_nothing_was_scraped_says_nothing_of_the_exporters_age() -> None:
    runs = {key("t", 100.0): Shown(AMY, 3600.0)}
    refreshes = {UUID: known(0, 1800, 3500, 20000, 21800)}
    assert lost(runs, refreshes)
    assert not tells_no_ends(runs, refreshes)


def samples(
    starts: Sequence[tuple[float, float]], ends: Sequence[tuple[float, float]] = (), until: float = 900.0
) -> TaskSamples:
    times = np.array([time for time, _ in starts])
    return TaskSamples(starts, ends, {AMY: times}, [(time, time) for time in np.arange(0, until, 15.0).tolist()])


def test_an_id_that_is_used_again_is_two_tasks() -> None:
    shown = [(15.0, 10.0), (30.0, 10.0), (45.0, 10.0), (315.0, 302.0), (330.0, 302.0)]
    runs = runs_of_samples(UUID, "t", samples(shown, [(45.0, 38.0)], until=345.0))
    assert {one.start: run.end for one, run in runs.items()} == {10.0: 38.0, 302.0: None}


def test_of_an_id_that_is_used_again_at_once_the_first_end_is_known_to_a_scrape() -> None:
    runs = runs_of_samples(UUID, "t", samples([(15.0, 10.0), (30.0, 10.0), (45.0, 40.0)], until=60.0))
    assert runs[key("t", 10.0)] == Shown(AMY, 30.0, None, 40.0)
    assert stretches(of_day(runs)) == [(30.0, 40.0)]


def test_a_start_that_a_later_word_corrects_is_no_task_of_its_own() -> None:
    shown = [(float(time), 10.0 if time < 300 else 60.0) for time in range(15, 600, 15)]
    assert [one.start for one in runs_of_samples(UUID, "t", samples(shown))] == [60.0]


def test_an_id_used_again_while_the_api_is_silent_is_no_correction_of_the_run_before() -> None:
    ended = [(float(time), 10.0) for time in range(60, 3600, 60)]  # shown for an hour after its end at 50
    again = [(3600.0, 1800.0)]
    told_of = TaskSamples(
        [*ended, *again],
        [(time, 50.0) for time, _ in ended],
        {AMY: np.array([time for time, _ in (*ended, *again)])},
        [*((time, 60.0) for time, _ in ended), (3600.0, 3600.0)],
    )
    assert {one.start for one in runs_of_samples(UUID, "t", told_of)} == {10.0, 1800.0}


def test_an_end_that_a_later_word_corrects_is_the_later_one() -> None:
    shown = [(float(time), 10.0) for time in range(15, 600, 15)]
    (run,) = runs_of_samples(UUID, "t", samples(shown, [(300.0, 280.0), (330.0, 250.0), (345.0, 250.0)])).values()
    assert run.end == 250.0


def test_a_user_who_reuses_the_id_of_another_is_told_from_them() -> None:
    bob = AMY._replace(username="bob")
    told_of = TaskSamples(
        [(15.0, 10.0), (30.0, 10.0), (45.0, 40.0), (60.0, 40.0)],
        [],
        {AMY: np.array([15.0, 30.0]), bob: np.array([45.0, 60.0])},
        [(time, time) for time in (15.0, 30.0, 45.0, 60.0)],
    )
    runs = runs_of_samples(UUID, "t", told_of)
    assert {one.start: run.who.username for one, run in runs.items()} == {10.0: "amy", 40.0: "bob"}


@dataclass(frozen=True)
class World:
    """A day of one GPU: who held it, and when its exporter was asked and had answers."""

    truth: tuple[tuple[str, int, int], ...]
    """Ids, which may be used again, starts and ends."""
    scrape_seconds: int
    unscraped: tuple[tuple[int, int], ...] = ()
    unanswered: tuple[tuple[int, int], ...] = ()
    names: dict[str, Who] = field(default_factory=lambda: {name: AMY._replace(username=name) for name in "abc"})

    def scrapes(self) -> Iterator[tuple[float, float]]:
        """Times, and of when the last answer was."""
        answer = None
        for time in range(-7200, int(END) + 3601, 15):
            if time % REFRESH == 0 and not _within(self.unanswered, time):
                answer = time
            if time % self.scrape_seconds == 0 and answer is not None and not _within(self.unscraped, time):
                yield float(time), float(answer)

    def shown(self, name: str, time: float, answer: float) -> tuple[float, float | None] | None:
        """Returns start and end of the run that an id stands for in a scrape."""
        of_name = [(start, end) for one, start, end in self.truth if one == name]
        running = [(start, None) for start, end in of_name if start <= answer < end]
        if running:
            return running[0] if time - answer < EXPIRY else None
        ended = [(start, end) for start, end in of_name if end <= answer and end > time - HOUR]
        return max(ended, key=lambda run: run[1], default=None)

    def hidden(self) -> set[tuple[str, float]]:
        """Returns the runs whose ids were used again within the hour: no scrape may have been in time to show them."""
        return {
            (name, float(start))
            for name, start, end in self.truth
            if any(other == name and end <= again < end + HOUR for other, again, _ in self.truth)
        }

    def runs(self) -> tuple[Runs, Known]:
        scraped = list(self.scrapes())
        runs: Runs = {}
        for name in sorted({name for name, _, _ in self.truth}):
            told_of = [(time, run) for time, answer in scraped if (run := self.shown(name, time, answer))]
            starts = [(time, float(run[0])) for time, run in told_of]
            ends = [(time, float(run[1])) for time, run in told_of if run[1] is not None]
            infos = {self.names[name]: np.array([time for time, _ in told_of])}
            runs |= runs_of_samples(UUID, name, TaskSamples(starts, ends, infos, scraped))
        cells: dict[float, set[float]] = {}
        for time, answer in scraped:
            cells.setdefault(time // CELL, set()).add(answer)
        instants = {instant for each in cells.values() for instant in (min(each), max(each))}
        return runs, known(*sorted(instants))


def _within(stretches: Sequence[tuple[float, float]], time: float) -> bool:
    return any(begin <= time < end for begin, end in stretches)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    truth = []
    for name in "abc"[: draw(st.integers(1, 3))]:
        at = draw(st.integers(-7000, 20000))
        for _ in range(draw(st.integers(1, 5))):
            lasting = draw(st.integers(1, 90) | st.integers(600, 20000))
            truth.append((name, at, at + lasting))
            at += lasting + draw(st.just(0) | st.integers(1, 60) | st.integers(600, 9000))
    gaps = st.tuples(st.integers(-3600, int(END)), st.integers(20, 15000)).map(lambda one: (one[0], sum(one)))
    return World(
        tuple(truth),
        draw(st.sampled_from([15, 60, 300, 1800])),
        tuple(draw(st.lists(gaps, max_size=2))),
        tuple(draw(st.lists(gaps, max_size=2))),
    )


@given(worlds())
@example(
    World(
        (("a", 3267, 3330), ("a", 3330, 3334), ("a", 3334, 8552), ("a", 9837, 9839), ("b", 0, 18820)),
        scrape_seconds=60,
        unanswered=((8777, 13168),),
    )
)
def test_whoever_is_named_held_it_and_whoever_is_not_is_where_it_is_said_to_be_unknown(world: World) -> None:
    runs, refreshes = world.runs()
    found = told(runs, {UUID: refreshes}, START, END, is_over=True)
    holds = Holdings(Answer(found.tasks, (), as_of=0.0)).holds({UUID})
    edges = {START, END, *(edge for _, start, end in world.truth for edge in (start, end))}
    edges |= {edge for hold in holds for edge in (hold.start, hold.end)}
    edges |= {edge for one in found.untold for edge in (one.start, one.end)}
    inside = sorted(edge for edge in edges if START <= edge <= END)
    for first, last in pairwise(inside):
        instant = (first + last) / 2
        true = {(name, float(start)) for name, start, end in world.truth if start <= instant < end}
        named = {(hold.task.task_id, hold.task.start) for hold in in_force(holds, instant) if hold.task}
        assert named <= true, instant
        told_of = {(one.task_id, one.start) for one in runs}
        assert named == true - (world.hidden() - told_of) or _within(stretches(found), instant), instant


@given(worlds())
def test_no_more_is_unknown_than_scrapes_and_answers_left_out(world: World) -> None:
    runs, refreshes = world.runs()
    found = told(runs, {UUID: refreshes}, START, END, is_over=True)
    told_of = np.concatenate([[-np.inf], refreshes.instants, [np.inf]])
    gaps = [(first, last) for first, last in pairwise(told_of.tolist()) if last - first > HOUR]
    for first, last in stretches(found):
        in_gap = any(begin <= first and last <= max(begin, end - HOUR) for begin, end in gaps)
        assert in_gap or last - first <= HOUR + CELL + EXPIRY


@pytest.mark.parametrize("scrape_seconds", [15, 60, 600, 1800])
def test_where_no_scrape_is_missed_all_is_known_to_the_second(scrape_seconds: int) -> None:
    world = World((("a", 10, 11), ("b", 20, 4000), ("c", 4000, 4007), ("a", 8000, 9001)), scrape_seconds)
    runs, refreshes = world.runs()
    found = told(runs, {UUID: refreshes}, START, END, is_over=True)
    assert spans(found) == [(name, float(start), float(end)) for name, start, end in world.truth]
    assert found.untold == ()


def test_tasks_before_and_after_the_window_are_none_of_it() -> None:
    shown = {key("t", -500.0): Shown(AMY, 1800.0, -100.0), key("u", END + 5): Shown(AMY, END + HOUR)}
    assert of_day(shown).tasks == ()


def test_a_task_is_the_same_whatever_order_its_gpus_come_in() -> None:
    parts = {key("t", 100.0, uuid): Shown(AMY._replace(gpu_id=uuid), 7200.0, 5000.0) for uuid in (OTHER, UUID)}
    tasks: set[tuple[Task, ...]] = {of_day(dict(order)).tasks for order in (parts.items(), reversed(parts.items()))}
    assert len(tasks) == 1
