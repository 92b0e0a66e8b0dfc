from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.demo.cluster import USERS, Cluster
from exporter.model import Task
from tests.support.truth import Share, shares

CLUSTER = Cluster()
DAY = 86400
MIDNIGHT = 1753056000
"""2025-07-21 00:00 UTC."""
PERIOD_DAYS = 28
"""After so many days the load of a default cluster repeats."""

every_day = pytest.mark.parametrize("start", range(MIDNIGHT, MIDNIGHT + PERIOD_DAYS * DAY, DAY))
in_utc_and_taipei = pytest.mark.parametrize("offset", [0, 8 * 3600])


@cache
def shares_of(start: int) -> tuple[Share, ...]:
    return tuple(shares(CLUSTER.nodes, CLUSTER.tasks(start, start + DAY), start, start + DAY))


@every_day
@in_utc_and_taipei
def test_every_day_holds_every_case(start: int, offset: int) -> None:
    start -= offset
    end = start + DAY
    tasks, parts = CLUSTER.tasks(start, end), shares_of(start)
    owned = [part for part in parts if part.task]
    free = [part for part in parts if not part.task]
    busy_enough, long_enough = 0.8, 1800
    cases = {
        "forgotten with VRAM held": any(
            part.seconds > long_enough and part.amounts.idle_vram_held_seconds > 0.95 * part.seconds for part in owned
        ),
        "reserved, never used": any(
            part.seconds > long_enough and part.amounts.busy_seconds == 0 and not part.amounts.idle_vram_held_seconds
            for part in owned
        ),
        "busy, and nobody's": any(
            part.seconds > long_enough and part.amounts.busy_seconds > busy_enough * part.seconds for part in free
        ),
        "free": any(part.seconds > long_enough and part.amounts.busy_seconds == 0 for part in free),
        "well used": any(part.amounts.busy_seconds > busy_enough * part.seconds for part in owned),
        "shared by two users": any(len(part.users) == 2 for part in owned),
        "held twice by one user": any(
            len(part.users) == 1 and part.seconds == (part.end - part.start) / 2 for part in owned
        ),
        "on several GPUs": any(1 < len(task.gpus) <= 8 for task in tasks),
        "under a minute": any(task.end - task.start < 60 for task in tasks),
        "back to back": any(
            before.end == after.start and set(before.gpus) & set(after.gpus) for before in tasks for after in tasks
        ),
        "from the day before": any(task.start < start for task in tasks),
        "into the day after": any(task.end > end for task in tasks),
    }
    assert [case for case, found in cases.items() if not found] == []


@every_day
def test_shares_add_up_to_each_gpu(start: int) -> None:
    for hostname, hardware in CLUSTER.nodes.items():
        for gpu in hardware.gpus:
            parts = [part for part in shares_of(start) if part.gpu is gpu]
            total = parts[0].amounts
            for part in parts[1:]:
                total = total.plus(part.amounts)
            assert total == pytest.approx(hardware.truth(gpu.index, start, start + DAY, 0.05, 2**30), rel=1e-9)
            assert sum(part.seconds for part in parts) == pytest.approx(DAY)
            assert {part.hostname for part in parts} == {hostname}


def test_an_instant_is_divided_among_the_tasks_that_hold_it() -> None:
    cluster = Cluster(nodes=1, gpus_per_node=2)
    held = CLUSTER.tasks(MIDNIGHT, MIDNIGHT + DAY)[0]
    gpu, other = cluster.nodes["colab-gpu1"].gpus

    def task(name: str, start: int, end: int) -> Task:
        return Task(name, name, held.task_type, (cluster.task_gpu("colab-gpu1", 0),), MIDNIGHT + start, MIDNIGHT + end)

    parts = shares(cluster.nodes, [task("a", -50, 60), task("b", 40, 80)], MIDNIGHT, MIDNIGHT + 100)
    assert [
        (part.gpu, part.start - MIDNIGHT, part.end - MIDNIGHT, part.task.username if part.task else None, part.seconds)
        for part in parts
    ] == [
        (gpu, 0, 40, "a", 40),
        (gpu, 40, 60, "a", 10),
        (gpu, 40, 60, "b", 10),
        (gpu, 60, 80, "b", 20),
        (gpu, 80, 100, None, 20),
        (other, 0, 100, None, 100),
    ]


@given(st.lists(st.integers(0, 40 * DAY), min_size=4, max_size=4))
@settings(max_examples=25, deadline=None)
def test_any_window_shows_the_tasks_that_overlap_it(times: list[int]) -> None:
    start, inner, until, end = (MIDNIGHT + time for time in sorted(times))
    assert CLUSTER.tasks(inner, until + 1) == tuple(
        task for task in CLUSTER.tasks(start, end + 1) if task.start < until + 1 and task.end > inner
    )


def test_tasks_are_whole_and_their_ids_never_return() -> None:
    tasks = CLUSTER.tasks(MIDNIGHT, MIDNIGHT + 3 * PERIOD_DAYS * DAY)
    assert len({task.task_id for task in tasks}) == len(tasks)
    assert {task.username for task in tasks} == set(USERS)
    for task in tasks:
        uuids = {gpu.uuid for gpu in CLUSTER.nodes[task.hostname].gpus}
        assert {gpu.uuid for gpu in task.gpus} <= uuids
        assert task.start < task.end
        assert task.start == int(task.start)
        assert task.image
        assert task.project_uuid


def test_gpus_are_numbered_through_the_cluster() -> None:
    ids = [CLUSTER.gpu_id(hostname, gpu.index) for hostname, node in CLUSTER.nodes.items() for gpu in node.gpus]
    assert ids == [str(n) for n in range(32)]
    assert list(CLUSTER.nodes) == ["colab-gpu1", "colab-gpu2", "colab-gpu3", "colab-gpu4"]
    assert len({gpu.uuid for node in CLUSTER.nodes.values() for gpu in node.gpus}) == 32


def test_same_arguments_same_cluster() -> None:
    window = MIDNIGHT, MIDNIGHT + DAY
    assert Cluster().tasks(*window) == CLUSTER.tasks(*window)
    assert Cluster(seed=1).tasks(*window) != CLUSTER.tasks(*window)


def test_a_hurried_cluster_changes_owners_within_a_minute_or_two() -> None:
    starts = sorted({task.start for task in Cluster(pace=90).tasks(MIDNIGHT, MIDNIGHT + 4 * 3600)})
    assert max(after - before for before, after in pairwise(starts)) < 180
