"""deploy/report_missing.py, with a stand-in for `exporter report` that notes its days and ends as told."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from deploy.report_missing import missing

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


def run(tmp_path: Path, *, timezone: str = "UTC", exit_codes: str = "0") -> tuple[int, list[str]]:
    """The exit code, and the command lines of the reports that were asked for; they end with those codes in turn."""
    config = tmp_path / "config.yaml"
    config.write_text(
        f"report: {{timezone: {timezone}, directory: {tmp_path}/reports}}\ntasks: {{url: 'http://127.0.0.1'}}\n"
    )
    exporter = tmp_path / "exporter"
    exporter.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n'
        f'set -- {exit_codes}; shift $(($(wc -l < {tmp_path}/asked) - 1)); exit "$1"\n'
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
    assert len(asked) == 3
    assert code == expected


def test_a_config_that_is_not_usable_is_named(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("report: {timezone: Mars}\n")
    ended = subprocess.run([sys.executable, SCRIPT, "--config", config], check=False, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "report.timezone" in ended.stderr
