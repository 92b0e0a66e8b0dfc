"""The reading of the scrape history, on real engines: exactly what all samples would tell."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from benchmarks.synthetic import Cluster, Faults, SyntheticGpu, columns
from exporter import config
from exporter.aliases import GpuNames
from exporter.demo.remote_write import STALE, Column
from exporter.model import Answer, MalformedTask, Owner, Ownership
from exporter.ownership import Holdings
from exporter.report.history import gpu_counters
from exporter.report.history.client import PrometheusClient
from exporter.report.history.counters import device_curve
from exporter.report.history.fetch import History, fetch
from exporter.report.history.gpu_counters import Told
from exporter.report.history.gpus import Inventory, absence
from exporter.report.history.queries import DEVICES, OWNERS
from exporter.report.history.sampler import Sampler
from exporter.report.history.samples import Samples
from exporter.report.observed import BUSY, ENERGY, IDLE, IDLE_VRAM_HELD, OBSERVED, Cells, Floats, ObservedGpu
from exporter.report.window import Window, window
from tests.support.engines import ENGINES

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW = 1_760_000_000.0
DAY = window("2025-07-22", None, "Asia/Taipei", NOW)
LONG_DAY = window("2024-10-27", None, "Europe/Berlin", NOW)
EMPTY_DAY = window("2025-07-30", None, "Asia/Taipei", NOW)
HOUR = 3600.0
INTERVAL = 15.0
RTOL = 1e-7
"""VictoriaMetrics keeps decimals of limited precision."""


def at(hours: float) -> float:
    return DAY.start + hours * HOUR


FAULTY = Cluster(
    24,
    DAY.start - 2 * HOUR,
    DAY.end + 2 * HOUR,
    faults={
        "node1": Faults(
            down=((at(8), at(8) + 100), (at(14), at(16)), (at(16) + 300, at(16) + 320)),
            unscraped=((at(1), at(1) + 60), (at(5), at(5.8)), (at(-0.3), at(0.2))),
        ),
        "node2": Faults(hung=((at(11), at(13)),), down=((at(-0.1), at(0) + 5), (at(23.9), at(24.2)))),
    },
)
REPLICATED = Cluster(
    8,
    DAY.start - 2 * HOUR,
    DAY.end + 2 * HOUR,
    faults={"node1": Faults(unscraped=((at(6), at(9)), (at(12), at(12) + 200)))},
)
OTHER_REPLICA = replace(REPLICATED, faults={"node1": Faults(unscraped=((at(18), at(20)),))})
LONG = Cluster(1, LONG_DAY.start - 2 * HOUR, LONG_DAY.end + 2 * HOUR)
GONE = Cluster(2, DAY.start - 3 * 86400, DAY.start - 3 * 86400 + 1800)
LONG_GONE = Cluster(1, DAY.start - 9 * 86400, DAY.start - 9 * 86400 + 1800)


def shifted(gpu: SyntheticGpu, seconds: float) -> SyntheticGpu:
    """As another server scrapes it: the same counters at other times, by a clock that is a little off."""
    times = np.round(gpu.scrapes.times + seconds, 3)
    counters = gpu.at(times)
    counters[:, ENERGY] += 5e9
    return replace(gpu, scrapes=Samples(times + 0.2, counters))


def owner_columns() -> list[Column]:
    """One GPU, half busy all day, whose exporter restarts at 10 h, and its owners.

    alice has it from 2 h to 4 h and from 8 h to 12 h, her series being dropped in between; else nobody has.
    """
    restart = at(10)
    times = np.arange(at(-2), at(26), INTERVAL) + 3.5
    device = {"hostname": "node1", "gpu": "0", "gpu_uuid": "00000000000000aa", "cluster": "owners"}

    def held(time: Floats, *spells: tuple[float, float]) -> Floats:
        since = np.where(time >= restart, restart, at(-2))
        return sum(
            (np.clip(time, at(start), at(end)) - np.clip(since, at(start), at(end)) for start, end in spells),
            np.zeros(len(time)),
        )

    def series(metrics: tuple[str | None, ...], labels: Mapping[str, str], seconds: Floats) -> list[Column]:
        factors = (1.0, 0.5, 0.25, 0.0, 2e9, 400.0)
        served = ~np.isnan(seconds)
        ends = np.flatnonzero(served[:-1] & ~served[1:]) + 1
        kept = np.union1d(np.flatnonzero(served), ends)
        return [
            Column(
                {"__name__": metric, **device, **labels},
                np.rint(times[kept] * 1000).astype(np.int64),
                np.where(np.isnan(seconds[kept]), STALE, seconds[kept] * factor),
            )
            for metric, factor in zip(metrics, factors, strict=True)
            if metric
        ]

    alice = held(times, (2, 4), (8, 12))
    alice[(times < at(2) - 90) | ((times > at(5)) & (times < at(8) - 90)) | (times > at(13))] = np.nan
    nobody = held(times, (-2, 2), (4, 8), (12, 26))
    up = Column({"__name__": "amdgpu_up", **device}, np.rint(times * 1000).astype(np.int64), np.ones(len(times)))
    return [
        up,
        *series(DEVICES.metrics, {}, held(times, (-2, 26))),
        *series(OWNERS.metrics, {"username": "alice", "task_type": "LAB", "ownership": "owned"}, alice),
        *series(OWNERS.metrics, {"ownership": "unallocated"}, nobody),
    ]


def aligned_columns() -> list[Column]:
    """One GPU that is scraped on whole minutes."""
    times = np.arange(at(1), at(2), INTERVAL)
    labels = {"hostname": "node1", "gpu": "0", "gpu_uuid": "00000000000000bb", "cluster": "aligned"}
    times_ms = np.rint(times * 1000).astype(np.int64)
    return [Column({"__name__": metric, **labels}, times_ms, times - at(0)) for metric in DEVICES.metrics if metric]


def everything() -> list[Column]:
    replicated = REPLICATED.make()
    others = [shifted(gpu, 6.0) for gpu in OTHER_REPLICA.make()]
    return [
        *columns(LONG_GONE.make(), {"cluster": "gone-for-long"}),
        *columns(GONE.make(), {"cluster": "gone"}),
        *columns(LONG.make(), {"cluster": "long"}),
        *columns(FAULTY.make(), {"cluster": "faulty", "job": "amdgpu"}),
        *columns(replicated, {"cluster": "replicated", "replica": "a"}),
        *columns(others, {"cluster": "replicated", "replica": "b"}),
        *owner_columns(),
        *aligned_columns(),
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=sorted(ENGINES))
async def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    directory: Path = tmp_path_factory.mktemp("engine")
    # Prometheus takes samples in the order of time only: what is long past goes first.
    ordered = sorted(everything(), key=lambda column: int(column.times_ms[0]))
    async with ENGINES[request.param](directory, ordered) as url:
        yield url


async def read(
    url: str,
    cluster: str,
    day: Window = DAY,
    gpus: list[SyntheticGpu] | None = None,
    *,
    by_labels: bool = False,
    asked: list[tuple[float, float]] | None = None,
) -> History:
    """Reads a history; adds the stretches of time about whose holders it asks to `asked`."""
    entries = [
        MalformedTask("", "", (gpu.uuid,), start, end)
        for gpu in gpus or ()
        for start, end in pairwise((*gpu.instants, math.inf))
    ]
    holdings = Holdings(Answer((), tuple(entries), as_of=NOW))

    async def nobody(start: float, end: float) -> Holdings:
        if asked is not None:
            asked.append((start, end))
        return Holdings(Answer((), (), as_of=NOW))

    async with PrometheusClient(config.Prometheus(url=url, matchers=f'cluster="{cluster}"')) as client:
        return await fetch(client, day, None if by_labels else Told((), holdings, nobody))


def pairs(history: History, gpus: list[SyntheticGpu]) -> list[tuple[ObservedGpu, SyntheticGpu]]:
    assert [gpu.uuid for gpu in history.gpus] == [gpu.uuid for gpu in gpus]
    return list(zip(history.gpus, gpus, strict=True))


async def test_few_samples_tell_what_all_of_them_would(engine: str) -> None:
    gpus = FAULTY.make()
    for observed, gpu in pairs(await read(engine, "faulty", gpus=gpus), gpus):
        times = gpu.scrapes.times
        near = gpu.scrapes[(times >= DAY.start - HOUR) & (times <= DAY.end + HOUR)]
        curve = device_curve(near, DAY.start - HOUR)
        instants = np.array([DAY.start, *(at for at in gpu.instants if DAY.start < at < DAY.end), DAY.end])
        found = np.diff([observed.at(instant) for instant in instants], axis=0)
        np.testing.assert_allclose(found, np.diff(curve.at_each(instants), axis=0), rtol=RTOL, atol=1e-4)
        amounts = np.diff(curve.at_each(np.array(DAY.edges)), axis=0)
        told = observed.cells
        cells = Cells.of(amounts, told.peak_vram_bytes, told.vram_total_bytes)
        for of in (attrgetter("observed_seconds"), attrgetter("utilization"), attrgetter("vram_used")):
            np.testing.assert_allclose(of(told), of(cells), rtol=RTOL, atol=1e-4)


async def test_gpus_that_are_read_one_after_the_other_tell_what_all_at_once_do(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus = FAULTY.make()
    at_once = await read(engine, "faulty", gpus=gpus)
    monkeypatch.setattr(gpu_counters, "_MOST_ROWS", 1)
    asked: list[tuple[float, float]] = []
    in_turn = await read(engine, "faulty", gpus=gpus, asked=asked)
    for (one, gpu), (other, _) in zip(pairs(at_once, gpus), pairs(in_turn, gpus), strict=True):
        for instant in (DAY.start, *(at for at in gpu.instants if DAY.start < at < DAY.end), DAY.end):
            np.testing.assert_allclose(one.at(instant), other.at(instant), rtol=RTOL, atol=1e-4)
        np.testing.assert_allclose(one.cells.utilization, other.cells.utilization, rtol=RTOL, atol=1e-6)
        assert one.places == other.places
    assert asked, "scrapes failed at midnight"
    assert len(asked) == len(set(asked))


async def test_the_truth_of_a_gpu_that_was_always_scraped_is_met(engine: str) -> None:
    gpus = FAULTY.make()
    healthy = [
        (observed, gpu)
        for observed, gpu in pairs(await read(engine, "faulty", gpus=gpus), gpus)
        if gpu.hostname == "node3"
    ]
    assert len(healthy) == 8
    for observed, gpu in healthy:
        truth = np.subtract(*gpu.at(np.array([DAY.end, DAY.start])))
        found = observed.at(DAY.end).minus(observed.at(DAY.start))
        np.testing.assert_allclose(found, truth, rtol=1e-3)
        for instant in filter(lambda instant: DAY.start < instant < DAY.end, gpu.instants):
            late = np.array(observed.at(instant).minus(observed.at(DAY.start))) - np.subtract(
                *gpu.at(np.array([instant, DAY.start]))
            )
            assert np.abs(late[[OBSERVED, BUSY, IDLE, IDLE_VRAM_HELD]]).max() <= INTERVAL


async def test_all_but_unseen_edges_of_faults_is_counted(engine: str) -> None:
    """Each restart may cost one interval of what only the exporter that ended knew."""
    gpus = FAULTY.make()
    for observed, gpu in pairs(await read(engine, "faulty", gpus=gpus), gpus):
        faults = FAULTY.faults.get(gpu.hostname, Faults())
        truth = np.subtract(*gpu.at(np.array([DAY.end, DAY.start])))
        missing = truth[OBSERVED] - (observed.at(DAY.end).observed_seconds - observed.at(DAY.start).observed_seconds)
        assert -2.0 <= missing <= INTERVAL * (len(faults.down) + 1)


async def test_identity_size_and_peaks_are_those_of_the_gpu(engine: str) -> None:
    gpus = FAULTY.make()
    for observed, gpu in pairs(await read(engine, "faulty", gpus=gpus), gpus):
        assert (observed.hostname, observed.index) == (gpu.hostname, gpu.index)
        assert (observed.model, observed.card) == ("AMD Instinct MI300X", f"card{1 + 8 * gpu.index}")
        assert observed.cells.vram_total_bytes == int(191.98 * 2**30)
        peaks = observed.cells.peak_vram_bytes
        assert len(peaks) == 144
        times = gpu.scrapes.times
        for cell, (start, end) in enumerate(zip(DAY.edges[:-1], DAY.edges[1:], strict=True)):
            seen = gpu.vram_used[(times > start) & (times <= end) & ~np.isnan(gpu.vram_used)]
            assert np.isclose(peaks[cell], seen.max() if len(seen) else np.nan, rtol=RTOL, equal_nan=True)


async def test_gpus_that_are_silent_as_the_day_ends_have_the_size_they_told_before(engine: str) -> None:
    assert any(start < DAY.end - 300 and end > DAY.end for start, end in FAULTY.faults["node2"].down)
    silent = [gpu for gpu in (await read(engine, "faulty")).gpus if gpu.hostname == "node2"]
    assert [gpu.cells.vram_total_bytes for gpu in silent] == [int(191.98 * 2**30)] * 8


async def test_replicas_are_one_gpu_and_fill_each_others_gaps(engine: str) -> None:
    gpus = REPLICATED.make()
    for observed, gpu in pairs(await read(engine, "replicated", gpus=gpus), gpus):
        truth = np.subtract(*gpu.at(np.array([DAY.end, DAY.start])))
        np.testing.assert_allclose(observed.at(DAY.end).minus(observed.at(DAY.start)), truth, rtol=1e-3)
        hidden = np.subtract(*gpu.at(np.array([at(8), at(7)])))
        cells = observed.cells
        assert cells.observed_seconds[42:48].sum() == pytest.approx(hidden[OBSERVED], rel=0.01)
        busy = cells.observed_seconds * cells.utilization
        assert busy[42:48].sum() == pytest.approx(hidden[BUSY], rel=0.01, abs=INTERVAL)


async def test_a_day_of_25_hours_is_read_whole(engine: str) -> None:
    gpus = LONG.make()
    ((observed, gpu),) = pairs(await read(engine, "long", LONG_DAY, gpus), gpus)
    truth = np.subtract(*gpu.at(np.array([LONG_DAY.end, LONG_DAY.start])))
    assert len(observed.cells.observed_seconds) == 150
    found = observed.at(LONG_DAY.end).minus(observed.at(LONG_DAY.start))
    np.testing.assert_allclose(found, truth, rtol=1e-3)
    assert observed.cells.observed_seconds.sum() == pytest.approx(truth[OBSERVED], rel=1e-3)


async def test_a_gpu_read_in_the_seven_days_before_counts_unobserved(engine: str) -> None:
    gpus = GONE.make()
    for observed, gpu in pairs(await read(engine, "gone"), gpus):
        assert (observed.hostname, observed.index, observed.model) == (gpu.hostname, gpu.index, "AMD Instinct MI300X")
        assert not observed.cells.observed_seconds.any()
        assert observed.at(DAY.end) == observed.at(DAY.start)


async def test_a_gpu_read_earlier_than_that_does_not_count(engine: str) -> None:
    assert (await read(engine, "gone-for-long")).gpus == ()


async def test_the_absence_of_history_is_explained(engine: str) -> None:
    async with PrometheusClient(config.Prometheus(url=engine, matchers='cluster="long"')) as client:
        before = window("2024-10-20", None, "Europe/Berlin", NOW)
        assert "the history goes on about 2024-10-26" in await absence(client, before, LONG_DAY.end)
        assert "is the exporter scraped" in await absence(client, EMPTY_DAY, EMPTY_DAY.end)


async def test_owner_series_tell_what_owners_gained(engine: str) -> None:
    (observed,) = (await read(engine, "owners", by_labels=True)).gpus
    alice = observed.owners[Owner("alice", "LAB", Ownership.OWNED)]
    nobody = observed.owners[Owner("", "", Ownership.UNALLOCATED)]
    assert alice.observed_seconds == pytest.approx(6 * HOUR, abs=3 * INTERVAL)
    assert alice.busy_seconds == pytest.approx(3 * HOUR, abs=3 * INTERVAL)
    assert alice.energy_joules == pytest.approx(6 * HOUR * 400, rel=0.01)
    assert nobody.observed_seconds == pytest.approx(18 * HOUR, abs=3 * INTERVAL)
    assert set(observed.owners) == {Owner("alice", "LAB", Ownership.OWNED), Owner("", "", Ownership.UNALLOCATED)}


async def test_a_sample_at_either_end_of_a_span_is_read(engine: str) -> None:
    uuid, span = "00000000000000bb", (at(1.5), at(1.5) + 30)
    async with PrometheusClient(config.Prometheus(url=engine, matchers='cluster="aligned"')) as client:
        tables = await Sampler(client, at(-1), at(25), INTERVAL, Inventory({uuid: []}, GpuNames([uuid]))).within(
            DEVICES, {uuid: [span]}
        )
    (samples,) = tables.values()
    assert set(span) <= set(samples.times)
