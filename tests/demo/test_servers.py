"""The real Prometheus of the demo, and the histories written into it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from exporter.demo.process import ServerProcess
from exporter.demo.prometheus import PrometheusServer
from exporter.demo.remote_write import STALE, Column, write_series
from exporter.errors import ExporterError
from tests.support.engines import ENGINES, prometheus

START_MS = 1_753_113_600_000


def column(*values: float, start_ms: int = START_MS, name: str = "x_total", **labels: str) -> Column:
    times = start_ms + 15_000 * np.arange(len(values))
    return Column({"__name__": name, **labels}, times.astype(np.int64), np.array(values, dtype=np.float64))


async def query(url: str, promql: str, time_ms: int) -> Any:
    form = {"query": promql, "time": str(time_ms / 1000)}
    async with aiohttp.ClientSession() as session, session.post(f"{url}/api/v1/query", data=form) as response:
        return (await response.json())["data"]["result"]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_prometheus_answers_once_entered_and_is_gone_once_left(tmp_path: Path) -> None:
    async with PrometheusServer(tmp_path) as server:
        pid = server.pid
        async with aiohttp.ClientSession() as session, session.get(f"{server.url}/-/ready") as response:
            assert response.status == 200
    assert not is_running(pid)


async def test_a_line_of_the_log_may_be_as_long_as_a_query() -> None:
    script = "import sys, time; print('x' * 2**17 + chr(10) + 'ready', file=sys.stderr, flush=True); time.sleep(60)"
    async with ServerProcess((sys.executable, "-c", script), package="", milestones=(re.compile("ready"),)) as server:
        assert is_running(server.pid)
    assert not is_running(server.pid)


async def test_prometheus_is_ended_when_its_user_fails(tmp_path: Path) -> None:
    pids: list[int] = []

    async def fail() -> None:
        async with PrometheusServer(tmp_path) as server:
            pids.append(server.pid)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert not is_running(*pids)


async def test_prometheus_does_not_outlive_a_killed_demo(tmp_path: Path) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from exporter.demo.prometheus import PrometheusServer\n"
        "async def main():\n"
        "    async with PrometheusServer(pathlib.Path(sys.argv[1])) as server:\n"
        "        print(server.pid, flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(tmp_path)), stdout=asyncio.subprocess.PIPE
    )
    assert demo.stdout is not None
    prometheus_fd = os.pidfd_open(int(await demo.stdout.readline()))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(prometheus_fd, ended.set)
    try:
        demo.kill()
        await demo.wait()
        await asyncio.wait_for(ended.wait(), timeout=30)
    finally:
        asyncio.get_running_loop().remove_reader(prometheus_fd)
        os.close(prometheus_fd)


async def test_a_config_that_prometheus_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(ExporterError, match=r"did not start:[\s\S]*scrape_intervall"):
        async with PrometheusServer(tmp_path, "global: {scrape_intervall: 1s}"):
            pass


async def test_a_missing_prometheus_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExporterError, match="apt-get install prometheus"):
        async with PrometheusServer(tmp_path):
            pass


async def test_samples_outlive_the_process(tmp_path: Path) -> None:
    async with prometheus(tmp_path, [column(1.0, 2.0)]):
        pass
    async with PrometheusServer(tmp_path) as server:
        (found,) = await query(server.url, "x_total", START_MS + 20_000)
    assert found["value"][1] == "2"


@pytest.mark.parametrize("name", sorted(ENGINES))
async def test_what_is_written_can_be_read_to_the_bit_and_the_millisecond(tmp_path: Path, name: str) -> None:
    values = (0.0, -1.5, 0.1, 123456.789, 5e9)  # VictoriaMetrics rounds the small beside the huge
    odd = Column(
        {"__name__": "x_total", "user": "王小明" * 60},
        np.array([START_MS + 1, START_MS + 15_002], dtype=np.int64),
        np.array([1.0, 2.0]),
    )
    async with ENGINES[name](tmp_path, [column(*values, user="a"), odd]) as url:
        ours, theirs = sorted(await query(url, "x_total[1h]", START_MS + 100_000), key=lambda s: s["metric"]["user"])
    assert [float(value) for _, value in ours["values"]] == list(values)
    assert theirs["metric"]["user"] == "王小明" * 60
    assert [time for time, _ in theirs["values"]] == [1753113600.001, 1753113615.002]


@pytest.mark.parametrize("name", sorted(ENGINES))
async def test_after_a_staleness_marker_a_series_is_gone(tmp_path: Path, name: str) -> None:
    async with ENGINES[name](tmp_path, [column(1.0, 2.0, STALE), column(1.0, 2.0, name="y_total")]) as url:
        assert await query(url, "x_total", START_MS + 40_000) == []
        assert len(await query(url, "y_total", START_MS + 40_000)) == 1


async def test_days_of_any_series_go_in_together(tmp_path: Path) -> None:
    """Prometheus refuses what is much older than its newest sample: all series have to advance together."""
    day = 86_400_000
    columns = [
        column(*range(5760), user="long"),
        column(*range(10), start_ms=START_MS + day // 2, user="late"),
        column(*range(10), start_ms=START_MS - 400 * day, user="early"),
    ]
    async with prometheus(tmp_path, columns) as url:
        found = await query(url, "count_over_time(x_total[500d])", START_MS + day)
    assert {one["metric"]["user"]: one["value"][1] for one in found} == {"long": "5760", "late": "10", "early": "10"}


async def test_a_refused_write_is_told_in_the_engines_words(tmp_path: Path) -> None:
    async with prometheus(tmp_path, [column(1.0)]) as url:
        with pytest.raises(ExporterError, match="out of bounds"):
            await write_series(url, [column(1.0, start_ms=START_MS - 10 * 86_400_000)])
