"""`exporter status`, on real engines that hold a small cluster."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from exporter import cli
from exporter.config import Config, parse
from exporter.demo.remote_write import Column
from exporter.errors import HistoryError, ReportError, UsageError
from exporter.live.command import Choice, Look, look, shown
from exporter.standing import Standing
from exporter.table import width_of
from tests.support.engines import ENGINES, free_port
from tests.support.live import BEGAN, CLUSTER, HOUR, NOW, gpu, moved
from tests.support.portal import Between, serving

HOME = b"\x1b[H"
"""With which each drawing of the screen begins."""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=ENGINES)
async def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with ENGINES[request.param](tmp_path_factory.mktemp("engine"), CLUSTER) as where:
        yield where


def settings(url: str, **report: object) -> Config:
    document = {"prometheus": {"url": url}, "report": {"timezone": "Asia/Taipei", **report}}
    return parse(document, where="test")


async def status(url: str, **choice: Any) -> Look:
    return await look(settings(url), Choice(**choice), NOW)


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_every_gpu_stands_where_its_history_says(url: str) -> None:
    found = await status(url)
    assert {(gpu.hostname, gpu.gpu): gpu.standing for gpu in found.shown} == {
        ("colab-gpu1", "0"): Standing.IN_USE,
        ("colab-gpu1", "1"): Standing.HELD_IDLE,
        ("colab-gpu1", "2"): Standing.FREE,
        ("colab-gpu1", "3"): Standing.UNCLAIMED,
        ("colab-gpu2", "0"): Standing.SILENT,
        ("colab-gpu2", "1"): Standing.HELD_IDLE,
    }


async def test_it_says_for_how_long_holders_leave_a_gpu_idle_and_a_gpu_is_silent(url: str) -> None:
    gpus = {(gpu.hostname, gpu.gpu): gpu for gpu in (await status(url)).shown}
    assert gpus["colab-gpu1", "1"].idleness.seconds == pytest.approx(3 * HOUR, abs=300)
    assert gpus["colab-gpu2", "1"].idleness.seconds == 0.5 * HOUR
    assert NOW - (gpus["colab-gpu2", "0"].last_seen or 0) == pytest.approx(2 * HOUR, abs=600)


async def test_a_user_sees_what_they_hold_and_what_they_used(url: str) -> None:
    found = await status(url, username="amy")
    assert [(gpu.hostname, gpu.gpu) for gpu in found.shown] == [("colab-gpu1", "0"), ("colab-gpu2", "1")]
    assert found.used is not None
    today, month = found.used.values()
    since_midnight = (NOW + 8 * HOUR) % 86400
    assert today is not None
    assert month is not None
    assert today.held == pytest.approx(since_midnight + (since_midnight - 2 * HOUR) + 0.5 * HOUR, abs=900)
    assert month.held == pytest.approx((20 + 18 + 0.5) * HOUR, abs=900)
    assert month.busy == pytest.approx(month.held / 2, abs=900)
    assert month.idle == pytest.approx(0.5 * HOUR, abs=900)


async def test_free_ones_and_those_of_a_node_can_be_asked_for(url: str) -> None:
    assert [gpu.gpu for gpu in (await status(url, is_free=True)).shown] == ["2"]
    node = await status(url, nodes=("colab-gpu2.example.org",))
    assert {gpu.hostname for gpu in node.shown} == {"colab-gpu2"}


async def test_who_is_unknown_is_refused_with_those_there_are(url: str) -> None:
    with pytest.raises(UsageError, match=r"^unknown user bob: no task this month; now there are: amy, 陳怡君$"):
        await status(url, username="bob")
    with pytest.raises(UsageError, match=r"^unknown node nowhere; there are: colab-gpu1, colab-gpu2$"):
        await status(url, nodes=("nowhere",))


@pytest.mark.parametrize("language", ["en", "zh-TW"])
async def test_a_line_a_gpu_in_80_columns_with_the_sums_on_top(url: str, language: str) -> None:
    chosen = settings(url, language=language)
    text = shown(chosen, Choice(), await look(chosen, Choice(), NOW), 80)
    lines = text.splitlines()
    assert max(map(width_of, lines)) <= 80
    assert "colab-gpu1 2" in lines[1]
    assert len(re.findall(r"^colab-gpu[12] ", text, re.MULTILINE)) == 6
    if language == "en":
        assert lines[0] == "6 GPUs: 1 free · 1 in use · 2 held, idle · 1 busy, no task · 1 not reporting"


async def test_an_engine_without_gpus_and_one_that_is_not_there_are_told_apart(tmp_path: Path) -> None:
    async with ENGINES["prometheus"](tmp_path) as empty:
        with pytest.raises(ReportError, match="has no GPU of the last day"):
            await status(empty)
    with pytest.raises(HistoryError, match=r"is prometheus\.url right"):
        await status(f"http://127.0.0.1:{free_port()}")


async def test_a_gpu_whose_counters_stand_still_is_not_called_active(tmp_path: Path) -> None:
    stopped = [
        replace(column, values=np.minimum(column.values, column.values[-1] / 2))
        if column.labels["__name__"] in {"amdgpu_observed_seconds_total", "amdgpu_idle_seconds_total"}
        else column
        for column in gpu(0)
    ]
    async with ENGINES["prometheus"](tmp_path, stopped) as where:
        (found,) = (await status(where)).shown
    assert found.idleness.seconds is None
    assert found.standing is Standing.FREE


async def test_a_cluster_that_two_servers_scrape_is_the_same_as_one_that_one_scrapes(tmp_path: Path) -> None:
    def scraped_as(replica: str) -> list[Column]:
        return [replace(column, labels={**column.labels, "replica": replica}) for column in CLUSTER]

    async with ENGINES["prometheus"](tmp_path / "one", scraped_as("a")) as one:
        alone = await status(one, username="amy")
    async with ENGINES["prometheus"](tmp_path / "two", [*scraped_as("a"), *scraped_as("b")]) as two:
        twice = await status(two, username="amy")
    assert twice.cluster == alone.cluster
    assert twice.used == alone.used


@pytest_asyncio.fixture(loop_scope="module")
async def now(tmp_path: Path) -> AsyncIterator[Path]:
    """A config for a Prometheus that holds two GPUs of just now."""
    columns = moved([*gpu(0, user="=cmd()"), *gpu(1, active_until=BEGAN)], time.time())
    async with ENGINES["prometheus"](tmp_path / "engine", columns) as where:
        file = tmp_path / "config.yaml"
        file.write_text(yaml.safe_dump({"prometheus": {"url": where}}))
        yield file


async def test_the_command_prints_text_or_json(now: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await asyncio.to_thread(cli.main, ["status", "--config", str(now)])
    assert capsys.readouterr().out.startswith("2 GPUs: 1 free · 1 in use\nFree: colab-gpu1 1\n")
    await asyncio.to_thread(cli.main, ["status", "--json", "--user", "=cmd()", "--config", str(now)])
    found = json.loads(capsys.readouterr().out)
    assert [row["usernames"] for row in found["gpus"]] == [["=cmd()"]]
    assert found["user"]["this_month"]["owned_gpu_hours"] > 0


async def test_options_that_do_not_go_together_exit_2(now: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in (["--watch"], ["--watch", "--json"]):
        with pytest.raises(SystemExit) as end:
            await asyncio.to_thread(cli.main, ["status", *wrong, "--config", str(now)])
        assert end.value.code == 2
    assert "--watch needs a terminal" in capsys.readouterr().err


async def test_watching_redraws_in_place_survives_another_size_and_ends_on_q(now: Path) -> None:
    with terminal(["status", "--watch", "--config", str(now)]) as (screen, process):
        before = termios.tcgetattr(screen)
        await until(screen, b"Free: colab-gpu1 1")
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
        await until(screen, b"Free: colab-gpu1 1")
        os.write(screen, b"q")
        await until(screen, b"\x1b[?1049l")
        assert await asyncio.to_thread(process.wait, 30) == 0
        assert termios.tcgetattr(screen)[3] == before[3] | termios.ECHO | termios.ICANON


async def test_watching_keeps_the_last_answer_while_prometheus_is_away(now: Path) -> None:
    between = Between(yaml.safe_load(now.read_text())["prometheus"]["url"])
    async with serving(between.answer) as url:
        now.write_text(yaml.safe_dump({"prometheus": {"url": url}}))
        with terminal(["status", "--watch", "--config", str(now)]) as (screen, _):
            await until(screen, b"Free: colab-gpu1 1")
            between.instead = web.Response(status=503, body=b"<html>away</html>")
            await until(screen, b"503", b"Free: colab-gpu1 1")
            between.instead = None
            await until(screen, b"Free: colab-gpu1 1", without=b"503")
            os.write(screen, b"q")
            await until(screen, b"\x1b[?1049l")


@contextmanager
def terminal(arguments: list[str]) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """The command in a terminal of its own, of 80 columns."""
    screen, line = pty.openpty()
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "exporter", *arguments]
    with subprocess.Popen(
        command, stdin=line, stdout=line, stderr=line, start_new_session=True, env=os.environ | {"TERM": "xterm"}
    ) as process:
        try:
            yield screen, process
        finally:
            process.kill()
            for descriptor in (screen, line):
                with closing(os.fdopen(descriptor, "rb", 0)):
                    pass


async def until(screen: int, *texts: bytes, without: bytes = b"\0") -> None:
    """Reads the screen until it has been drawn with some texts, and without another one."""
    seen = b""
    async with asyncio.timeout(120):
        while not any(without not in drawn and all(text in drawn for text in texts) for drawn in seen.split(HOME)):
            seen += await asyncio.to_thread(os.read, screen, 65536)
