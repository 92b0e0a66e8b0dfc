from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.contract import labels_in, metrics_in, served

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
TESTS = sorted((PROMETHEUS / "tests").glob("*.test.yml"))
RECORDED_SERIES = {"gpu_username:amdgpu_owner_idle:ratio20m"}  # that alerts build on
SCRAPED = {"up", "instance", "job"}  # what Prometheus itself adds
RECORDED = {"hostname", "gpu", "gpu_uuid", "username"}  # the labels of recorded series that other rules build on


def rules_of(name: str) -> list[dict[str, Any]]:
    document = yaml.safe_load((PROMETHEUS / name).read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


ALERTS = rules_of("alerts.rules.yml")
RECORDS = rules_of("recording.rules.yml")

PUBLISHED = "https://docs.example.org/mi300x-exporter/"
NAMES = list(dict.fromkeys(alert["alert"] for alert in ALERTS))
CASES = [case for path in TESTS for case in yaml.safe_load(path.read_text())["tests"]]
CHECKS = [check for case in CASES for check in case.get("alert_rule_test", [])]


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_the_example_config_and_both_rule_files() -> None:
    promtool("check", "config", "--lint=all", "--lint-fatal", PROMETHEUS / "prometheus.yml")
    promtool(
        "check",
        "rules",
        "--lint=all",
        "--lint-fatal",
        PROMETHEUS / "alerts.rules.yml",
        PROMETHEUS / "recording.rules.yml",
    )


def test_no_target_label_hides_a_label_of_the_exporter() -> None:
    own = frozenset[str]().union(*served().values())
    for path in (PROMETHEUS / "targets").glob("*.yml"):
        for group in yaml.safe_load(path.read_text()):
            assert not own & set(group.get("labels", {})), path


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_rules_do_what_their_cases_say(path: Path) -> None:
    promtool("test", "rules", path)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_a_replica_of_every_series_changes_nothing(path: Path, tmp_path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    document["rule_files"] = [str((path.parent / name).resolve()) for name in document["rule_files"]]
    for case in document["tests"]:
        case["input_series"] += [
            {**series, "series": series["series"].replace("{", '{replica="second",', 1)}
            for series in case["input_series"]
            if "replica=" not in series["series"]
        ]
    doubled = tmp_path / path.name
    doubled.write_text(yaml.safe_dump(document))
    promtool("test", "rules", doubled)


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_must_not() -> None:
    rules = {(alert["alert"], *alert["labels"].values()) for alert in ALERTS}
    assert {
        (
            check["alertname"],
            *(fired["exp_labels"][label] for label in ("severity", "idle") if label in fired["exp_labels"]),
        )
        for check in CHECKS
        for fired in check["exp_alerts"]
    } == rules
    assert {check["alertname"] for check in CHECKS if not check["exp_alerts"]} == set(NAMES)


def test_every_recorded_series_has_a_case() -> None:
    asked = {check["expr"] for case in CASES for check in case.get("promql_expr_test", [])}
    untested = {rule["record"] for rule in RECORDS if not any(rule["record"] in expression for expression in asked)}
    assert not untested


@pytest.mark.parametrize("rule", ALERTS + RECORDS, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_only_for_what_the_exporter_serves(rule: dict[str, Any]) -> None:
    series = served()
    metrics, labels = metrics_in(rule["expr"]), labels_in(rule["expr"])
    assert metrics <= set(series) | SCRAPED | RECORDED_SERIES
    assert (
        labels <= frozenset[str]().union(*(series.get(metric, frozenset()) for metric in metrics)) | RECORDED | SCRAPED
    )


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_how_bad_it_is_what_it_means_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert {"summary", "description"} <= set(alert["annotations"])
    assert alert["annotations"]["runbook_url"] == f"{PUBLISHED}runbook.md#{alert['alert'].lower()}"


def test_the_summary_of_an_alert_names_host_gpu_user_and_reason() -> None:
    for check in CHECKS:
        for fired in check["exp_alerts"]:
            for label in {"hostname", "instance", "gpu", "username", "reason"} & set(fired["exp_labels"]):
                assert fired["exp_labels"][label] in fired["exp_annotations"]["summary"], check


def test_the_runbook_has_one_complete_section_for_each_alert() -> None:
    text = (ROOT / "docs/runbook.md").read_text()
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
    assert list(sections) == NAMES
    for name, section in sections.items():
        assert re.findall(r"^\*\*(.+?)\.\*\*", section, re.MULTILINE) == ["Meaning", "Impact", "What to do"], name


def test_the_runbook_links_only_to_its_own_sections() -> None:
    text = (ROOT / "docs/runbook.md").read_text()
    anchors = {name.lower() for name in NAMES}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors
