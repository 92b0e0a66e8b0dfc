from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporter.demo.cluster import Cluster
from exporter.demo.history import _Life, history
from exporter.demo.remote_write import STALE, Column
from exporter.demo.schedule import NO_FAULTS, Faults, Schedule
from tests.support.contract import Registry
from tests.support.truth import observed, shares

START = 1753056000
"""2025-07-21 00:00 UTC."""
END = START + 3 * 3600
HOST = "colab-gpu1"
CLUSTER = Cluster(nodes=2, gpus_per_node=2)
OBSERVED = "amdgpu_observed_seconds_total"
OWNED = "amdgpu_owner_seconds_total"
OWN_WORK = ("amdgpu_exporter_task_refresh", "amdgpu_exporter_device_", "amdgpu_exporter_worker_restarts")
FAULTY = Faults(
    stopped=((HOST, (START + 3007, START + 3100)), (HOST, (START + 5000, START + 5011))),
    unscraped=((HOST, (START + 4000, START + 4100)), ("colab-gpu2", (START, END))),
    blind=((START + 6000, START + 6300),),
    unreadable=((HOST, 1, (START + 7000, START + 7600)), (HOST, 0, (START + 7000, START + 7030))),
    api_down=((START + 8000, START + 9500),),
)


@cache
def lived(faults: Faults = NO_FAULTS, replica: str = "", seconds: int = 15) -> list[Column]:
    return history(CLUSTER, HOST, START, END, scrape_seconds=seconds, faults=faults, replica=replica)


def named(columns: list[Column], metric: str, **labels: str) -> list[Column]:
    wanted = {"__name__": metric, **labels}.items()
    return [column for column in columns if wanted <= column.labels.items()]


def one(columns: list[Column], metric: str, **labels: str) -> Column:
    (found,) = named(columns, metric, **labels)
    return found


def is_stale(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    stale: NDArray[np.bool_] = values.view(np.uint64) == np.array([STALE]).view(np.uint64)
    return stale


def between(column: Column, start: float, end: float) -> NDArray[np.float64]:
    """The values in [start, end), seconds after the start."""
    seconds = column.times_ms / 1000 - START
    return column.values[(seconds >= start) & (seconds < end)]


def test_a_scrape_holds_what_the_page_of_metrics_shows() -> None:
    life = _Life(CLUSTER, Schedule(HOST, START, END, 15), START, frozenset())
    for second in range(START, START + 1800, 15):
        life.beat(second)
    page = Registry(life._node.snapshot(), CollectorRegistry())
    shown = {
        (sample.name, frozenset(sample.labels.items()), sample.value)
        for family in text_string_to_metric_families(generate_latest(page).decode())
        for sample in family.samples
        if not sample.name.startswith(OWN_WORK)
    }
    kept = {
        (name, frozenset(zip(names, values, strict=True)), value)
        for (name, values), names, value in life.samples()
        if not name.startswith(OWN_WORK)
    }
    assert kept == shown
    assert any(name == "amdgpu_task_info" for name, _, _ in kept)


def test_counters_are_the_closed_form_at_every_scrape() -> None:
    for gpu in CLUSTER.nodes[HOST].gpus:
        busy = one(lived(), "amdgpu_busy_seconds_total", gpu_uuid=gpu.uuid)
        for time_ms, value in list(zip(busy.times_ms, busy.values, strict=True))[::20]:
            truth = CLUSTER.nodes[HOST].truth(gpu.index, START, time_ms // 1000, 0.05, 2**30)
            assert value == pytest.approx(truth.busy_seconds, abs=1e-3)


def test_owners_and_what_is_unbooked_are_what_was_observed_at_every_scrape() -> None:
    columns = lived(FAULTY)
    for gpu in CLUSTER.nodes[HOST].gpus:
        sums: defaultdict[int, float] = defaultdict(float)
        parts = named(columns, OWNED, gpu_uuid=gpu.uuid)
        for column in (*parts, one(columns, "amdgpu_exporter_unbooked_seconds", gpu_uuid=gpu.uuid)):
            for time_ms, value in zip(column.times_ms, column.values, strict=True):
                if not np.isnan(value):
                    sums[time_ms] += value
        whole = one(columns, OBSERVED, gpu_uuid=gpu.uuid)
        for time_ms, value in zip(whole.times_ms, whole.values, strict=True):
            if not np.isnan(value):
                assert sums[time_ms] == pytest.approx(value, rel=1e-9, abs=1e-6)


def test_what_the_schedule_says_was_observed_is_what_the_scrapes_show() -> None:
    schedule = Schedule(HOST, START, END, 15, FAULTY)
    for gpu in CLUSTER.nodes[HOST].gpus:
        column = one(lived(FAULTY), OBSERVED, gpu_uuid=gpu.uuid)
        values = column.values[~is_stale(column.values)]
        grown = values[0] + sum(after - before if after >= before else after for before, after in pairwise(values))
        assert grown == pytest.approx(sum(end - start for start, end in observed(schedule, gpu.index)))


def test_owners_get_what_their_tasks_held() -> None:
    booked: defaultdict[str, float] = defaultdict(float)
    for column in named(lived(), OWNED):
        booked[column.labels.get("username", "")] += column.values[~is_stale(column.values)][-1]
    truth: defaultdict[str, float] = defaultdict(float)
    own = {HOST: CLUSTER.nodes[HOST]}
    for share in shares(own, CLUSTER.tasks(START, END), START, END - 120):
        truth[share.task.username if share.task else ""] += share.seconds
    assert booked.keys() == truth.keys()
    for username, seconds in truth.items():
        assert seconds - 1 <= booked[username] <= seconds + 2 * 120


def test_an_exporter_that_was_stopped_starts_anew_at_0() -> None:
    column = one(lived(FAULTY), OBSERVED, gpu="0")
    assert is_stale(between(column, 3007, 3030))[0]
    assert len(between(column, 3030, 3100)) == 0
    assert between(column, 3100, 3130)[0] < 30
    assert between(one(lived(FAULTY), "up"), 3007, 3100).tolist() == [0.0] * len(
        between(one(lived(), "up"), 3007, 3100)
    )


def test_failed_scrapes_leave_a_marker_and_a_blind_server_none() -> None:
    column = one(lived(FAULTY), OBSERVED, gpu="0")
    failed = between(column, 4000, 4100)
    assert len(failed) == 1
    assert is_stale(failed)[0]
    assert between(column, 4100, 4130)[0] > between(column, 3900, 4000)[-1] + 90, "the exporter went on"
    assert len(between(column, 6000, 6300)) == 0
    assert len(between(one(lived(FAULTY), "up"), 6000, 6300)) == 0


def test_an_unreadable_gpu_loses_its_gauges_and_holds_its_counters() -> None:
    columns = lived(FAULTY)
    assert set(between(one(columns, "amdgpu_up", gpu="1"), 7060, 7600)) == {0.0}
    held = between(one(columns, OBSERVED, gpu="1"), 7060, 7600)
    assert len(held) == 36
    assert len(set(held)) == 1
    power = between(one(columns, "amdgpu_power_watts", gpu="1"), 7060, 7600)
    assert is_stale(power).all()
    assert set(between(one(columns, "amdgpu_up", gpu="0"), 6900, 7600)) == {1.0}, "half a minute is no gap"


def test_an_outage_of_the_api_beyond_expiry_is_booked_unknown() -> None:
    for gpu in CLUSTER.nodes[HOST].gpus:
        unknown = one(lived(FAULTY), OWNED, gpu_uuid=gpu.uuid, ownership="unknown")
        assert between(unknown, 5200, 8000)[-1] == 0
        # From settle before the last answer to settle and expire_after before the next.
        assert unknown.values[-1] == pytest.approx((9510 - 605) - (7980 - 5), abs=30)
        assert one(lived(), OWNED, gpu_uuid=gpu.uuid, ownership="unknown").values[-1] == 0


def test_a_task_shown_later_than_settled_is_booked_to_nobody() -> None:
    task = next(task for task in CLUSTER.tasks(START + 600, END) if task.start > START + 600 and task.hostname == HOST)
    start = task.start - START
    late = lived(Faults(api_late=(((task.start, task.start + 1), 300.0),)))
    gpu = task.gpus[0].uuid
    labels = {"gpu_uuid": gpu, "username": task.username, "task_type": task.task_type}
    (at_once,) = (between(column, start + 250, start + 290)[0] for column in named(lived(), OWNED, **labels))
    assert at_once > 100
    shown = [column for column in named(late, OWNED, **labels) if len(between(column, start, start + 250))]
    assert all(between(column, start, start + 250)[-1] == 0 for column in shown)


def test_each_server_scrapes_in_its_own_phase_and_sees_the_same() -> None:
    ours, theirs = one(lived(), OBSERVED, gpu="0"), one(lived(replica="b"), OBSERVED, gpu="0", replica="b")
    assert set(ours.times_ms % 15_000) != set(theirs.times_ms % 15_000)
    assert "replica" not in ours.labels
    assert np.interp(ours.times_ms[5:-5], theirs.times_ms, theirs.values) == pytest.approx(ours.values[5:-5], abs=1)


def test_a_choice_of_metrics_is_as_in_the_whole() -> None:
    chosen = history(CLUSTER, HOST, START, START + 1200, only=(OBSERVED, OWNED))
    assert {column.labels["__name__"] for column in chosen} == {OBSERVED, OWNED, "up"}
    for column in chosen:
        whole = one(lived(), column.labels["__name__"], **{k: v for k, v in column.labels.items() if k != "__name__"})
        assert column.values.tolist() == whole.values[: len(column.values)].tolist()


def test_times_rise_and_the_interval_is_kept() -> None:
    for column in lived(seconds=60):
        assert (np.diff(column.times_ms) > 0).all()
    assert set(np.diff(one(lived(seconds=60), "up").times_ms)) == {60_000}
