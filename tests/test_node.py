from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.samples import Sample

from exporter import config
from exporter.config import Metering, Tasks
from exporter.errors import GpuLostError, LibraryMissingError, TasksNetworkError
from exporter.labels import MAX_SERIES, OTHER
from exporter.model import (
    UNALLOCATED,
    UNKNOWN,
    Amounts,
    Answer,
    Gpu,
    GpuState,
    MalformedTask,
    Owner,
    Ownership,
    Reading,
    Task,
    TaskGpu,
)
from exporter.node import Node
from exporter.weighing import weigh
from tests.support.contract import families

UUID = "52f67b3700dcc6f3"
ALIAS = "00000000000000aa"
EPOCH = 1_753_113_600.0
"""Unix time when the node's monotonic clock shows 0."""
API = Tasks.model_validate({"url": "http://127.0.0.1:1", "settle": "5s", "expire_after": "10m"})
AT_ONCE = Metering.model_validate({"birth": "0s"})
"""What is booked is served at once."""
AFTER_BIRTH = Metering.model_validate({"birth": "90s"})


@dataclass
class World:
    """A node with one GPU, its clocks, and an API that knows the truth."""

    api: Tasks = API
    metering: Metering = AT_ONCE
    tasks: tuple[Task, ...] = ()
    malformed: tuple[MalformedTask, ...] = ()
    now: float = 0.0
    step: float = 0.0
    """How far the wall clock was set forward."""
    node: Node = field(init=False)

    def __post_init__(self) -> None:
        self.node = Node(
            "colab-gpu4",
            config.Devices(),
            self.metering,
            self.api,
            monotonic=lambda: self.now,
            wall=lambda: EPOCH + self.now + self.step,
        )
        self.node.found([Gpu(3, UUID, frozenset({UUID, ALIAS}), vram_total_bytes=1000)])

    def sample(self, until: float, utilization: float = 1.0) -> None:
        """Reads the GPU each second."""
        while self.now < until:
            self.now += 1
            self.node.read(UUID, Reading(self.now, utilization, vram_used_bytes=10, energy_joules=700 * self.now))

    def refresh(self, age: float = 0.0) -> None:
        visible = tuple(task for task in self.tasks if task.start <= EPOCH + self.now - age)
        self.node.answered(Answer(visible, self.malformed, self.now - age))

    @property
    def state(self) -> GpuState:
        return self.node.snapshot().gpus[0]

    def busy(self) -> dict[Owner, float]:
        """Busy seconds by owner, as served."""
        return {owner: amounts.busy_seconds for owner, amounts in self.state.accounts if amounts.busy_seconds}


def task(start: float, end: float = math.inf, user: str = "itrd", host: str = "colab-gpu4", gpu: str = UUID) -> Task:
    return Task(f"{user}-{start}", user, "LAB", (TaskGpu(gpu, "27"),), EPOCH + start, EPOCH + end, host)


def owned(user: str = "itrd") -> Owner:
    return Owner(user, "LAB", Ownership.OWNED)


def test_a_task_gets_its_first_seconds_though_the_api_showed_it_later() -> None:
    world = World(tasks=(task(20),))
    world.sample(23)
    world.refresh()
    world.sample(60)
    world.refresh()

    assert world.busy() == {UNALLOCATED: pytest.approx(19.0), owned(): pytest.approx(35.0)}


def test_a_task_that_ended_between_refreshes_is_booked_to_its_end() -> None:
    world = World(tasks=(task(10, 20.5),))
    world.sample(100)
    world.refresh()

    assert world.busy()[owned()] == pytest.approx(10.5)


def test_time_younger_than_settle_waits() -> None:
    world = World()
    world.sample(50)
    world.refresh()

    assert world.busy() == {UNALLOCATED: pytest.approx(44.0)}
    assert world.node.wanted_since() == EPOCH + 45


def test_an_answer_from_a_cache_counts_as_that_much_older() -> None:
    world = World()
    world.sample(50)
    world.refresh(age=20)

    assert world.node.wanted_since() == EPOCH + 25


def test_an_older_answer_takes_nothing_back() -> None:
    world = World(tasks=(task(0),))
    world.sample(50)
    world.refresh()
    world.tasks = ()
    world.refresh(age=30)

    assert world.state.owner == owned()


def test_what_waited_longer_than_expire_after_is_booked_unknown_and_never_rebooked() -> None:
    world = World(tasks=(task(0),))
    world.sample(1000)
    world.refresh()

    assert world.busy() == {UNKNOWN: pytest.approx(394.0), owned(): pytest.approx(600.0)}


def test_what_a_gpu_drew_while_it_could_not_be_read_goes_to_those_who_held_it() -> None:
    world = World(tasks=(task(0, 1500),))
    world.sample(100)
    for world.now in range(130, 2100, 30):
        world.refresh()
    world.sample(2110)
    world.refresh()

    booked = dict(world.state.accounts)
    assert booked[owned()].energy_joules == pytest.approx(700 * 1499)
    assert booked[owned()].observed_seconds == pytest.approx(99)
    assert booked[UNKNOWN] == Amounts()


def test_an_answer_books_no_time_from_before_its_window() -> None:
    world = World(tasks=(task(0, 1500),))
    world.sample(100)
    world.now = 2000
    world.refresh()
    asked, since = world.now, world.node.wanted_since()
    world.sample(2003)  # the GPU is back before the API answers
    world.node.answered(Answer((), (), asked + 1, since))
    assert world.node.wanted_since() == EPOCH + 100
    world.sample(2100)
    world.refresh()

    assert dict(world.state.accounts)[owned()].energy_joules == pytest.approx(700 * 1499)


def test_an_answer_too_old_to_say_who_owns_names_nobody_whose_ownership_is_unknown() -> None:
    world = World(tasks=(task(-1000),))
    world.sample(50)
    world.refresh(age=700)

    assert {owner for owner, _ in world.state.accounts} == {owned(), UNALLOCATED, UNKNOWN}


def test_without_an_api_all_time_is_unknown_and_booked_at_once() -> None:
    world = World(api=Tasks())
    world.sample(50)

    assert world.busy() == {UNKNOWN: pytest.approx(49.0)}
    assert world.state.owner == UNKNOWN


def test_the_owner_on_gauges_is_unknown_once_the_answer_has_expired() -> None:
    world = World(tasks=(task(0),))
    assert world.state.owner == UNKNOWN
    world.sample(10)
    world.refresh()
    assert (world.state.owner, world.state.tasks) == (owned(), world.tasks)

    world.sample(10 + 600)

    assert (world.state.owner, world.state.tasks) == (UNKNOWN, ())


def test_the_owner_on_gauges_is_unknown_as_soon_as_there_is_no_api_to_ask() -> None:
    world = World(tasks=(task(0),))
    world.sample(10)
    world.refresh()
    assert world.state.owner == owned()
    world.node.reconfigure(Tasks())

    assert world.state.owner == UNKNOWN
    assert world.state.tasks == ()


def test_a_shared_gpu_bears_all_names_on_gauges_and_each_its_own_account() -> None:
    world = World(tasks=(task(0, user="b"), task(0, user="a")))
    world.sample(65)
    world.refresh()

    assert world.state.owner == Owner("a+b", "LAB", Ownership.SHARED)
    assert world.busy() == {Owner(name, "LAB", Ownership.SHARED): pytest.approx(29.5) for name in "ab"}


def test_a_gpu_is_matched_by_any_alias_whatever_host_the_task_names(caplog: pytest.LogCaptureFixture) -> None:
    world = World(tasks=(task(0, host="elsewhere", gpu=ALIAS),))
    for until in (10, 20):
        world.sample(until)
        world.refresh()

    assert [record.message for record in caplog.records] == [
        "task 'itrd-0' holds a GPU of this node but bears another hostname: booked all the same"
    ]

    assert world.state.owner == owned()
    assert world.node.snapshot().hostname_mismatches == 1


def test_before_the_devices_told_no_gpu_is_unmatched(caplog: pytest.LogCaptureFixture) -> None:
    node = Node("colab-gpu4", config.Devices(), AT_ONCE, API, monotonic=lambda: 10.0, wall=lambda: EPOCH + 10)
    node.answered(Answer((task(0), task(0, user="b", gpu="00000000000000ff")), (), 10.0))
    assert node.snapshot().unmatched_gpus == 0
    assert not caplog.records
    node.found([Gpu(3, UUID, frozenset({UUID}))])

    assert node.snapshot().unmatched_gpus == 1
    assert [record.message for record in caplog.records] == [
        "a task of colab-gpu4 names GPU 00000000000000ff, which this node does not have"
    ]


def test_a_gpu_of_this_host_that_nobody_has_is_unmatched(caplog: pytest.LogCaptureFixture) -> None:
    world = World(tasks=(task(0, gpu="00000000000000ff"),))
    for until in (10, 20):
        world.sample(until)
        world.refresh()

    assert [record.message for record in caplog.records] == [
        "a task of colab-gpu4 names GPU 00000000000000ff, which this node does not have"
    ]

    assert world.node.snapshot().unmatched_gpus == 1


def test_thousands_of_tasks_that_do_not_fit_do_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    strange = tuple(task(number, host="colab-gpu9") for number in range(2000))
    foreign = tuple(task(number, gpu=f"{number + 1:016x}") for number in range(1000))
    world = World(tasks=(*strange, *foreign))
    world.sample(3000)
    world.refresh()

    assert len(caplog.messages) < 30
    assert "and 1990 more like it" in caplog.messages
    assert "and 989 more like it" in caplog.messages  # one of the thousand ids is an alias of its own GPU


def test_an_entry_that_cannot_be_placed_makes_its_gpu_unknown_not_free() -> None:
    world = World(malformed=(MalformedTask("x", "no readable start", (UUID,)),))
    world.sample(50)
    world.refresh()

    assert world.state.owner == UNKNOWN
    assert world.busy() == {UNKNOWN: pytest.approx(44.0)}


def test_an_alias_that_two_gpus_claim_matches_neither() -> None:
    world = World(tasks=(task(0, gpu=ALIAS),))
    world.node.found([Gpu(3, UUID, frozenset({UUID, ALIAS})), Gpu(4, "4" * 16, frozenset({"4" * 16, ALIAS}))])
    world.sample(10)
    world.refresh()

    assert [state.owner for state in world.node.snapshot().gpus] == [UNALLOCATED, UNALLOCATED]


def test_a_step_of_the_wall_clock_creates_and_loses_nothing() -> None:
    world = World(tasks=(task(0),))
    world.sample(50)
    world.refresh()
    world.step = 3600.0
    world.sample(100)
    world.refresh()
    counters = world.state.counters

    assert counters is not None
    assert counters.observed_seconds == pytest.approx(99.0)
    assert sum(world.busy().values()) == pytest.approx(94.0)


def test_a_gpu_that_is_not_read_loses_its_gauges_and_holds_its_counters() -> None:
    world = World()
    world.sample(10)
    before = world.state
    gpu = before.gpu
    world.node.failed(gpu, GpuLostError("it fell off the bus"))
    world.now += 5

    assert before.reading is not None
    assert (world.state.reading, world.state.counters) == (None, before.counters)
    assert world.state.problem == "it fell off the bus"
    world.node.recovered(gpu)
    assert world.state.problem is None


def test_a_gpu_that_is_gone_after_a_rescan_stays_with_its_counters() -> None:
    world = World()
    world.sample(10)
    world.node.found([])

    assert world.state.counters is not None


def test_what_is_wrong_with_a_source_is_kept_until_it_is_over() -> None:
    world = World()
    world.node.failed(None, LibraryMissingError("no library"))
    world.node.refused(TasksNetworkError("no route"))
    assert (world.node.snapshot().devices.problem, world.node.snapshot().tasks.problem) == ("no library", "no route")

    world.node.recovered(None)
    world.refresh()

    assert (world.node.snapshot().devices.problem, world.node.snapshot().tasks.problem) == (None, None)


def test_a_server_whose_clock_is_an_hour_ahead_has_its_tasks_booked_all_the_same() -> None:
    for seconds in (3600.0, -300.0):
        world = World(tasks=(task(20 + seconds, 40 + seconds),))
        world.sample(30)
        held = Answer(world.tasks, (), world.now, EPOCH + seconds - 60, EPOCH + seconds + 120, clock_offset=seconds)
        world.node.answered(held)
        assert (world.state.owner, world.node.snapshot().api_clock_offset) == (owned(), seconds)
        assert world.node.wanted_since() == pytest.approx(EPOCH + seconds + 25)
        world.step = -seconds  # NTP sets this machine right, or wrong
        world.sample(100)
        world.node.answered(replace(held, as_of=world.now, clock_offset=2 * seconds))
        assert world.busy() == {UNALLOCATED: pytest.approx(19 + 55), owned(): pytest.approx(20)}


def test_of_the_time_behind_its_window_an_answer_tells_nothing() -> None:
    world = World()
    world.sample(50)
    world.node.answered(Answer((), (), world.now, until=EPOCH + 20))

    assert world.state.owner == UNKNOWN
    assert world.busy() == {UNALLOCATED: pytest.approx(19.0)}


def test_of_a_gpu_it_was_not_asked_for_an_answer_tells_nothing() -> None:
    world = World()
    world.sample(50)
    world.node.answered(Answer((), (), world.now, about=frozenset({UUID})))  # and not its alias

    assert (world.state.owner, world.busy()) == (UNKNOWN, {})
    world.node.answered(Answer((), (), world.now + 1, about=world.node.scope().gpu_uuids))
    assert world.state.owner == UNALLOCATED
    assert world.node.scope().gpu_uuids == {UUID, ALIAS}


def test_an_id_that_stands_twice_in_an_answer_holds_for_both() -> None:
    first, second = task(0, user="a"), task(0, user="b")
    world = World(tasks=(replace(first, task_id="x"), replace(second, task_id="x")))
    world.sample(65)
    world.refresh()

    assert world.state.owner == Owner("a+b", "LAB", Ownership.SHARED)
    assert world.busy() == {Owner(name, "LAB", Ownership.SHARED): pytest.approx(29.5) for name in "ab"}
    names = [sample.labels["username"] for sample in sampled(world, "amdgpu_task_info")]
    starts = [sample.labels["task_id"] for sample in sampled(world, "amdgpu_task_start_timestamp_seconds")]
    assert (sorted(names), starts) == (["a", "b"], ["x"])


def test_a_gpu_has_at_most_256_series_by_owner_and_by_task(caplog: pytest.LogCaptureFixture) -> None:
    world = World(tasks=tuple(task(0, user=f"user {number:03}") for number in range(400)))
    for until in (65, 125):
        world.sample(until)
        world.refresh()
    snapshot, counters = world.node.snapshot(), world.state.counters

    assert counters is not None
    for name in ("amdgpu_owner_seconds_total", "amdgpu_owner_energy_joules_total", "amdgpu_task_info"):
        assert len(sampled(world, name)) == 256
    served = sum(sample.value for sample in sampled(world, "amdgpu_owner_seconds_total"))
    assert served + world.state.unbooked_seconds == pytest.approx(counters.observed_seconds)
    others = world.busy()[Owner(OTHER, "", Ownership.SHARED)]
    assert others == pytest.approx(119 * snapshot.unlisted_owners / 400)
    assert (snapshot.unlisted_owners, snapshot.unlisted_tasks) == (400 - 126, 400 - 256)
    assert caplog.messages == ["GPU 3 has more owners than the 256 with series of their own: 274 are summed as 'other'"]


def test_the_work_of_an_answer_grows_with_its_tasks_and_no_faster() -> None:
    def calls(tasks: int) -> int:
        world = World(tasks=tuple(task(number % 50, user=f"user {number % 30}") for number in range(tasks)))
        world.tasks = tuple(replace(one, task_id=str(number)) for number, one in enumerate(world.tasks))
        world.sample(65)
        made = 0

        def count(*_: object) -> None:
            nonlocal made
            made += 1

        sys.setprofile(count)
        try:
            world.refresh()
        finally:
            sys.setprofile(None)
        return made

    assert calls(1600) < 5 * calls(400)


def test_what_is_joined_across_a_reading_that_tells_too_little_lies_evenly_between_its_neighbours() -> None:
    world = World(tasks=(task(0, 12), task(12, user="amy")))
    world.sample(10)
    for second, utilization in ((11, 1.0), (12, None), (13, 1.0)):
        world.now = second
        world.node.read(UUID, Reading(world.now, utilization, vram_used_bytes=10))
    world.sample(30)
    world.refresh()

    assert world.busy() == {owned(): pytest.approx(11.0), owned("amy"): pytest.approx(13.0)}


def test_energy_told_without_utilization_is_booked_once_nothing_can_be_joined_across_it() -> None:
    world = World(tasks=(task(0),))
    for second in range(1, 40):
        world.now = second
        world.node.read(UUID, Reading(second, 0.5 if second == 1 else None, 10, energy_joules=700 * second))
    world.refresh()

    assert dict(world.state.accounts)[owned()].energy_joules == pytest.approx(700 * 33)


def test_readings_that_come_while_an_answer_is_weighed_are_kept_and_wait_for_the_next() -> None:
    world = World(tasks=(task(20),))
    world.sample(60)
    question = world.node.question(Answer(world.tasks, (), world.now))
    world.sample(70)
    before = world.busy()
    verdict = weigh(question)
    assert world.busy() == before == {}
    world.node.settle(verdict)
    assert world.busy() == {UNALLOCATED: pytest.approx(19.0), owned(): pytest.approx(35.0)}
    world.refresh()
    assert world.busy() == {UNALLOCATED: pytest.approx(19.0), owned(): pytest.approx(45.0)}


def test_time_booked_unknown_while_an_answer_is_weighed_is_not_booked_again() -> None:
    world = World()
    world.sample(610)
    question = world.node.question(Answer((), (), world.now))
    world.sample(620)
    unknown = world.busy()[UNKNOWN]
    world.node.settle(weigh(question))
    assert world.busy() == {UNKNOWN: unknown}
    world.refresh()
    assert world.busy() == {UNKNOWN: unknown, UNALLOCATED: pytest.approx(619 - unknown - 5)}


def test_a_gpu_found_while_an_answer_is_weighed_has_its_holder_with_it() -> None:
    world, other = World(), "00000000000000bb"
    world.sample(10)
    question = world.node.question(Answer((task(0, gpu=other),), (), world.now))
    world.node.found([Gpu(3, UUID, frozenset({UUID, ALIAS})), Gpu(4, other, frozenset({other}))])
    world.node.settle(weigh(question))
    assert [gpu.owner.username for gpu in world.node.snapshot().gpus] == ["", "itrd"]


def sampled(world: World, name: str) -> list[Sample]:
    return [s for family in families(world.node.snapshot()) for s in family.samples if s.name == name]


# Any course of events.

users = st.sampled_from(["a", "b", "c"])
tasks = st.lists(
    st.builds(
        lambda start, length, user: task(start, start + length, user), st.integers(0, 900), st.integers(1, 400), users
    ),
    max_size=6,
    unique_by=lambda one: one.task_id,
).map(tuple)
events = st.lists(
    st.tuples(st.sampled_from(["sample", "blind", "refresh", "cached", "outage"]), st.integers(1, 300)), max_size=25
)


def play(world: World, course: list[tuple[str, int]]) -> None:
    for event, seconds in course:
        match event:
            case "sample":
                world.sample(world.now + seconds, utilization=(seconds % 11) / 10)
            case "blind" | "outage":
                world.now += seconds
            case "refresh":
                world.refresh()
            case "cached":
                world.refresh(age=seconds)


@given(tasks, events)
def test_owners_and_unbooked_always_sum_to_observed_and_no_counter_falls(
    truth: tuple[Task, ...], course: list[tuple[str, int]]
) -> None:
    world, last = World(metering=AFTER_BIRTH, tasks=truth), dict[Owner, Amounts]()
    for event in course:
        play(world, [event])
        state = world.state
        if state.counters is None:
            continue
        for owner, amounts in state.accounts:
            before = last.get(owner, Amounts())
            assert all(now >= then for then, now in zip(before, amounts, strict=True))
            last[owner] = amounts
        served = sum(amounts.observed_seconds for amounts in last.values())
        assert served + state.unbooked_seconds == pytest.approx(state.counters.observed_seconds, rel=1e-9, abs=1e-9)


def refreshed_every(seconds: list[int], truth: tuple[Task, ...]) -> dict[Owner, float]:
    world, turn = World(tasks=truth), 0
    while world.now < 1200:
        world.sample(min(1200, world.now + seconds[turn % len(seconds)]), utilization=0.7)
        world.refresh()
        turn += 1
    world.sample(1205, utilization=0.7)
    world.refresh()
    return world.busy()


@settings(max_examples=20)
@given(tasks, st.lists(st.integers(1, 590), min_size=1, max_size=8))
def test_what_is_booked_does_not_depend_on_when_refreshes_happened(truth: tuple[Task, ...], pauses: list[int]) -> None:
    assert refreshed_every(pauses, truth) == pytest.approx(refreshed_every([10], truth), rel=1e-9, abs=1e-9)


@settings(max_examples=20)
@given(st.integers(0, 900), st.integers(1, 400), st.lists(st.integers(1, 590), min_size=1, max_size=8))
def test_a_lone_task_is_booked_to_the_second_however_refreshes_fall(start: int, length: int, pauses: list[int]) -> None:
    inside = min(start + length, 1200) - max(start, 1)

    assert refreshed_every(pauses, (task(start, start + length),)).get(owned(), 0.0) == pytest.approx(
        0.7 * inside, abs=1e-6
    )


def test_a_task_that_ended_is_told_for_an_hour_with_its_end_and_runs_no_more() -> None:
    world = World(tasks=(task(10, 20.5), task(15, user="amy")))
    world.sample(30)
    world.refresh()
    assert [one.end - EPOCH for one in world.state.ended_tasks] == [20.5]
    assert [one.username for one in world.state.tasks] == ["amy"]

    world.now = 20.5 + 3599
    assert [one.end - EPOCH for one in world.state.ended_tasks] == [20.5]
    world.now = 20.5 + 3601
    assert world.state.ended_tasks == ()


def test_an_id_that_runs_again_is_the_task_that_runs() -> None:
    first = replace(task(10, 20), task_id="again")
    second = replace(task(40), task_id="again")
    world = World(tasks=(first, second))
    world.sample(30)
    world.refresh()
    assert world.state.ended_tasks == (first,)
    world.sample(60)
    world.refresh()
    assert [*world.state.tasks, None, *world.state.ended_tasks] == [second, None]


def test_an_end_that_was_taken_back_is_no_longer_told() -> None:
    ended = task(10, 20)
    world = World(tasks=(ended,))
    world.sample(30)
    world.refresh()
    world.tasks = (replace(ended, end=math.inf),)
    world.sample(60)
    world.refresh()

    assert (world.state.tasks, world.state.ended_tasks) == (world.tasks, ())


def test_a_gpu_has_so_many_tasks_at_most_those_that_ended_last_and_all_that_run() -> None:
    world = World(tasks=(*(task(n, n + 10) for n in range(400)), task(5, user="amy")))
    world.sample(500)
    world.refresh()

    ended = [one.end - EPOCH for one in world.state.ended_tasks]
    assert ended == [float(409 - n) for n in range(MAX_SERIES - 1)]
    assert len(world.state.tasks) == 1


def test_the_first_question_is_about_the_last_hour_as_an_exporter_that_ran_before_cannot_be_asked() -> None:
    world = World(now=7200)
    assert world.node.wanted_since() == EPOCH + 3600

    world.refresh()
    assert world.node.wanted_since() == EPOCH + 7200


def test_after_a_time_without_answers_it_is_asked_what_ended_in_it_though_none_of_it_waits() -> None:
    world = World()
    world.sample(50)
    world.refresh()
    world.sample(1500)
    assert world.node.wanted_since() == EPOCH + 50

    world = World(now=50)
    world.refresh()
    world.now += 7200
    assert world.node.wanted_since() == EPOCH + 50 + 3600


def test_when_a_task_is_gone_without_a_word_the_last_hour_is_asked_about_once() -> None:
    world = World(now=7200, tasks=(task(10),))
    world.refresh()
    world.now += 30
    world.tasks = ()
    world.refresh()
    assert world.node.wanted_since() == EPOCH + 7230 - 3600

    world.tasks = (task(10, 7000),)
    world.refresh(age=-1)
    assert [one.end - EPOCH for one in world.state.ended_tasks] == [7000.0]
    assert world.node.wanted_since() == EPOCH + 7230


def test_a_gpu_that_is_found_after_the_first_answer_has_the_last_hour_asked_about_too() -> None:
    world = World(now=7200)
    world.node.answered(Answer((), (), world.now, about=frozenset({UUID, ALIAS})))
    assert world.node.wanted_since() == EPOCH + 7200
    world.node.found([Gpu(4, "00000000000000bb", frozenset({"00000000000000bb"}))])
    assert world.node.wanted_since() == EPOCH + 3600

    world.tasks = (task(10, 7000, gpu="00000000000000bb"),)
    world.refresh(age=-1)
    assert [one.end - EPOCH for one in world.node.snapshot().gpus[1].ended_tasks] == [7000.0]
    assert world.node.wanted_since() == EPOCH + 7200
