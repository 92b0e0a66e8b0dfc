"""`exporter report` over a real Prometheus: what good and bad input gets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from exporter.demo.api import Fault, StandInApi
from exporter.demo.cluster import Cluster
from exporter.demo.history import history
from exporter.model import RUNNING, Task, TaskGpu
from tests.support import engines
from tests.support.command_line import run
from tests.support.desk import Desk, desk_of

DAY = datetime(2026, 3, 3, tzinfo=UTC).timestamp()
CLUSTER = Cluster(1, 2)
FILES = {"report.html", "report.json", "summary.txt", "gpus.csv", "users.csv", "tasks.csv", "day.jsonl.gz"}


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture(scope="module")
def columns() -> list[Any]:
    """A day of one node with two GPUs."""
    return history(CLUSTER, "colab-gpu1", DAY - 1800, DAY + 86400 + 1800, scrape_seconds=60)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(columns: list[Any], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with engines.prometheus(tmp_path_factory.mktemp("prometheus"), columns) as url:
        yield url


@pytest_asyncio.fixture
async def desk(server: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_of(CLUSTER, server, tmp_path) as desk:
        yield desk


DATE = ("--date", "2026-03-03")


async def test_the_day_is_printed_as_text(desk: Desk) -> None:
    code, out, err = await desk.report(*DATE)

    assert (code, err) == (0, "")
    assert "GPU usage report 2026-03-03" in out
    assert max(map(len, out.splitlines())) <= 100


async def test_json_says_whence_its_figures_come_and_conserves(desk: Desk) -> None:
    code, out, _ = await desk.report(*DATE, "--format", "json")
    document = json.loads(out)
    totals = document["totals"]

    assert code == 0
    assert document["sources"] == {"history": "prometheus", "tasks": "api"}
    assert totals["capacity_gpu_hours"] == 48
    assert totals["coverage_ratio"] == pytest.approx(1.0, abs=1e-3)
    parts = ("owned_gpu_hours", "unallocated_gpu_hours", "unknown_gpu_hours")
    assert sum(totals[part] for part in parts) == pytest.approx(48, rel=1e-9)


async def test_every_gpu_has_the_number_people_know_it_by_though_nobody_holds_it(desk: Desk) -> None:
    for options in ((), ("--skip-task-info",), ("--skip-task-info", "--date", "2026-03-04")):
        _, out, _ = await desk.report(*DATE, "--format", "json", *options)
        assert [row["gpu_id"] for row in json.loads(out)["gpus"]] == ["0", "1"], options


async def test_a_narrowed_report_says_so(desk: Desk) -> None:
    _, out, _ = await desk.report(*DATE, "--format", "json", "--node", "colab-gpu1")
    document = json.loads(out)

    assert (document["only_users"], document["only_nodes"]) == ([], ["colab-gpu1"])


async def test_partial_data_are_reported_and_exit_3(desk: Desk) -> None:
    async def answer(request: web.Request) -> web.Response:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{desk.prometheus}{request.path}", data=await request.post()) as real,
        ):
            document = await real.json()
        return web.json_response(document | {"warnings": ["store-3 did not answer"]})

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    code, out, err = await desk.report(*DATE, "--format", "json", prometheus={"url": url})
    await runner.cleanup()

    assert code == 3
    assert json.loads(out)["totals"]["coverage_ratio"] == pytest.approx(1.0, abs=1e-3)
    assert "store-3 did not answer" in err


async def test_the_next_day_is_compared_with_this_one(desk: Desk) -> None:
    _, this, _ = await desk.report(*DATE, "--format", "json")
    _, following, _ = await desk.report("--date", "2026-03-04", "--format", "json")
    totals = json.loads(this)["totals"]
    rows = {row["measure"]: row for row in json.loads(following)["comparison"]}

    assert set(rows) >= {"owned_gpu_hours", "owned_busy_gpu_hours", "idle_gpu_hours", "efficiency_ratio", "energy_kwh"}
    for measure, row in rows.items():
        assert row["day_before"] == pytest.approx(totals[measure], rel=0.01), measure
        assert row["median_of_seven"] is None or measure == "owned_gpu_hours"


async def test_output_holds_every_usual_file_and_a_second_run_gives_the_same_bytes(desk: Desk) -> None:
    output = desk.directory / "out"
    code, out, _ = await desk.report(*DATE, "--output", str(output))
    folder = output / "2026-03-03"
    first = {file.name: file.read_bytes() for file in folder.iterdir()}
    await desk.report(*DATE, "--output", str(output))

    assert (code, out.strip()) == (0, str(folder))
    assert set(first) == FILES
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == first


async def test_formats_narrow_the_choice_and_a_range_has_a_folder_of_its_own(desk: Desk) -> None:
    output = desk.directory / "out"
    chosen = ("--format", "json", "--format", "markdown", "--format", "legacy")
    code, out, _ = await desk.report(*DATE, "--to", "2026-03-04", *chosen, "--output", str(output))

    assert code == 3
    assert {file.name for file in (output / "2026-03-03_2026-03-04").iterdir()} == {"report.json", "report.md"}
    assert (output / "colab-gpu1" / "2026-03-03" / "gpu0_2026-03-03.csv").exists()
    assert len(out.splitlines()) == 3


async def test_traditional_chinese_and_another_zone_can_be_asked_for(desk: Desk) -> None:
    code, out, _ = await desk.report(*DATE, "--lang", "zh-TW", "--timezone", "Asia/Taipei")

    assert code == 3
    assert "2026-03-03" in out
    assert "使用者" in out


def test_the_user_report_needs_a_source_that_knows_the_past(tmp_path: Path) -> None:
    (tmp_path / "exporter.yaml").write_text("tasks: {source: slurm}")
    code, _, err = run(["report", "--config", str(tmp_path / "exporter.yaml"), *DATE, "--user-report"])
    assert code == 2
    assert "does not tell of days that are over" in err


async def test_the_user_report_needs_no_history(desk: Desk) -> None:
    code, out, err = await desk.report(
        *DATE, "--user-report", "--lang", "zh-TW", prometheus={"url": "http://127.0.0.1:1"}
    )

    assert (code, err) == (0, "")
    assert out.startswith("=== 2026-03-03 GPU 使用者任務報告 ===")


async def test_skipping_task_info_asks_nobody_and_is_complete(desk: Desk) -> None:
    code, out, _ = await desk.report(*DATE, "--skip-task-info", "--format", "json")
    document = json.loads(out)

    assert (code, desk.api.count) == (0, 0)
    assert document["sources"]["tasks"] == "history"
    assert document["users"]
    assert document["tasks"]


async def test_the_history_tells_the_same_tasks_as_the_api(desk: Desk) -> None:
    _, asked, _ = await desk.report(*DATE, "--format", "json", "--node", "colab-gpu1")
    _, remembered, _ = await desk.report(*DATE, "--format", "json", "--node", "colab-gpu1", "--skip-task-info")
    by_api, by_history = json.loads(asked), json.loads(remembered)

    assert by_history.pop("sources") == {"history": "prometheus", "tasks": "history"}
    assert by_api.pop("sources") == {"history": "prometheus", "tasks": "api"}
    del by_history["comparison"], by_api["comparison"]  # this history is of one day
    assert by_history == by_api


@pytest.mark.parametrize(
    "fault", [Fault(status=401), Fault(status=500), Fault(body=b"<html>"), Fault(breaks="amid"), Fault(body=b"[]")]
)
async def test_an_api_that_fails_is_said_and_the_history_tells_the_tasks(desk: Desk, fault: Fault) -> None:
    desk.api.fault = fault
    code, out, err = await desk.report(*DATE, "--format", "json")

    assert code == 3
    assert json.loads(out)["sources"]["tasks"] == "history"
    assert "owners come from the tasks in the scrape history" in err


async def test_warnings_are_in_the_language_of_the_report(desk: Desk) -> None:
    desk.api.fault = Fault(status=500)
    code, out, err = await desk.report(
        *DATE, "--format", "json", "--lang", "zh-TW", report={"nodes": {"colab-gpu1": 3}}
    )
    warnings = json.loads(out)["warnings"]

    assert code == 3
    assert warnings[0].startswith("無法取得任務資料，GPU 歸屬改依監控歷史資料中的任務：")
    assert warnings[1] == "colab-gpu1：資料涵蓋率為 66.6%，應達 99.0% 以上"
    assert [f"exporter: {warning}" for warning in warnings] == err.splitlines()


async def test_without_prometheus_the_tasks_and_owned_hours_are_told(desk: Desk) -> None:
    code, out, err = await desk.report(*DATE, "--format", "json", prometheus={"url": "http://127.0.0.1:1"})
    document = json.loads(out)

    assert code == 3
    assert document["sources"]["history"] == "none"
    assert document["totals"]["owned_gpu_hours"] > 0
    assert document["totals"]["busy_gpu_hours"] is None
    assert "only owned time can be told" in err


async def test_without_either_source_it_fails(desk: Desk) -> None:
    desk.api.fault = Fault(status=500)
    code, out, err = await desk.report(*DATE, prometheus={"url": "http://127.0.0.1:1"})

    assert (code, out) == (1, "")
    assert "127.0.0.1:1" in err
    assert "consumption API" in err


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, "<html>login</html>"), (200, '{"status":"success"'), (500, "oops"), (401, "no"), (200, "[]")],
)
async def test_a_prometheus_that_answers_nonsense_is_named(desk: Desk, status: int, body: str) -> None:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text=body)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    code, _, err = await desk.report(*DATE, prometheus={"url": url})
    await runner.cleanup()

    assert code == 3
    assert url in err
    assert "only owned time can be told" in err


async def test_a_day_without_any_history_says_what_was_asked_and_since_when_there_is_some(desk: Desk) -> None:
    code, out, err = await desk.report("--date", "2026-01-15")

    assert (code, out) == (1, "")
    assert "amdgpu_observed_seconds_total" in err
    assert "2026-03-0" in err


async def test_a_history_of_something_else_asks_whether_the_exporter_is_scraped(desk: Desk) -> None:
    code, _, err = await desk.report(*DATE, prometheus={"matchers": 'cluster="elsewhere"'})

    assert code == 1
    assert "is the exporter scraped" in err
    assert 'cluster="elsewhere"' in err


async def test_a_node_observed_too_little_exits_3(desk: Desk) -> None:
    code, _, err = await desk.report(*DATE, "--format", "json", report={"nodes": {"colab-gpu1": 3}})

    assert code == 3
    assert "colab-gpu1: 66.6% of its GPU time was observed, expected 99.0% or more" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--date", "2026-02-30"), "--date: expected a date such as 2025-07-22, found '2026-02-30'"),
        (("--date", "2999-01-01"), "2999-01-01 lies in the future"),
        ((*DATE, "--to", "2026-03-01"), "--to 2026-03-01 lies before --date 2026-03-03"),
        ((*DATE, "--user", "=cmd()"), "unknown user =cmd(); in this window there are: "),
        ((*DATE, "--node", "nowhere"), "unknown node nowhere; in this window there are: colab-gpu1"),
        ((*DATE, "--format", "legacy"), "name a directory with --output"),
        ((*DATE, "--format", "text", "--format", "csv"), "name a directory with --output"),
        ((*DATE, "--format", "xml"), "Invalid value for '--format'"),
        ((*DATE, "--timezone", "Mars/Olympus"), "expected a time zone of the tz database"),
        ((*DATE, "--prometheus", "localhost:9090"), "expected a URL such as"),
        ((*DATE, "--user-report", "--skip-task-info"), "leave nothing to report"),
    ],
)  # fmt: skip
async def test_what_cannot_be_asked_exits_2_in_words(desk: Desk, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = await desk.report(*arguments)

    assert (code, out) == (2, "")
    assert words in err


async def test_a_directory_that_cannot_be_written_fails_and_leaves_nothing(desk: Desk) -> None:
    (desk.directory / "file").write_text("in the way")
    code, out, err = await desk.report(*DATE, "--output", str(desk.directory / "file"))

    assert (code, out) == (1, "")
    assert "file: the report cannot be written" in err


async def test_the_api_is_asked_once_for_a_day_that_is_kept(desk: Desk) -> None:
    cache = {"cache": str(desk.directory / "cache")}
    await desk.report(*DATE, report=cache)
    asked = desk.api.count
    _, first, _ = await desk.report(*DATE, report=cache)
    kept = desk.api.count
    _, anew, _ = await desk.report(*DATE, "--no-cache", report=cache)

    assert (asked > 0, kept, desk.api.count > kept) == (True, asked, True)
    assert first == anew
    assert {file.stat().st_mode & 0o777 for file in (desk.directory / "cache").iterdir()} == {0o600}
    assert not [file for file in (desk.directory / "cache").iterdir() if desk.api.token in file.read_text()]


async def test_a_task_kept_as_running_ended_before_the_first_day_that_does_not_show_it(desk: Desk) -> None:
    ends = [RUNNING]

    def tasks(_start: float, _end: float, _now: float) -> list[Task]:
        return [Task("t", "itrd", "LAB", (TaskGpu("52f67b3700dcc6f3"),), DAY + 3600, ends[-1], "colab-gpu1")]

    cache = {"cache": str(desk.directory / "cache")}
    async with StandInApi(tasks) as desk.api:
        await desk.report(*DATE, "--user-report", report=cache)
        ends.append(DAY + 7200)
        _, out, _ = await desk.report(*DATE, "--to", "2026-03-05", "--user-report", "--format", "json", report=cache)
    assert [row["usage"]["owned_gpu_hours"] for row in json.loads(out)["tasks"]] == [23]


async def test_an_entry_of_nobody_kept_as_running_ended_before_the_first_day_that_does_not_show_it(desk: Desk) -> None:
    gpus = (TaskGpu("52f67b3700dcc6f3"),)
    ends = [RUNNING]

    def tasks(_start: float, _end: float, _now: float) -> list[Task]:
        known = Task("t", "itrd", "LAB", gpus, DAY, DAY + 3600, hostname="colab-gpu1")
        return [known, Task("nobody's", "", "LAB", gpus, DAY + 3600, ends[-1], hostname="colab-gpu1")]

    cache = {"cache": str(desk.directory / "cache")}
    async with StandInApi(tasks) as desk.api:
        await desk.report(*DATE, "--user-report", report=cache)
        ends.append(DAY + 7200)
        _, out, _ = await desk.report(*DATE, "--to", "2026-03-05", "--user-report", "--format", "json", report=cache)
    assert json.loads(out)["totals"]["unknown_gpu_hours"] == 23


async def test_warnings_of_the_inventory_are_of_the_nodes_asked_for(desk: Desk) -> None:
    nodes = {"nodes": {"colab-gpu1": 1, "colab-gpu2": 0}}
    warned = [await desk.report(*DATE, "--format", "json", "--node", node, report=nodes) for node in nodes["nodes"]]

    assert ["report.nodes lists 1" in err for _, _, err in warned] == [True, False]
