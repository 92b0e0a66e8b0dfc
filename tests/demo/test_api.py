from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from exporter.demo.api import Fault, StandInApi
from exporter.model import Task, TaskGpu
from exporter.tasks.consumption.client import PATH

DAY = 1753142400.0
DAY_QUERY = {"start_t": "2025-07-22 00:00:00", "end_t": "2025-07-22 23:59:59"}
LATER = DAY + 7 * 86400
TASK = Task(
    task_id="f3c1",
    username="itrd",
    task_type="WEBAPP",
    gpus=(TaskGpu("52f67b3700dcc6f3", "27", "AMD Instinct MI300X", 196592),),
    start=1752653972.0,
    hostname="colab-gpu4",
    project_uuid="9d0c",
    image="ollama:0.6.2-rocm",
)


async def get(api: StandInApi, token: str | None = "stand-in-token", **query: str) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession() as session,
        session.get(api.url + PATH, headers=headers, params=DAY_QUERY | query) as response,
    ):
        return response.status, json.loads(await response.read())


async def ids(api: StandInApi, **query: str) -> list[str]:
    return list((await get(api, **query))[1])


def named(task_id: str, start: float, end: float, username: str = "itrd") -> Task:
    return Task(task_id, username, "LAB", TASK.gpus, start, end)


async def test_a_running_task_is_told_in_the_shape_of_the_real_server() -> None:
    async with StandInApi([TASK], clock=lambda: LATER) as api:
        assert await get(api) == (
            200,
            {
                "f3c1": {
                    "username": "itrd",
                    "hostname": "colab-gpu4",
                    "gpus": [
                        {"uuid": "APU-52f67b3700dcc6f3", "id": 27, "name": "AMD Instinct MI300X", "memory": 196592}
                    ],
                    "task": {
                        "_type": "WEBAPP",
                        "project_uuid": "9d0c",
                        "image": "ollama:0.6.2-rocm",
                        "create_time": "Wed, 16 Jul 2025 08:19:30 GMT",
                    },
                    "start": "Wed, 16 Jul 2025 08:19:32 GMT",
                    "end": "",
                    "total_seconds": 86399.0,
                }
            },
        )


async def test_every_task_that_overlaps_the_window_is_told() -> None:
    tasks = [
        named("before", DAY - 100, DAY - 50),
        named("into", DAY - 100, DAY + 50),
        named("within", DAY + 100, DAY + 200),
        named("after", DAY + 86400, DAY + 86500),
    ]
    async with StandInApi(tasks, clock=lambda: LATER) as api:
        assert await ids(api) == ["into", "within"]
        assert (await get(api))[1]["into"]["total_seconds"] == 50


async def test_a_task_is_running_until_its_end_has_come_and_absent_before_its_start() -> None:
    now = DAY + 50
    async with StandInApi([named("a", DAY + 100, DAY + 200)], clock=lambda: now) as api:
        assert await ids(api) == []
        now = DAY + 150
        assert (await get(api))[1]["a"]["end"] == ""
        assert (await get(api))[1]["a"]["total_seconds"] == 50
        now = DAY + 200
        assert (await get(api))[1]["a"]["end"] == "Tue, 22 Jul 2025 00:03:20 GMT"


async def test_start_and_end_may_be_learned_late() -> None:
    now = DAY + 104
    async with StandInApi([named("a", DAY + 100, DAY + 200)], clock=lambda: now) as api:
        api.lags["a"] = 5
        assert await ids(api) == []
        now = DAY + 105
        assert await ids(api) == ["a"]
        now = DAY + 204
        assert (await get(api))[1]["a"]["end"] == ""
        now = DAY + 205
        assert (await get(api))[1]["a"]["end"] != ""


async def test_one_users_tasks_can_be_asked_for() -> None:
    tasks = [named("a", DAY, DAY + 1), named("b", DAY, DAY + 1, username="nycubme")]
    async with StandInApi(tasks, clock=lambda: LATER) as api:
        assert await ids(api, username="nycubme") == ["b"]


async def test_the_window_is_read_in_the_zone_of_the_server() -> None:
    async with StandInApi([named("a", DAY - 8 * 3600, DAY - 7 * 3600)], clock=lambda: LATER) as api:
        assert await ids(api) == []
    async with StandInApi(
        [named("a", DAY - 8 * 3600, DAY - 7 * 3600)], clock=lambda: LATER, timezone="Asia/Taipei"
    ) as api:
        assert await ids(api) == ["a"]


async def test_tasks_may_be_made_as_they_are_asked_for() -> None:
    def entries(start: float, end: float, now: float) -> list[Task]:
        assert (start, end, now) == (DAY, DAY + 86399, LATER)
        return [TASK]

    async with StandInApi(entries, clock=lambda: LATER) as api:
        assert await ids(api) == ["f3c1"]


async def test_a_list_may_change_meanwhile_and_raw_entries_stand_beside_it() -> None:
    tasks: list[Task] = []
    async with StandInApi(tasks, clock=lambda: LATER) as api:
        assert await ids(api) == []
        tasks.append(TASK)
        api.extra["bad"] = {}
        assert await ids(api) == ["f3c1", "bad"]


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("other", 422), ("stand-in-token", 200)])
async def test_only_the_token_opens_it(token: str | None, status: int) -> None:
    async with StandInApi([]) as api:
        assert (await get(api, token))[0] == status


async def test_a_window_that_is_none_is_refused() -> None:
    async with StandInApi([]) as api:
        assert (await get(api, start_t="yesterday"))[0] == 400


async def test_requests_are_counted_and_kept() -> None:
    async with StandInApi([]) as api:
        asked = asyncio.create_task(api.asked())
        await get(api)
        await asked
        assert api.count == 1
        assert list(api.requests) == [DAY_QUERY]


async def test_faults_are_what_they_say() -> None:
    async with StandInApi([TASK], clock=lambda: LATER) as api:
        api.fault = Fault(status=503, body=b'"sorry"')
        assert await get(api) == (503, "sorry")
        api.fault = Fault(breaks="before")
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await get(api)
        api.fault = Fault(breaks="amid")
        with pytest.raises(aiohttp.ClientPayloadError):
            await get(api)
        api.fault = Fault(breaks="truncated")
        with pytest.raises(json.JSONDecodeError):
            await get(api)
        api.fault = Fault()
        assert await ids(api) == ["f3c1"]
