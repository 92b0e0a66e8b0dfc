"""deploy/nginx/consumption-cache.conf under the real nginx, in front of the stand-in API, asked by the real client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from exporter import config
from exporter.demo.api import Fault, StandInApi
from exporter.errors import TasksServerError
from exporter.model import Answer, Task, TaskGpu
from exporter.tasks.consumption.client import PATH, ConsumptionClient
from tests.support.caching_proxy import caching_proxy

TOKEN = "administrators-token"
NODES = 20
WINDOW_END = datetime(2025, 7, 22, 10, 30, tzinfo=UTC).timestamp()
LONG_AGO = WINDOW_END - 86400
WINDOW = {"start_t": "2025-07-22 10:00:00", "end_t": "2025-07-22 11:00:00"}
GPU = TaskGpu("52f67b3700dcc6f3")


@dataclass
class Cluster:
    """The API, the proxy before it, and its nodes."""

    api: StandInApi
    proxy_url: str
    directory: Path
    fetches: list[float] = field(default_factory=list)
    """When the API was asked: CLOCK_MONOTONIC."""

    def client(self) -> ConsumptionClient:
        return ConsumptionClient(self.proxy_url, config.Tasks())

    async def ask(self) -> list[Answer]:
        """What each node gets that asks now; their windows begin in four different minutes."""
        starts = [WINDOW_END - 60 * (1 + node % 4) for node in range(NODES)]
        return await asyncio.gather(*(self.client().tasks(start, WINDOW_END) for start in starts))

    def fetched(self, answer: Answer) -> float:
        """When the API was asked for this answer."""
        return self.fetches[int(answer.tasks[0].task_id)]


@asynccontextmanager
async def proxied(tmp_path: Path, *command: str) -> AsyncIterator[Cluster]:
    fetches: list[float] = []

    def tasks(_start: float, _end: float, _now: float) -> Sequence[Task]:
        fetches.append(time.monotonic())
        return [Task(str(len(fetches) - 1), "alice", "LAB", (GPU,), LONG_AGO)]

    async with StandInApi(tasks, token=TOKEN) as api, caching_proxy(tmp_path, api.url, TOKEN, *command) as url:
        yield Cluster(api, url, tmp_path, fetches)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with proxied(tmp_path) as it:
        yield it


async def test_many_nodes_make_one_request_a_minute(cluster: Cluster) -> None:
    began = time.time() // 60
    for _ in range(3):
        await cluster.ask()
    assert len(cluster.fetches) <= time.time() // 60 - began + 1


async def test_nodes_that_ask_at_once_wait_for_one_answer(cluster: Cluster) -> None:
    cluster.api.fault = Fault(delay=0.3)
    began = time.time() // 60
    await cluster.ask()
    assert len(cluster.fetches) <= time.time() // 60 - began + 1


async def test_an_answer_is_never_taken_for_younger_than_it_is(cluster: Cluster) -> None:
    for _ in range(3):
        for answer in await cluster.ask():
            assert answer.as_of <= cluster.fetched(answer)


async def test_a_minute_later_the_api_is_asked_again_and_ages_stay_below_a_minute(tmp_path: Path) -> None:
    clock = ("faketime", "--exclude-monotonic", "-f", "+0 x60")  # a minute a second
    async with proxied(tmp_path, *clock) as cluster, aiohttp.ClientSession() as session:
        ages: dict[str, list[int]] = {}
        while len(ages) < 4:
            async with session.get(cluster.proxy_url + PATH, params=WINDOW) as response:
                assert response.status == 200
                document = await response.json()
                ages.setdefault(next(iter(document)), []).append(int(response.headers.get("Age", 0)))
        assert len(cluster.fetches) == len(ages)
    for first, *later in ages.values():
        assert first == 0
        assert later == sorted(later)
        assert set(later) <= {10, 20, 30, 40, 50, 60}


async def test_a_failing_api_is_not_asked_by_every_node_and_no_old_answer_is_served(cluster: Cluster) -> None:
    await cluster.ask()
    cluster.api.fault = Fault(status=500)
    asked = cluster.api.count
    began = time.time() // 10
    asking = (cluster.client().tasks(WINDOW_END, WINDOW_END + 60) for _ in range(NODES))
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(answer, TasksServerError) for answer in answers)
    assert cluster.api.count - asked <= time.time() // 10 - began + 1


async def test_the_token_stays_with_the_proxy(cluster: Cluster) -> None:
    async with aiohttp.ClientSession() as session:
        for headers in ({}, {"Authorization": "Bearer a-nodes-own"}):
            async with session.get(cluster.proxy_url + PATH, params=WINDOW, headers=headers) as response:
                assert response.status == 200
                assert TOKEN not in await response.text() + str(response.headers)
    written = [path for path in cluster.directory.rglob("*") if path.is_file() and path.name != "token.conf"]
    assert any(path.parent.name == "cache" for path in written)
    assert not [path for path in written if TOKEN.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", f"{PATH}?start_t=2025-07-22+10:00:00&end_t=2025-07-22+11:00:00", 403),
        ("GET", f"{PATH}?start_t=2025-07-22+10:00:00", 400),
        ("GET", f"{PATH}?start_t=2025-07-22+10:00:00&end_t=2025-07-22+11:00:00%26x=1", 400),
        ("GET", f"{PATH}/other", 404),
        ("GET", "/api/v2/users", 404),
    ],
)
async def test_nothing_else_reaches_the_api(cluster: Cluster, method: str, target: str, status: int) -> None:
    async with aiohttp.ClientSession() as session, session.request(method, cluster.proxy_url + target) as response:
        assert response.status == status
    assert cluster.api.count == 0


async def test_windows_are_widened_to_the_hour_and_users_kept_apart(cluster: Cluster) -> None:
    async with aiohttp.ClientSession() as session:
        for query in (
            "start_t=2025-07-22%2010%3A59%3A00",
            "start_t=2025-07-22+10:01:00",
            "start_t=2025-07-22+09:59:00",
        ):
            async with session.get(f"{cluster.proxy_url}{PATH}?{query}&end_t=2025-07-22+11:00:00&username=bob") as got:
                assert got.status == 200
    starts = {request["start_t"] for request in cluster.api.requests}
    assert starts == {"2025-07-22 10:00:00", "2025-07-22 09:00:00"}
    assert {request["username"] for request in cluster.api.requests} == {"bob"}
    assert {request["end_t"] for request in cluster.api.requests} == {"2025-07-22 11:00:00"}
