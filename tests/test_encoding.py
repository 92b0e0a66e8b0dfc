"""What is written from kept beginnings of lines, held against prometheus_client's own encoders."""

from __future__ import annotations

import asyncio
import contextlib
import math
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from exporter.errors import ReadTimeoutError
from exporter.exposition import Exposition, Instruments
from exporter.model import Amounts, Gpu, GpuState, Health, Owner, Ownership, Process, Reading, Snapshot, SourceState
from tests.support import snapshots
from tests.support.contract import Registry
from tests.support.loopless import at_once

TEXT, OPENMETRICS = "text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0"

# Characters that lines, labels or their escapes are made of, others that end lines elsewhere, and any at all.
names = st.text(
    st.sampled_from('ab\\"\n{}=, #_1.陳é\r\t\0\v\x85\u2028') | st.characters(exclude_categories=["Cs"]), max_size=6
)
values = st.floats() | st.sampled_from([0.0, -0.0, 1e6, 999999.5, 1e15, 1e16, 1e21, 1e-5]) | st.integers(0, 2**64)
amounts = st.builds(Amounts, *[values] * 6)
owners = st.builds(Owner, names, names, st.sampled_from(Ownership))
by_name = st.dictionaries(names, values, max_size=3)
readings = st.builds(
    Reading,
    taken=st.just(0.0),
    utilization=st.none() | values,
    vram_used_bytes=st.none() | st.integers(0, 2**40),
    temperatures_celsius=by_name,
    xgmi_read_bytes=st.dictionaries(names, st.integers(0, 2**64), max_size=2),
)
KEPT = ("gpu", "accounts", "tasks", "health", "processes", "energy_joules", "reading")
tasks = st.builds(snapshots.task, st.integers(0, 3), names, names, st.floats(0, 1e4))
processes = st.builds(Process, st.integers(0, 9), st.integers(0, 2**40), names, names, names)


@st.composite
def states(draw: st.DrawFn, gpu: Gpu) -> GpuState:
    return GpuState(
        gpu=replace(gpu, model=draw(names)),
        reading=draw(st.none() | readings),
        last_reading=draw(st.none() | readings),
        health=draw(st.none() | st.builds(Health, by_name)),
        counters=draw(st.none() | amounts),
        energy_joules=draw(st.none() | values),
        throttled_seconds=draw(by_name),
        owner=draw(owners),
        accounts=tuple(draw(st.dictionaries(owners, amounts, max_size=3)).items()),
        unbooked_seconds=draw(values),
        tasks=tuple(draw(st.lists(tasks, max_size=3))),
        processes=draw(st.none() | st.lists(processes, max_size=3).map(tuple)),
    )


@st.composite
def scrapes(draw: st.DrawFn) -> Snapshot:
    """Of a node some of whose GPUs may be gone, and back in the next."""
    indices = draw(st.sets(st.integers(0, 2)))
    return Snapshot(
        hostname=draw(st.just("colab-gpu4") | names),
        time=0.0,
        gpus=tuple(draw(states(snapshots.gpu(index))) for index in sorted(indices)),
        devices=SourceState(draw(st.none() | values)),
        tasks=SourceState(),
        api_clock_offset=draw(st.none() | values),
    )


@dataclass
class Scraped:
    """What is scraped twice a sweep: in either format."""

    snapshot: Snapshot

    def __post_init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.instruments = Instruments(self.registry)
        self.exposition = Exposition(lambda: self.snapshot, self.registry, math.inf, lambda: 0.0)

    def sweep(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.instruments.read(0.001 * len(snapshot.gpus))
        for state in snapshot.gpus:
            self.instruments.failed(state.gpu, ReadTimeoutError("no answer"))
        self.exposition.outdated()

    def scrape(self, accept: str) -> bytes:
        return at_once(self.exposition(accept))[0]

    def encoded(self, accept: str) -> bytes:
        """What prometheus_client makes of it."""
        encoder, _ = choose_encoder(accept)
        return encoder(Registry(self.snapshot, self.registry))


@st.composite
def courses(draw: st.DrawFn) -> list[Snapshot]:
    """Scrapes, each of which has some of the very objects that the one before had of a GPU."""
    course = draw(st.lists(scrapes(), min_size=1, max_size=4))
    for number, later in enumerate(course[1:], start=1):
        before = {state.gpu.index: state for state in course[number - 1].gpus}
        states = [
            replace(
                state, **{name: getattr(before[state.gpu.index], name) for name in draw(st.sets(st.sampled_from(KEPT)))}
            )
            if state.gpu.index in before
            else state
            for state in later.gpus
        ]
        course[number] = replace(later, gpus=tuple(states))
    return course


@settings(deadline=None)
@given(courses())
def test_every_scrape_is_what_prometheus_client_encodes_whoever_comes_and_goes(course: list[Snapshot]) -> None:
    scraped = Scraped(course[0])
    for snapshot in course:
        scraped.sweep(snapshot)

        for accept in (TEXT, OPENMETRICS):
            assert scraped.scrape(accept) == scraped.encoded(accept)


@settings(deadline=None, max_examples=30)
@given(courses())
def test_no_more_is_kept_than_is_shown(course: list[Snapshot]) -> None:
    scraped = Scraped(course[0])
    for snapshot in course:
        scraped.sweep(snapshot)
        shown = sum(not line.startswith(b"#") for line in scraped.scrape(TEXT).split(b"\n")[:-1])

        (encoding,) = scraped.exposition._encodings.values()
        assert sum(len(known.lines) for known in encoding._known.values()) <= shown


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_a_value_that_equals_the_last_one_and_reads_otherwise_is_written_anew(accept: str) -> None:
    scraped = Scraped(snapshots.EIGHT)
    for offset, shown in (
        (0.0, b" 0.0\n"),
        (-0.0, b" -0.0\n"),
        (0, b" 0.0\n"),
        (math.nan, b" NaN\n"),
        (1e6, b" 1e+06\n"),
    ):
        scraped.sweep(replace(scraped.snapshot, api_clock_offset=offset))

        assert b"\namdgpu_exporter_api_clock_offset_seconds" + shown in scraped.scrape(accept)


def crowded(tasks_of_a_gpu: int) -> Snapshot:
    """Eight GPUs, on each of which tasks have just begun."""
    gpus = [
        replace(state, tasks=tuple(snapshots.task(1000 * index + n, "itrd", "LAB", 0.0) for n in range(tasks_of_a_gpu)))
        for index, state in enumerate(snapshots.EIGHT.gpus)
    ]
    return replace(snapshots.EIGHT, gpus=tuple(gpus))


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_of_thousands_of_new_series_only_some_are_encoded_before_others_have_their_turn(accept: str) -> None:
    scraped = Scraped(crowded(200))
    rendering = scraped.exposition(accept)
    learned = [0]
    with contextlib.suppress(StopIteration):
        while True:
            rendering.send(None)
            (encoding,) = scraped.exposition._encodings.values()
            learned.append(sum(len(known.lines) for known in encoding._known.values()))

    assert max(later - earlier for earlier, later in pairwise(learned)) <= 300
    assert learned[-1] > 3000
    assert scraped.scrape(accept) == scraped.encoded(accept)


async def test_whoever_asks_while_it_is_rendered_is_given_the_same() -> None:
    exposition = Scraped(crowded(200)).exposition
    answers = await asyncio.gather(*(exposition(TEXT) for _ in range(3)))

    assert len({id(body) for body, _ in answers}) == 1


def test_what_was_read_while_it_is_rendered_is_shown_to_the_next() -> None:
    scraped = Scraped(crowded(200))
    rendering = scraped.exposition(TEXT)
    rendering.send(None)
    scraped.sweep(replace(scraped.snapshot, api_clock_offset=77.0))
    first, _ = at_once(rendering)

    assert b"77.0" not in first
    assert b"amdgpu_exporter_api_clock_offset_seconds 77.0" in scraped.scrape(TEXT)


def test_a_client_that_is_gone_in_the_middle_leaves_the_next_a_whole_scrape() -> None:
    scraped = Scraped(crowded(200))
    for accept in (TEXT, TEXT, OPENMETRICS):
        rendering = scraped.exposition(accept)
        rendering.send(None)
        rendering.close()

    for accept in (TEXT, OPENMETRICS):
        assert scraped.scrape(accept) == scraped.encoded(accept)
