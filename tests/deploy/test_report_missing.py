"""deploy/report_missing.py, with a stand-in for `exporter report` that notes its days and ends as told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from deploy.report_missing import missing, runs
from exporter import config
from exporter.config import Delivery
from exporter.report.delivery import marks
from exporter.report.delivery.marks import Mark, Marks

SCRIPT = Path(__file__).parents[2] / "deploy/report_missing.py"
TODAY = date(2025, 7, 22)
YESTERDAY = date(2025, 7, 21)


def days_ago(days: int) -> date:
    return TODAY - timedelta(days=days)


ALL_ANSWERED = {"history": "prometheus", "tasks": "api"}


def write_report(
    reports: Path, day: date, sources: object = ALL_ANSWERED, *, hours: int = 24, users: tuple[str, ...] = ()
) -> None:
    folder = reports / day.isoformat()
    folder.mkdir(parents=True)
    end = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("Asia/Taipei")) + timedelta(hours=hours)
    narrowed = {"only_users": users, "only_nodes": []}
    content = {"schema_version": 1, "sources": sources, "end": end.isoformat(), **narrowed}
    (folder / "report.json").write_text(json.dumps(content))


def test_a_report_of_some_users_only_is_made_again_for_all(tmp_path: Path) -> None:
    write_report(tmp_path, YESTERDAY, users=("itrd",))

    assert missing(tmp_path, TODAY, 7, ALL_ANSWERED) == [YESTERDAY]


def test_without_an_api_a_report_from_labels_is_complete(tmp_path: Path) -> None:
    labels = {"history": "prometheus", "tasks": "labels"}
    write_report(tmp_path, YESTERDAY, labels)

    assert missing(tmp_path, TODAY, 7, labels) == []
    assert missing(tmp_path, TODAY, 7, ALL_ANSWERED) == [YESTERDAY]


def test_without_an_api_a_report_from_the_history_is_complete_with_one_it_is_not(tmp_path: Path) -> None:
    write_report(tmp_path, YESTERDAY, {"history": "prometheus", "tasks": "history"})

    assert missing(tmp_path, TODAY, 7, {"history": "prometheus", "tasks": "labels"}) == []
    assert missing(tmp_path, TODAY, 7, ALL_ANSWERED) == [YESTERDAY]


def test_where_no_report_is_only_yesterday_is_missing(tmp_path: Path) -> None:
    assert missing(tmp_path / "reports", TODAY, 7, ALL_ANSWERED) == [YESTERDAY]


def test_days_without_a_folder_after_the_first_report_are_missing_oldest_first(tmp_path: Path) -> None:
    write_report(tmp_path, days_ago(5))
    write_report(tmp_path, days_ago(3))
    assert missing(tmp_path, TODAY, 7, ALL_ANSWERED) == [days_ago(4), days_ago(2), YESTERDAY]


def test_days_longer_ago_are_left_alone(tmp_path: Path) -> None:
    write_report(tmp_path, days_ago(30))
    write_report(tmp_path, days_ago(2))
    assert missing(tmp_path, TODAY, 7, ALL_ANSWERED) == [YESTERDAY]


def test_nothing_is_missing_when_yesterday_is_there(tmp_path: Path) -> None:
    write_report(tmp_path, YESTERDAY)
    assert missing(tmp_path, TODAY, 7, ALL_ANSWERED) == []


@pytest.mark.parametrize(
    "sources",
    [{"history": "none", "tasks": "api"}, {"history": "prometheus", "tasks": "labels"}, None],
)
def test_a_day_reported_without_a_source_is_made_again(tmp_path: Path, sources: object) -> None:
    write_report(tmp_path, days_ago(2), sources)
    write_report(tmp_path, YESTERDAY)
    assert missing(tmp_path, TODAY, 7, ALL_ANSWERED) == [days_ago(2)]


def test_a_day_reported_before_it_was_over_is_made_again(tmp_path: Path) -> None:
    write_report(tmp_path, YESTERDAY, hours=15)
    assert missing(tmp_path, TODAY, 7, ALL_ANSWERED) == [YESTERDAY]


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_a_report_that_cannot_be_read_is_made_again(tmp_path: Path, text: str) -> None:
    write_report(tmp_path, YESTERDAY)
    (tmp_path / YESTERDAY.isoformat() / "report.json").write_text(text)
    assert missing(tmp_path, TODAY, 7, ALL_ANSWERED) == [YESTERDAY]


TARGETS = [{"to": "json://localhost", "when": when} for when in ("daily", "weekly", "monthly")]
DAILY = {"to": "json://localhost"}
MONDAY = date(2025, 8, 4)
"""The first run after week 31, and the third after July."""


def asked_for(tmp_path: Path, today: date, targets: Sequence[object] = (), days: int = 3) -> list[str]:
    """The options of `exporter report` that a run of that day would have."""
    document = {"tasks": {"url": "http://127.0.0.1"}, "report": {"directory": str(tmp_path), "deliver": list(targets)}}
    settings = config.parse(document, where="test")
    return [" ".join(arguments) for arguments in runs(settings, today, days)]


def write_period(reports: Path, name: str, **changes: object) -> None:
    content = {"is_over": True, "only_users": [], "only_nodes": []} | changes
    (reports / name).mkdir()
    (reports / name / "report.json").write_text(json.dumps(content))


def mark(reports: Path, name: str, target: object, state: Mark) -> None:
    """As a run leaves it that delivered, or could not."""
    made = marks.read(reports, name) or Marks(reports, name)
    made.set(made.key(Delivery.model_validate(target)), state)


def days_before(reports: Path, today: date, count: int) -> None:
    for age in range(1, count + 1):
        write_report(reports, today - timedelta(days=age))


def test_the_first_run_after_a_week_and_a_month_makes_and_delivers_them(tmp_path: Path) -> None:
    days_before(tmp_path, MONDAY, 2)
    assert asked_for(tmp_path, MONDAY, days=1) == ["--week 2025-W31"]
    assert asked_for(tmp_path, date(2025, 9, 1), TARGETS, days=1) == [
        "--date 2025-08-31 --deliver",
        "--month 2025-08 --deliver",
    ]


def test_a_week_and_a_month_that_are_made_are_left_alone_until_one_of_their_days_is_made_again(tmp_path: Path) -> None:
    days_before(tmp_path, MONDAY, 5)
    write_period(tmp_path, "2025-W31")
    write_period(tmp_path, "2025-07")
    assert asked_for(tmp_path, MONDAY) == []

    (tmp_path / "2025-08-02/report.json").unlink()
    assert asked_for(tmp_path, MONDAY) == ["--date 2025-08-02", "--week 2025-W31"]


@pytest.mark.parametrize("changes", [{"is_over": False}, {"only_users": ["itrd"]}, {"only_nodes": ["gpu1"]}])
def test_a_week_that_was_made_too_early_or_of_a_part_is_made_again(tmp_path: Path, changes: dict[str, object]) -> None:
    days_before(tmp_path, MONDAY, 1)
    write_period(tmp_path, "2025-W31", **changes)
    assert asked_for(tmp_path, MONDAY) == ["--week 2025-W31"]


def test_weeks_and_months_before_the_first_report_are_not_made(tmp_path: Path) -> None:
    days_before(tmp_path, MONDAY + timedelta(days=2), 1)
    assert asked_for(tmp_path, MONDAY + timedelta(days=2)) == []


def test_what_could_not_be_delivered_is_tried_again_and_what_was_is_not(tmp_path: Path) -> None:
    days_before(tmp_path, MONDAY, 3)
    for name, state in (("2025-08-01", Mark.OPEN), ("2025-08-02", Mark.SETTLED), ("2025-08-03", Mark.TRYING)):
        mark(tmp_path, name, DAILY, state)
    write_period(tmp_path, "2025-W31")

    assert asked_for(tmp_path, MONDAY, [DAILY]) == ["--date 2025-08-01 --deliver"]


def test_whoever_joins_is_sent_yesterday_and_not_the_days_before(tmp_path: Path) -> None:
    days_before(tmp_path, MONDAY, 3)
    write_period(tmp_path, "2025-W31")
    assert asked_for(tmp_path, MONDAY, [DAILY]) == ["--date 2025-08-03 --deliver"]

    mark(tmp_path, "2025-08-03", {"to": "json://another"}, Mark.SETTLED)
    assert asked_for(tmp_path, MONDAY, [DAILY]) == []


def test_a_day_that_is_made_again_is_not_delivered_again(tmp_path: Path) -> None:
    days_before(tmp_path, MONDAY, 3)
    write_period(tmp_path, "2025-W31")
    mark(tmp_path, "2025-08-03", DAILY, Mark.SETTLED)
    (tmp_path / "2025-08-03/report.json").unlink()

    assert asked_for(tmp_path, MONDAY, [DAILY]) == ["--date 2025-08-03", "--week 2025-W31"]


def run(tmp_path: Path, *, timezone: str = "UTC", exit_codes: str = "0") -> tuple[int, list[str]]:
    """The exit code, and the command lines of the reports that were asked for; they end with those codes in turn."""
    config = tmp_path / "config.yaml"
    config.write_text(
        f"report: {{timezone: {timezone}, directory: {tmp_path}/reports}}\ntasks: {{url: 'http://127.0.0.1'}}\n"
    )
    exporter = tmp_path / "exporter"
    exporter.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n'
        f'set -- {exit_codes}; shift $(($(wc -l < {tmp_path}/asked) - 1)); exit "${{1:-0}}"\n'
    )
    exporter.chmod(0o755)
    options = ("--config", config, "--exporter", exporter)
    ended = subprocess.run([sys.executable, SCRIPT, *options], check=False)
    return ended.returncode, (tmp_path / "asked").read_text().splitlines()


@pytest.mark.parametrize("timezone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])  # never the same day
def test_the_day_is_that_of_the_reports_time_zone(tmp_path: Path, timezone: str) -> None:
    code, asked = run(tmp_path, timezone=timezone)
    yesterday = datetime.now(ZoneInfo(timezone)).date() - timedelta(days=1)
    assert code == 0
    assert asked == [
        f"report --config {tmp_path}/config.yaml --output {tmp_path}/reports --date {yesterday.isoformat()}"
    ]


@pytest.mark.parametrize(("exit_codes", "expected"), [("0 0 0", 0), ("0 3 0", 3), ("3 1 0", 1), ("1 0 3", 1)])
def test_one_day_that_fails_does_not_keep_the_others_from_their_report(
    tmp_path: Path, exit_codes: str, expected: int
) -> None:
    write_report(tmp_path / "reports", datetime.now(UTC).date() - timedelta(days=4))
    code, asked = run(tmp_path, exit_codes=exit_codes)
    assert len([arguments for arguments in asked if "--date" in arguments]) == 3
    assert code == expected


def test_a_config_that_is_not_usable_is_named(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("report: {timezone: Mars}\n")
    ended = subprocess.run([sys.executable, SCRIPT, "--config", config], check=False, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "report.timezone" in ended.stderr
