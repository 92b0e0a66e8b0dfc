"""`exporter demo` as a whole: what it shows and leaves behind, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from exporter import config
from exporter.demo import run, show
from exporter.demo.past import Past
from exporter.report import days
from exporter.speech import speech
from tests.support.command_line import run as command


async def test_it_ends_with_the_brief_the_month_and_the_addresses_and_leaves_all_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "NODES", 1)
    monkeypatch.setattr(show, "_LOOK_SECONDS", 8)
    monkeypatch.setattr(show, "WINDOW_SECONDS", 4)
    given = config.parse({"report": {"language": "zh-TW", "timezone": "Asia/Taipei"}}, where="test")
    await show.demo(given, tmp_path / "demo", finite=True)
    past = Past.before(datetime.now(UTC).timestamp(), "Asia/Taipei")
    out, err = capfd.readouterr()

    assert err.count("demo: ") == len(err.splitlines()), "a line for each step, and no warning"
    yesterday, month = past.days[-1].name, past.periods()[-1].name
    shown = [out.index(text) for text in (f"GPU 使用報告 {yesterday}", f"--month {month}", "index.html", "http://")]
    assert shown == sorted(shown)
    assert "NT$" not in out, "prices are made up only where no config is given"

    reports = tmp_path / "demo" / "reports"
    pages = {page.parent.name for page in reports.glob("*/report.html")}
    assert pages == {day.name for day in past.days} | {one.name for one in past.periods()}
    index = (reports / "index.html").read_text()
    assert all(f'"{name}/report.html"' in index for name in pages)
    for day in past.days:
        head = days.read_head(reports / day.name / days.FILE)
        assert head is not None
        assert (head.is_whole, head.timezone, head.seconds) == (True, "Asia/Taipei", 86400.0)
    totals = json.loads((reports / month / "report.json").read_text())["totals"]
    assert totals["coverage_ratio"] == pytest.approx(1.0, abs=1e-6)
    assert totals["capacity_gpu_hours"] == 24 * 8 * len(past.periods()[-1].days())


async def test_its_portal_and_status_show_every_gpu_and_pages_lead_to_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "NODES", 1)
    async with run.running(None, tmp_path / "demo", speech("en")) as demo:
        await run.scraped(demo, run.SCRAPE_SECONDS)
        code, out, err = await asyncio.to_thread(command, ["status", "--config", str(demo.config_file)])
        assert (code, err) == (0, "")
        assert out.startswith("8 GPUs: ")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{demo.portal}api/v1/gpus") as answer:
                gpus = (await answer.json())["gpus"]
            node = await _text(session, demo.pages[0])
            async with asyncio.timeout(120):
                while f'href="{demo.pages[0]}"' not in await _text(session, demo.portal):
                    await asyncio.sleep(0.5)  # what it answered last is of before the node was up
    assert len(gpus) == 8
    assert f'href="{demo.portal}"' in node


async def _text(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as answer:
        return await answer.text()


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_at_once_and_nothing_is_in_the_way_of_another_run(
    tmp_path: Path, kind: signal.Signals
) -> None:
    (tmp_path / "tmp").mkdir()
    for _ in range(2):
        demo = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "exporter", "demo", "--output", str(tmp_path / "demo")),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
            start_new_session=True,
        )
        assert demo.stderr is not None
        assert (await demo.stderr.readline()).startswith(b"demo: ")
        os.killpg(demo.pid, kind)  # as a terminal does: the whole group
        assert await demo.communicate() == (b"", b"")
        assert demo.returncode == 0
        assert list((tmp_path / "tmp").iterdir()) == []
        with pytest.raises(ProcessLookupError):
            os.killpg(demo.pid, 0)
