"""`exporter report --week` and `--month` over a real Prometheus: stored days, and what becomes of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from exporter.demo.api import Fault
from exporter.demo.cluster import Cluster
from exporter.demo.history import history
from exporter.report import command, days, period_command
from tests.support import engines
from tests.support.desk import Desk, desk_of
from tests.support.scenario import ASKED_FOR

MONDAY = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
NOW = MONDAY + 2 * 86400 + 3 * 3600
"""Wednesday at three: two days of week 10 are over."""
CLUSTER = Cluster(1, 2)
WEEK = ("--week", "2026-W10", "--format", "json")
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _wednesday(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (command, period_command):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: NOW))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    columns = history(CLUSTER, "colab-gpu1", MONDAY - 1800, NOW - 3600, scrape_seconds=60, only=ASKED_FOR)
    async with engines.prometheus(tmp_path_factory.mktemp("prometheus"), columns) as url:
        yield url


@pytest_asyncio.fixture
async def desk(server: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_of(CLUSTER, server, tmp_path) as desk:
        yield desk


async def report(desk: Desk, *arguments: str, **changes: dict[str, Any]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a report that stores its days."""
    stores = {"directory": str(desk.reports)} | changes.pop("report", {})
    return await desk.report(*arguments, report=stores, **changes)


def stored_days(desk: Desk) -> dict[str, bytes]:
    """The stored days."""
    return {file.parent.name: file.read_bytes() for file in sorted(desk.reports.glob(f"*/{days.FILE}"))}


async def test_the_sums_of_days_are_those_of_the_range(desk: Desk) -> None:
    code, out, err = await report(desk, *WEEK)
    _, ranged, _ = await report(desk, "--date", "2026-03-02", "--to", "2026-03-03", "--format", "json")
    week, whole = json.loads(out), json.loads(ranged)

    assert (code, err) == (0, "")
    assert (week["date"], week["to"], week["is_over"]) == ("2026-03-02", "2026-03-03", False)
    assert week["totals"]["capacity_gpu_hours"] == 96
    for name, value in week["totals"].items():
        if value is not None:
            assert value == pytest.approx(whole["totals"][name], rel=1e-9, abs=1e-9), name
    mine = {row["username"]: row for row in week["users"]}
    for row in whole["users"]:
        found = mine.pop(row["username"])
        assert found["task_count"] == row["task_count"]
        for name in ("owned_gpu_hours", "idle_gpu_hours", "owned_busy_gpu_hours", "energy_kwh"):
            assert found["usage"][name] == pytest.approx(row["usage"][name], rel=1e-9, abs=1e-9), name
    assert mine == {}


async def test_days_that_are_stored_are_not_asked_for_again(desk: Desk) -> None:
    _, once, _ = await report(desk, *WEEK)
    code, again, err = await report(desk, *WEEK, prometheus={"url": NOWHERE}, tasks={"url": NOWHERE})

    assert (code, err, again) == (0, "", once)
    assert set(stored_days(desk)) == {"2026-03-02", "2026-03-03"}


async def test_what_a_stored_day_cost_is_told_by_the_prices_of_today(desk: Desk) -> None:
    _, free, _ = await report(desk, *WEEK)
    stored = stored_days(desk)
    prices = [{"user": "itrd", "per_gpu_hour": 3.0}, {"per_gpu_hour": 0.1}]
    _, priced, _ = await report(desk, *WEEK, report={"prices": prices, "currency": "USD"}, prometheus={"url": NOWHERE})
    totals = json.loads(priced)["totals"]
    by_user = {row["username"]: row["usage"]["owned_gpu_hours"] for row in json.loads(free)["users"]}

    assert json.loads(free)["totals"]["cost"] is None
    assert totals["cost"] == pytest.approx(
        sum(hours * (3.0 if user == "itrd" else 0.1) for user, hours in by_user.items()), abs=1e-6
    )
    assert stored_days(desk) == stored


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        (lambda content: content[:200], "truncated or damaged"),
        (lambda _: b"", "truncated or damaged"),
        (lambda _: b"no gzip", "truncated or damaged"),
    ],
)
async def test_a_spoiled_day_is_named_once_and_made_again(desk: Desk, spoiled: Any, said: str) -> None:
    await report(desk, *WEEK)
    stored = stored_days(desk)
    file = desk.reports / "2026-03-03" / days.FILE
    file.write_bytes(spoiled(stored["2026-03-03"]))
    code, _, err = await report(desk, *WEEK)

    assert code == 0
    assert err.count(said) == err.count(str(file)) == len(err.splitlines()) == 1
    assert stored_days(desk) == stored


async def test_a_day_made_without_a_source_is_made_again_and_never_replaces_a_better_one(desk: Desk) -> None:
    desk.api.fault = Fault(status=500)
    code, _, err = await report(desk, *WEEK)
    poor = stored_days(desk)
    assert code == 3
    assert "2026-03-02 – 2026-03-03: made while a source did not answer, or not in full" in err

    desk.api.fault = Fault()
    assert (await report(desk, *WEEK))[0] == 0
    good = stored_days(desk)
    assert poor.keys() == good.keys()
    assert all(poor[day] != good[day] for day in good)

    desk.api.fault = Fault(status=500)
    code, _, _ = await report(desk, *WEEK, "--no-cache")
    assert (code, stored_days(desk)) == (0, good)


async def test_without_a_history_owned_hours_alone_are_told(desk: Desk) -> None:
    code, out, err = await report(desk, *WEEK, prometheus={"url": NOWHERE})
    totals = json.loads(out)["totals"]

    assert code == 3
    assert totals["owned_gpu_hours"] > 0
    assert totals["busy_gpu_hours"] is None
    assert "made while a source did not answer" in err


async def test_without_any_source_there_is_no_report(desk: Desk) -> None:
    code, out, err = await report(desk, *WEEK, prometheus={"url": NOWHERE}, tasks={"url": NOWHERE})

    assert (code, out) == (1, "")
    assert NOWHERE in err
    assert stored_days(desk) == {}


async def test_who_cannot_store_days_still_gets_the_report_and_is_told_once(desk: Desk) -> None:
    desk.reports.write_text("not a folder")
    code, out, err = await report(desk, *WEEK)

    assert code == 0
    assert json.loads(out)["totals"]["capacity_gpu_hours"] == 96
    assert err.count("are not stored") == len(err.splitlines()) == 1


async def test_days_that_cannot_be_had_are_named_and_the_others_reported(desk: Desk) -> None:
    code, out, err = await report(desk, "--month", "2026-02", "--format", "json")
    assert (code, out) == (1, "")

    code, out, err = await report(desk, "--week", "2026-W09", "--format", "json")
    assert code == 3
    assert [row["usage"] is None for row in json.loads(out)["days"]] == [True] * 6 + [False]
    assert err.count("could not be had") == 1
    assert "2026-02-23 – 2026-02-28 could not be had" in err


async def test_a_report_is_written_with_the_calendar(desk: Desk) -> None:
    code, out, _ = await report(desk, "--week", "2026-W10", "--output", str(desk.reports))

    assert (code, out.split()) == (0, [str(desk.reports / "2026-W10")])
    assert {path.name for path in (desk.reports / "2026-W10").iterdir()} == {
        "report.html",
        "report.json",
        "report.xlsx",
        "summary.txt",
    }
    assert 'href="2026-W10/report.html"' in (desk.reports / "index.html").read_text(encoding="utf-8")


async def test_a_whole_day_that_is_written_is_stored_and_a_part_is_not(desk: Desk) -> None:
    written = ("--output", str(desk.reports), "--format", "json")
    await report(desk, "--date", "2026-03-02", *written)
    for part in (("--user", "itrd"), ("--node", "colab-gpu1"), ("--skip-task-info",), ("--to", "2026-03-04")):
        await report(desk, "--date", "2026-03-03", *part, *written)
    stored = stored_days(desk)
    await report(desk, *WEEK)

    assert set(stored) == {"2026-03-02"}
    assert stored_days(desk)["2026-03-02"] == stored["2026-03-02"], "it is the same, whoever makes it"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--week", "2026-W10", "--month", "2026-03"), "--week and --month: only one of them"),
        (("--week", "2026-W10", "--date", "2026-03-02"), "--week and --date or --to: only one of them"),
        (("--month", "2026-03", "--skip-task-info"), "--month is made of whole days"),
        (("--month", "2026-03", "--format", "csv"), "--month has no csv: choose of text, json, html, markdown, xlsx"),
        (("--month", "2026-03", "--format", "xlsx"), "are files: name a directory with --output"),
        (("--month", "2026-04"), "no day of 2026-04 is over yet: yesterday was 2026-03-03 in UTC"),
        (("--month", "March"), "--month: expected a month such as 2026-11, found 'March'"),
        (("--week", "2026-W10", "--user", "nobody"), "unknown user nobody; in this window there are: "),
        (("--date", "2026-03-03", "--format", "xlsx"), "name a directory with --output"),
    ],
)
async def test_what_does_not_go_together_is_refused(desk: Desk, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = await report(desk, *arguments)

    assert (code, out) == (2, "")
    assert said in err


async def test_a_budget_and_prices_that_match_nothing_are_told_once_each(desk: Desk) -> None:
    money = {
        "prices": [{"user": "who*", "per_gpu_hour": 1}, {"user": "itrd", "per_gpu_hour": 2}],
        "budgets": {"nobody": {"gpu_hours": 1}, "itrd": {"cost": 1}},
    }
    code, out, err = await report(desk, "--month", "2026-03", "--format", "json", report=money)

    assert code == 3, "the history of the first day is short"
    assert err.count("report.prices: nothing was charged by rule 1\n") == 1
    assert err.count("report.budgets: nobody is no project and no user of this month") == 1
    assert err.count("have no price: no rule of report.prices fits them") == 1
    assert [row["name"] for row in json.loads(out)["budgets"]] == ["itrd"]
