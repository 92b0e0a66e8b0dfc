from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config import Devices
from exporter.devices.simulated import Kind, Phase, SimulatedGpus, SimulatedSource, Workload
from exporter.devices.simulated.curve import Curve
from exporter.devices.simulated.shapes import GRID
from exporter.devices.simulated.workload import EPOCH, VRAM_AT_REST_BYTES, VRAM_TOTAL_BYTES
from exporter.errors import DeviceError
from exporter.model import Amounts, Gpu, Health, Process, Reading

NOON = 1753185600
DAY = 86400
IDLE_THRESHOLD = 0.05
VRAM_HELD = 2**30
YEARS = st.integers(EPOCH, EPOCH + 1000 * DAY)

HARDWARE = [SimulatedGpus(Workload(seed)) for seed in range(3)] + [SimulatedGpus(Workload(7, gpus=2, pace=60))]
hardware = st.sampled_from(HARDWARE)
indices = st.integers(0, 1)


def truth(gpus: SimulatedGpus, index: int, start: float, end: float) -> Amounts:
    return gpus.truth(index, start, end, IDLE_THRESHOLD, VRAM_HELD)


def trapezoid(values: Sequence[float], step: float) -> float:
    return step * sum((a + b) / 2 for a, b in pairwise(values))


# Load


@settings(deadline=None)
@given(hardware, indices, YEARS, st.integers(1, 40), st.sampled_from([1, 3, 5, 15]))
def test_readings_on_the_grid_joined_by_lines_lose_nothing(
    gpus: SimulatedGpus, index: int, start: int, steps: int, interval: int
) -> None:
    start -= start % GRID
    end = start + steps * GRID
    readings = [gpus.reading(index, time, 0) for time in range(start, end + 1, interval)]
    exact = truth(gpus, index, start, end)
    utilization = [reading.utilization or 0 for reading in readings]
    vram = [reading.vram_used_bytes or 0 for reading in readings]
    power = [reading.power_watts or 0 for reading in readings]
    assert trapezoid(utilization, interval) == pytest.approx(exact.busy_seconds, rel=1e-9, abs=1e-9)
    assert trapezoid(vram, interval) == pytest.approx(exact.vram_used_byte_seconds, rel=1e-9)
    assert trapezoid(power, interval) == pytest.approx(exact.energy_joules, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(hardware, indices, YEARS, st.floats(1, 7200))
def test_closed_form_is_what_dense_sampling_tends_to(
    gpus: SimulatedGpus, index: int, start: int, length: float
) -> None:
    samples = 4000
    step = length / samples
    loads = [gpus.workload.load(index, start + (n + 0.5) * step) for n in range(samples)]
    idle = [load.utilization < IDLE_THRESHOLD for load in loads]
    held = [a and load.vram_used_bytes > VRAM_HELD for a, load in zip(idle, loads, strict=True)]
    exact = truth(gpus, index, start, start + length)
    assert exact.observed_seconds == pytest.approx(length)
    assert exact.busy_seconds == pytest.approx(step * sum(load.utilization for load in loads), rel=1e-3, abs=1)
    assert exact.vram_used_byte_seconds == pytest.approx(
        step * sum(load.vram_used_bytes for load in loads), rel=1e-3, abs=VRAM_TOTAL_BYTES
    )
    # Samples place each crossing of a threshold only to within a step.
    for seconds, samples_below in ((exact.idle_seconds, idle), (exact.idle_vram_held_seconds, held)):
        crossings = sum(a != b for a, b in pairwise(samples_below))
        assert seconds == pytest.approx(step * sum(samples_below), abs=step * (crossings + 1))


def test_a_line_that_crosses_the_thresholds_is_split_where_it_does() -> None:
    curve = Curve([(0, 0.0, 0.0), (10, 1.0, 100.0), (20, 1.0, 100.0)])
    assert curve.amounts(0, 10, idle_threshold=0.4, vram_held=10.0) == pytest.approx(Amounts(10, 5, 4, 3, 500, 0))
    assert curve.amounts(2, 4, idle_threshold=0.4, vram_held=10.0) == pytest.approx(Amounts(2, 0.6, 2, 2, 60, 0))
    assert curve.amounts(5, 15, idle_threshold=0.4, vram_held=10.0) == pytest.approx(Amounts(10, 8.75, 0, 0, 875, 0))


def test_utilization_at_the_threshold_is_not_idle() -> None:
    curve = Curve([(0, 0.05, 0.0), (10, 0.05, 0.0), (20, 0.0, 0.0)])
    assert curve.amounts(0, 10, idle_threshold=0.05, vram_held=0.0).idle_seconds == 0


@settings(max_examples=50, deadline=None)
@given(hardware, indices, YEARS, st.lists(st.floats(0, 9 * DAY), min_size=3, max_size=3))
def test_what_accrues_adds_up_however_time_is_cut(
    gpus: SimulatedGpus, index: int, base: int, times: list[float]
) -> None:
    start, middle, end = (base + time for time in sorted(times))
    parts = truth(gpus, index, start, middle).plus(truth(gpus, index, middle, end))
    assert parts == pytest.approx(truth(gpus, index, start, end), rel=1e-9, abs=1e-3)


@settings(deadline=None)
@given(hardware, indices, YEARS, YEARS)
def test_energy_counter_and_truth_agree_across_plans_and_cycles(
    gpus: SimulatedGpus, index: int, one: int, other: int
) -> None:
    start, end = sorted((one, other))
    first, last = gpus.reading(index, start, 0), gpus.reading(index, end, 0)
    assert first.energy_joules is not None
    assert last.energy_joules is not None
    assert last.energy_joules >= first.energy_joules
    if end - start <= 30 * DAY:
        exact = truth(gpus, index, start, end).energy_joules
        assert last.energy_joules - first.energy_joules == pytest.approx(exact, rel=1e-9, abs=1e-3)


@settings(deadline=None)
@given(hardware, indices, YEARS, st.floats(0.001, DAY))
def test_no_counter_ever_falls(gpus: SimulatedGpus, index: int, start: int, length: float) -> None:
    def counters(time: float) -> list[float]:
        reading, health = gpus.reading(index, time, 0), gpus.health(index, time)
        return [
            reading.energy_joules or 0,
            reading.throttle_ticks or 0,
            reading.pcie_replays or 0,
            *reading.throttle_residency.values(),
            *reading.xgmi_read_bytes.values(),
            *reading.xgmi_written_bytes.values(),
            *health.ecc_errors.values(),
        ]

    assert all(b >= a for a, b in zip(counters(start), counters(start + length), strict=True))


@settings(deadline=None)
@given(hardware, indices, YEARS)
def test_readings_are_what_an_mi300x_could_say(gpus: SimulatedGpus, index: int, time: int) -> None:
    reading = gpus.reading(index, time, 12.5)
    assert reading.taken == 12.5
    assert reading.utilization is not None
    assert 0 <= reading.utilization <= 1
    assert reading.vram_used_bytes is not None
    assert VRAM_AT_REST_BYTES <= reading.vram_used_bytes <= VRAM_TOTAL_BYTES
    assert reading.power_watts is not None
    assert 130 <= reading.power_watts <= 750
    assert all(30 < celsius < 100 for celsius in reading.temperatures_celsius.values())
    assert 132e6 <= reading.clocks_hertz["gfx"] <= 2100e6
    assert reading.throttle_ticks is not None
    assert sum(reading.throttle_residency.values()) <= reading.throttle_ticks


@settings(deadline=None)
@given(hardware, indices, YEARS)
def test_temperatures_and_links_do_not_keep_still_though_the_load_does(
    gpus: SimulatedGpus, index: int, time: int
) -> None:
    one, next_one = (gpus.reading(index, instant, 0) for instant in (time, time + 1))

    assert all(next_one.temperatures_celsius[sensor] != celsius for sensor, celsius in one.temperatures_celsius.items())
    for before, after in (
        (one.xgmi_read_bytes, next_one.xgmi_read_bytes),
        (one.xgmi_written_bytes, next_one.xgmi_written_bytes),
    ):
        assert all(after[link] > count for link, count in before.items())
        assert len(set(before.values())) == 7


@given(st.integers(0, 2**63), indices, YEARS)
@settings(max_examples=20, deadline=None)
def test_history_follows_from_the_seed_alone(seed: int, index: int, time: int) -> None:
    asked_before, fresh = SimulatedGpus(Workload(seed, 2)), SimulatedGpus(Workload(seed, 2))
    asked_before.reading(1 - index, time + 5 * DAY, 0)
    assert asked_before.gpus == fresh.gpus
    assert asked_before.reading(index, time, 0) == fresh.reading(index, time, 0)


def test_gpus_can_be_told_apart() -> None:
    gpus = [gpu for gpus in HARDWARE for gpu in gpus.gpus]
    assert len({gpu.uuid for gpu in gpus}) == len(gpus)
    assert all(len(gpu.uuid) == 16 and int(gpu.uuid, 16) for gpu in gpus)
    assert [gpu.card for gpu in HARDWARE[0].gpus] == ["card1", "card9", *(f"card{n}" for n in range(17, 64, 8))]
    assert len({gpu.bdf for gpu in SimulatedGpus(Workload(0, gpus=64)).gpus}) == 64


# Phases


def on(index: int, phases: Iterator[Phase]) -> list[Phase]:
    return [phase for phase in phases if index in phase.gpus]


@given(hardware, indices, st.lists(YEARS, min_size=4, max_size=4))
@settings(max_examples=30, deadline=None)
def test_any_window_shows_the_same_phases(gpus: SimulatedGpus, index: int, times: list[int]) -> None:
    base = min(times)
    start, inner, until, end = sorted(base + (time - base) % (20 * DAY) for time in times)
    walked = on(index, gpus.workload.phases(start, end + 1))
    assert on(index, gpus.workload.phases(inner, until + 1)) == [
        phase for phase in walked if phase.start < until + 1 and phase.end > inner
    ]


@given(hardware, indices, YEARS)
@settings(max_examples=30, deadline=None)
def test_phases_fill_time_without_gap_or_overlap(gpus: SimulatedGpus, index: int, start: int) -> None:
    phases = on(index, gpus.workload.phases(start, start + 3 * DAY))
    assert phases[0].start <= start
    assert phases[-1].end >= start + 3 * DAY
    assert all(before.end == after.start for before, after in pairwise(phases))
    assert all(phase.start < phase.end for phase in phases)


@given(hardware, indices, YEARS)
@settings(max_examples=30, deadline=None)
def test_a_load_begins_and_ends_within_its_phase(gpus: SimulatedGpus, index: int, start: int) -> None:
    for phase in on(index, gpus.workload.phases(start, start + DAY)):
        for edge in (phase.start, phase.end):
            load = gpus.workload.load(index, edge)
            assert load.utilization == pytest.approx(0, abs=1e-12)
            assert load.vram_used_bytes == pytest.approx(VRAM_AT_REST_BYTES)


def test_each_kind_of_load_shows_its_character() -> None:
    gpus = HARDWARE[0]
    seen = set()
    for phase in gpus.workload.phases(NOON, NOON + 8 * DAY):
        length = phase.end - phase.start
        if length < 3600 and phase.kind is not Kind.JOBS:
            continue
        seen.add(phase.kind)
        for index in phase.gpus:
            amounts = truth(gpus, index, phase.start, phase.end)
            busy, held = amounts.busy_seconds / length, amounts.idle_vram_held_seconds / length
            match phase.kind:
                case Kind.IDLE:
                    assert (busy, held) == (0, 0)
                case Kind.TRAINING:
                    assert busy > 0.8
                case Kind.INFERENCE:
                    assert 0.01 < busy < 0.95
                case Kind.NOTEBOOK:
                    assert held > 0.2
                case Kind.FORGOTTEN:
                    assert held > 0.95
                case Kind.JOBS:
                    assert length <= DAY / 32
    assert seen == set(Kind)


def test_gpus_of_one_phase_run_in_step() -> None:
    gpus = HARDWARE[0]
    team = next(p for p in gpus.workload.phases(NOON, NOON + 8 * DAY) if len(p.gpus) > 1 and p.kind is Kind.TRAINING)
    for instant in range(team.start, team.end, 601):
        first, *others = (gpus.workload.load(index, instant).utilization for index in team.gpus)
        assert others == pytest.approx([first] * len(others), rel=0.04)


def test_pace_brings_changes_within_minutes() -> None:
    hurried, unhurried = (list(Workload(0, pace=pace).phases(NOON, NOON + 3600)) for pace in (90, 1))
    assert len(hurried) > 5 * len(unhurried)
    assert max(phase.end - phase.start for phase in hurried) < 3600


# Source


class Recorder:
    """A sink that remembers, and says when it has seen three sweeps."""

    def __init__(self) -> None:
        self.gpus: list[Gpu] = []
        self.readings: dict[str, list[Reading]] = {}
        self.health: dict[str, list[Health]] = {}
        self.swept_thrice = asyncio.Event()

    def found(self, gpus: Sequence[Gpu]) -> None:
        self.gpus = list(gpus)

    def read(self, uuid: str, reading: Reading, seconds: float) -> None:
        assert seconds >= 0
        self.readings.setdefault(uuid, []).append(reading)
        if min(len(self.readings.get(gpu.uuid, [])) for gpu in self.gpus) == 3:
            self.swept_thrice.set()

    def inspected(self, uuid: str, health: Health) -> None:
        self.health.setdefault(uuid, []).append(health)

    def used_by(self, uuid: str, processes: Sequence[Process]) -> None:
        raise AssertionError(uuid, processes)

    def failed(self, gpu: Gpu | None, error: DeviceError) -> None:
        raise AssertionError(gpu, error)

    def recovered(self, gpu: Gpu | None) -> None:
        raise AssertionError(gpu)

    def restarted(self, reason: str) -> None:
        raise AssertionError(reason)


class VirtualTime:
    """Clocks that move only when slept on; the sleep named in `ends` never returns."""

    def __init__(self, ends: int) -> None:
        self.unix = float(NOON)
        self.uptime = 100.0
        self.ended = asyncio.Event()
        self._ends = ends
        self._sleeps = count(1)
        self.overslept: dict[int, float] = {}
        self.stepped: dict[int, float] = {}

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        n = next(self._sleeps)
        if n == self._ends:
            self.ended.set()
            await asyncio.Event().wait()
        elapsed = seconds + self.overslept.get(n, 0)
        self.uptime += elapsed
        self.unix += elapsed + self.stepped.get(n, 0)


def settings_of(interval: str) -> Devices:
    simulated = {"gpus": 2, "seed": 5}
    return Devices.model_validate({"source": "simulated", "interval": interval, "simulated": simulated})


async def run(clock: VirtualTime) -> tuple[Recorder, SimulatedGpus]:
    gpus, sink = SimulatedGpus(Workload(0, gpus=2)), Recorder()
    source = SimulatedSource(
        settings_of("1s"), gpus, clock=lambda: clock.unix, monotonic=lambda: clock.uptime, sleep=clock.sleep
    )
    async with asyncio.timeout(120):
        running = asyncio.create_task(source.run(sink))
        await clock.ended.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    return sink, gpus


async def test_source_reads_every_gpu_each_interval_and_its_health_each_minute() -> None:
    sink, gpus = await run(VirtualTime(ends=121))
    assert sink.gpus == list(gpus.gpus)
    for gpu in gpus.gpus:
        assert sink.readings[gpu.uuid] == [gpus.reading(gpu.index, NOON + n, 100.0 + n) for n in range(121)]
        assert sink.health[gpu.uuid] == [gpus.health(gpu.index, NOON + n) for n in (0, 60, 120)]


async def test_source_keeps_its_beat_and_leaves_out_what_it_overslept() -> None:
    clock = VirtualTime(ends=5)
    clock.overslept = {2: 3.4}
    sink, gpus = await run(clock)
    taken = [reading.taken for reading in sink.readings[gpus.gpus[0].uuid]]
    assert taken == pytest.approx([100, 101, 105.4, 106, 107])


async def test_a_step_of_the_wall_clock_leaves_readings_continuous() -> None:
    clock = VirtualTime(ends=10)
    clock.stepped = {4: -7200.0}
    sink, gpus = await run(clock)
    energy = [reading.energy_joules or 0 for reading in sink.readings[gpus.gpus[0].uuid]]
    assert energy == [gpus.reading(0, NOON + n, 0).energy_joules for n in range(10)]


async def test_source_runs_on_the_clocks_of_the_machine() -> None:
    gpus, sink = SimulatedGpus(Workload(5, gpus=2)), Recorder()
    before = time.time()
    async with asyncio.timeout(120):
        running = asyncio.create_task(SimulatedSource(settings_of("10ms")).run(sink))
        await sink.swept_thrice.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    energy = [reading.energy_joules or 0 for reading in sink.readings[gpus.gpus[0].uuid][:3]]
    bounds = [gpus.reading(0, instant, 0).energy_joules or 0 for instant in (before, time.time())]
    assert sorted([*energy, *bounds]) == [bounds[0], *energy, bounds[1]]
