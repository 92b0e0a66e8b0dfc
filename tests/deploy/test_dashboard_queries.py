"""Every query of the dashboards, run by a real Prometheus that holds a day of the demo's cluster."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from deploy.grafana.build import boards
from exporter.demo.cluster import Cluster
from exporter.demo.history import history
from exporter.demo.remote_write import Column
from exporter.demo.schedule import Faults
from exporter.speech import SOURCE, speech
from tests.support.engines import ENGINES, prometheus
from tests.support.panels import PanelQuery, View, ask, label_values, queries_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

START = 1763856000.0
END = START + 86400
SCRAPE_SECONDS = 60
LAST_HOURS = 2 * 3600
AFTER_FAULTS = 9 * 3600
CLUSTER = Cluster(nodes=2, gpus_per_node=4)
FAULTS = Faults(
    stopped=[("colab-gpu1", (START + 50000, START + 50300))],
    unscraped=[("colab-gpu2", (START + 3600, START + 4200))],
    unreadable=[("colab-gpu1", 3, (START + 7200, START + 9000))],
    api_down=[(START + 20000, START + 22000)],
)
BOARDS = boards(speech(SOURCE))
QUERIES = list(dict.fromkeys(query for board in BOARDS.values() for query in queries_of(board)))
each_query = pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.dashboard}/{query.panel}")


def view_of(query: PanelQuery, seconds: float = END - START) -> View:
    host = "colab-gpu1" if query.dashboard == "MI300X node" else ".*"
    variables = {"host": host, "user": ".+", "task_type": ".*", "price": "2.5"}
    return View(END - seconds, END, SCRAPE_SECONDS, variables)


def last_hours(column: Column) -> Column:
    kept = column.times_ms >= (END - LAST_HOURS) * 1000
    return replace(column, times_ms=column.times_ms[kept], values=column.values[kept])


def second(column: Column) -> Column:
    return replace(column, labels={**column.labels, "replica": "second"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def day() -> list[Column]:
    live = partial(history, CLUSTER, start=START, end=END, scrape_seconds=SCRAPE_SECONDS, faults=FAULTS)
    with ProcessPoolExecutor() as pool:
        loop = asyncio.get_running_loop()
        nodes = [loop.run_in_executor(pool, live, hostname) for hostname in CLUSTER.nodes]
        return list(chain.from_iterable(await asyncio.gather(*nodes)))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=ENGINES)
async def server(
    request: pytest.FixtureRequest, day: list[Column], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    async with ENGINES[request.param](tmp_path_factory.mktemp("day"), day) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server_with_replicas(day: list[Column], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    recent = [last_hours(column) for column in day]
    async with prometheus(tmp_path_factory.mktemp("twice"), recent + [second(column) for column in recent]) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server_without(day: list[Column], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with prometheus(tmp_path_factory.mktemp("once"), [last_hours(column) for column in day]) as url:
        yield url


@each_query
async def test_every_query_yields_data_within_a_second(query: PanelQuery, server: str) -> None:
    points = await ask(server, query, view_of(query), limit="1s")
    assert any(math.isfinite(value) for series in points.values() for _, value in series), query


@each_query
async def test_replicas_change_no_panel(query: PanelQuery, server_without: str, server_with_replicas: str) -> None:
    view = view_of(query, LAST_HOURS)
    once = await ask(server_without, query, view)
    twice = await ask(server_with_replicas, query, view)
    assert twice.keys() == once.keys()
    for labels, series in once.items():
        assert np.allclose(series, twice[labels], rtol=1e-9, equal_nan=True), dict(labels)


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
async def test_every_variable_offers_values(board: dict[str, Any], server: str) -> None:
    variables = [each for each in board["templating"]["list"] if each["type"] == "query"]
    assert variables
    for variable in variables:
        assert await label_values(server, variable["query"], view_of(QUERIES[0]))


async def test_a_user_is_charged_what_the_tasks_tell(server: str) -> None:
    query = one("MI300X users and tasks", "GPU-hours, by user and task type")
    charged: dict[str, float] = {}
    for labels, ((_, hours),) in (await ask(server, query, view_of(query, AFTER_FAULTS))).items():
        user = dict(labels)["username"]
        charged[user] = charged.get(user, 0.0) + hours
    # Booking is late, and `increase` extrapolates at the edges: the report is exact, this is nearly so.
    assert charged == pytest.approx(hours_by_user(END - AFTER_FAULTS, END), rel=0.01, abs=0.05)


def one(dashboard: str, panel: str) -> PanelQuery:
    """A panel's first query."""
    return next(query for query in QUERIES if (query.dashboard, query.panel) == (dashboard, panel))


def hours_by_user(begin: float, finish: float) -> dict[str, float]:
    """GPU-hours by user, each instant divided among a GPU's tasks."""
    holds: dict[str, list[tuple[float, float, str]]] = {}
    for task in CLUSTER.tasks(begin, finish):
        for gpu in task.gpus:
            holds.setdefault(gpu.uuid, []).append((max(task.start, begin), min(task.end, finish), task.username))
    hours: dict[str, float] = {}
    for of_gpu in holds.values():
        cuts = sorted({instant for start, end, _ in of_gpu for instant in (start, end)})
        for one_cut, next_cut in pairwise(cuts):
            users = [user for start, end, user in of_gpu if start <= one_cut and next_cut <= end]
            for user in users:
                hours[user] = hours.get(user, 0.0) + (next_cut - one_cut) / len(users) / 3600
    return hours


async def test_a_user_is_told_from_another_whose_name_begins_alike(tmp_path: Path) -> None:
    now = 1763856000.0
    users = {"aa": "amy", "bb": "amy+gpu@example.org", "cc": "amy+bob"}
    tasks = [("aa", "amy"), ("bb", "amy+gpu@example.org"), ("cc", "amy"), ("cc", "bob")]

    def column(name: str, uuid: str, **labels: str) -> Column:
        own = {"hostname": "n1", "gpu": "0", "gpu_uuid": uuid, "instance": "n1:9942", "task_type": "LAB", **labels}
        return Column({"__name__": name, **own}, np.array([now * 1000], np.int64), np.array([1.0]))

    columns = [column("amdgpu_utilization_ratio", uuid, gpu=uuid, username=user) for uuid, user in users.items()]
    columns += [
        column("amdgpu_task_info", uuid, gpu=uuid, username=user, task_id=f"{uuid}-{user}") for uuid, user in tasks
    ]
    columns += [  # a task that ended is told of for an hour
        column("amdgpu_task_info", "bb", gpu="bb", username="amy", task_id="over"),
        column("amdgpu_task_end_timestamp_seconds", "bb", gpu="bb", task_id="over"),
    ]
    timeline = one("MI300X users and tasks", "GPUs of these users")
    async with prometheus(tmp_path, columns) as url:
        # As Grafana puts in what is chosen of a variable that may have several values.
        for chosen, expected in (
            ("amy", {"aa", "cc"}),
            (r"amy\\+gpu@example\\.org", {"bb"}),
            ("(amy|bob)", {"aa", "cc"}),
        ):
            view = View(now, now, 15, {"host": ".*", "user": chosen, "task_type": ".*"})
            found = await ask(url, timeline, view)
            assert {dict(labels)["device"] for labels in found} == {f"n1 GPU {uuid}" for uuid in expected}
