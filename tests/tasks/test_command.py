from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

import pytest

from exporter import config
from exporter.demo.api import Fault, StandInApi
from exporter.errors import ConfigError, HistoryTasksError, TasksServerError, UsageError
from exporter.model import Task, TaskGpu
from exporter.tasks.command import run

TOKEN = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl"
NOW = 1753142400.0


def task(user: str, host: str, gpu: int, end: float = NOW + 60) -> Task:
    return Task(f"id-{user}", user, "LAB", (TaskGpu(f"{gpu:016x}", str(gpu)),), NOW - 3600, end, host)


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORTER_TASKS_TOKEN", TOKEN)


@pytest.fixture
async def api() -> AsyncIterator[StandInApi]:
    tasks = [task("itrd", "colab-gpu1", 1), task("nycubme", "colab-gpu2", 9), task("gone", "colab-gpu1", 2, NOW - 10)]
    async with StandInApi(tasks, token=TOKEN, clock=lambda: NOW) as server:
        yield server


async def printed(
    api: StandInApi,
    capsys: pytest.CaptureFixture[str],
    *,
    users: Collection[str] = (),
    nodes: Collection[str] = (),
) -> Any:
    """The JSON that the command prints; it has an event loop of its own."""
    settings = config.Config(tasks=config.Tasks(url=api.url))
    await asyncio.to_thread(run, settings, NOW, NOW + 1, users=users, nodes=nodes, json=True)
    return json.loads(capsys.readouterr().out)


def asked_for(api: StandInApi) -> list[str | None]:
    return [request.get("username") for request in api.requests]


async def test_one_user_is_filtered_at_the_api(api: StandInApi, capsys: pytest.CaptureFixture[str]) -> None:
    rows = await printed(api, capsys, users=["itrd", "itrd"])

    assert [row["username"] for row in rows] == ["itrd"]
    assert asked_for(api) == ["itrd"]


async def test_everybody_and_several_users_are_one_request(api: StandInApi, capsys: pytest.CaptureFixture[str]) -> None:
    assert [row["username"] for row in await printed(api, capsys)] == ["itrd", "nycubme"]
    assert [row["username"] for row in await printed(api, capsys, users=["itrd", "nycubme"])] == ["itrd", "nycubme"]
    assert asked_for(api) == [None, None]


@pytest.mark.parametrize("user", ["nobody", "gone"])
async def test_a_user_without_a_task_in_the_window_is_unknown_and_those_there_are_are_named(
    api: StandInApi, capsys: pytest.CaptureFixture[str], user: str
) -> None:
    with pytest.raises(UsageError, match=f"unknown user {user}; then there are: itrd, nycubme"):
        await printed(api, capsys, users=[user])


async def test_a_node_that_only_others_use_is_known_and_the_user_has_nothing_there(
    api: StandInApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await printed(api, capsys, users=["itrd"], nodes=["colab-gpu2"]) == []
    with pytest.raises(UsageError, match="unknown node x; then there are: colab-gpu1, colab-gpu2"):
        await printed(api, capsys, users=["itrd"], nodes=["x"])


async def test_an_api_that_knows_no_filter_changes_nothing(api: StandInApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.extra = {"id": {"username": "amy", "hostname": "h", "gpus": [{"uuid": "APU-00000000000000aa"}],
                        "start": "2025-07-22 00:00:00", "end": ""}}  # fmt: skip
    assert [row["username"] for row in await printed(api, capsys, users=["itrd"])] == ["itrd"]


async def test_entries_that_cannot_be_read_are_told_of(api: StandInApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.extra = {"bad": {"username": "itrd", "gpus": [], "start": "2025-07-22 00:00:00"}}
    settings = config.Config(tasks=config.Tasks(url=api.url))
    await asyncio.to_thread(run, settings, NOW, NOW + 1, users=(), nodes=(), json=False)
    told = capsys.readouterr()

    assert told.out.splitlines()[1].startswith("colab-gpu1  1")
    assert told.err == "exporter: 1 entries could not be read\n"


def test_where_there_is_nobody_to_ask_the_config_says_so() -> None:
    with pytest.raises(ConfigError, match=r"tasks\.url is not set"):
        run(config.Config(), NOW, NOW + 1, users=(), nodes=(), json=False)


DAY: dict[str, Any] = {"users": (), "nodes": (), "json": True}
KNOWN = [task("amy", "colab-gpu1", 1)]


async def remembered() -> tuple[Sequence[Task], float]:
    return KNOWN, 5400.0


async def forgotten() -> tuple[Sequence[Task], float]:
    raise HistoryTasksError("the scrape history tells of no tasks")


async def test_a_day_that_the_api_does_not_tell_of_is_as_the_history_has_it(
    api: StandInApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.fault = Fault(status=500)
    settings = config.Config(tasks=config.Tasks(url=api.url))
    await asyncio.to_thread(run, settings, NOW, NOW + 1, **DAY, past=remembered)
    out, err = capsys.readouterr()
    failed, untold = err.splitlines()

    assert [row["username"] for row in json.loads(out)] == ["amy"]
    assert failed.startswith("exporter: consumption API")
    assert failed.endswith("; these are the tasks in the scrape history")
    assert untold == "exporter: the scrape history does not tell who held GPUs for 1.50 GPU-hours"


async def test_an_api_that_answers_is_believed(api: StandInApi, capsys: pytest.CaptureFixture[str]) -> None:
    settings = config.Config(tasks=config.Tasks(url=api.url))
    await asyncio.to_thread(run, settings, NOW, NOW + 1, **DAY, past=remembered)

    assert "amy" not in capsys.readouterr().out


async def test_where_neither_tells_both_are_named(api: StandInApi) -> None:
    api.fault = Fault(status=500)
    settings = config.Config(tasks=config.Tasks(url=api.url))
    with pytest.raises(TasksServerError, match=r"consumption API .*\n.*tells of no tasks"):
        await asyncio.to_thread(run, settings, NOW, NOW + 1, **DAY, past=forgotten)


def test_where_there_is_nobody_else_to_ask_about_a_day_the_history_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    run(config.Config(), NOW, NOW + 1, **DAY, past=remembered)
    assert [row["username"] for row in json.loads(capsys.readouterr().out)] == ["amy"]
    with pytest.raises(ConfigError, match=r"tasks\.url is not set.*\n.*tells of no tasks"):
        run(config.Config(), NOW, NOW + 1, **DAY, past=forgotten)
