"""`exporter tasks`: who has which GPU by a stand-in API, and which are free by a real Prometheus."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from exporter.demo.api import StandInApi
from exporter.model import Task, TaskGpu
from tests.support.command_line import run
from tests.support.engines import free_port, prometheus
from tests.support.live import BEGAN, gpu, moved

TOKEN = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl"
TAKEN_OF_LATE = "1000000000000002"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def history(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """One GPU of amy's, and four that were free when they were scraped."""
    columns = [
        *gpu(0, user="amy"),
        *(one for index in (1, 2) for one in gpu(index, active_until=BEGAN)),
        *(one for index in (0, 5) for one in gpu(index, hostname="colab-gpu2", active_until=BEGAN)),
    ]
    async with prometheus(tmp_path_factory.mktemp("engine"), moved(columns, time.time())) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setenv("EXPORTER_TASKS_TOKEN", TOKEN)
    now = time.time()
    tasks = [
        Task(f"id-{user}", user, "LAB", (TaskGpu(uuid, uuid[-1]),), now - ago, now + 600, "colab-gpu1")
        for user, uuid, ago in (("amy", "1000000000000000", 3600), ("bob", TAKEN_OF_LATE, 10))
    ]
    async with StandInApi(tasks, token=TOKEN, clock=lambda: now) as server:
        yield server.url


async def told(folder: Path, api: str, history: str, *options: str, **report: str) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of `exporter tasks`."""
    file = folder / "config.yaml"
    document = {"tasks": {"url": api}, "prometheus": {"url": history}, "report": report}
    file.write_text(yaml.safe_dump(document))
    return await asyncio.to_thread(run, ["tasks", "--config", str(file), *options])


async def test_free_gpus_stand_below_the_tasks_without_those_just_taken(tmp_path: Path, api: str, history: str) -> None:
    code, out, err = await told(tmp_path, api, history)
    assert (code, err) == (0, "")
    _, *rows, blank, free = out.splitlines()
    assert [row.split()[2] for row in rows] == ["amy", "bob"]
    assert (blank, free) == ("", "Free: colab-gpu1 1; colab-gpu2 0, 5")


async def test_they_are_narrowed_by_node_and_told_in_the_language(tmp_path: Path, api: str, history: str) -> None:
    _, out, _ = await told(tmp_path, api, history, "--node", "colab-gpu1", language="zh-TW")
    assert out.splitlines()[-1] == "未分配：colab-gpu1 1"


@pytest.mark.parametrize("options", [["--user", "amy"], ["--date", "2025-07-22"], ["--json"]])
async def test_of_a_user_of_a_day_and_in_json_there_is_nothing_but_tasks(
    tmp_path: Path, api: str, history: str, options: list[str]
) -> None:
    code, out, err = await told(tmp_path, api, history, *options)
    assert (code, err) == (0, "")
    assert "Free" not in out
    if "--json" in options:
        assert [row["username"] for row in json.loads(out)] == ["amy", "bob"]


async def test_without_prometheus_one_line_says_that_free_ones_are_not_known(tmp_path: Path, api: str) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    code, out, err = await told(tmp_path, api, nobody)
    assert code == 0
    assert "amy" in out
    assert "Free" not in out
    (line,) = err.splitlines()
    assert line.startswith("exporter: which GPUs are free is not known: ")
    assert nobody in line


async def test_where_all_are_taken_none_is_free(tmp_path: Path, api: str) -> None:
    columns = moved(gpu(2, active_until=BEGAN), time.time())
    async with prometheus(tmp_path / "engine", columns) as url:
        _, out, _ = await told(tmp_path, api, url)
    assert out.splitlines()[-1] == "Free: none"
