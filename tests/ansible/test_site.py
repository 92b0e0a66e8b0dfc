"""The roles on a bare Debian: one story, told in order, as each step needs what the last one left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ansible.machine import Machine
from tests.ansible.site import DEPLOY, HOST, Site

pytestmark = pytest.mark.ansible

_REPOSITORY = DEPLOY.parents[1]
_TOKEN = "token-that-nobody-may-see"
_MAIL_PASSWORD = "password-of-the-mail-account"
_PATIENCE_SECONDS = 180.0


@pytest.fixture(scope="module")
def site(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(machine, tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def variables(machine: Machine) -> dict[str, Any]:
    ports = machine.ports
    config = {
        "hostname": HOST,
        "listen": {"host": "127.0.0.1", "port": ports["node"]},
        "portal": {"port": ports["portal"]},
        "devices": {"source": "simulated"},
        "prometheus": {"url": f"http://127.0.0.1:{ports['prometheus']}"},
        "report": {
            "timezone": "Asia/Taipei",
            "nodes": "{{ dict(groups.mi300x_node | product([8])) }}",
            "deliver": [{"to": f"mailtos://user:{_MAIL_PASSWORD}@127.0.0.1:1?to=lab@example.org"}],
        },
    }
    return {
        "mi300x_exporter_config": config,
        "mi300x_exporter_tasks_token": _TOKEN,
        "mi300x_prometheus_labels": {"rack": "r1"},
        "mi300x_prometheus_runbook": "https://wiki.example.org/gpu",
    }


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def asked(machine: Machine, query: str) -> list[dict[str, Any]]:
    """What Prometheus answers."""
    url = f"http://127.0.0.1:{machine.ports['prometheus']}/api/v1/query?query={query}"
    answer = machine.says(f"python3 -c 'import urllib.request as u; print(u.urlopen(\"{url}\").read().decode())'")
    result: list[dict[str, Any]] = json.loads(answer)["data"]["result"]
    return result


def started(machine: Machine) -> str:
    """What changes whenever the exporter is started."""
    return machine.says("systemctl show --property=InvocationID mi300x-exporter")


def test_ansible_lint_has_nothing_to_say(tmp_path: Path) -> None:
    command = (Path(sys.prefix, "bin/ansible-lint"), "--offline", "--profile", "production", "--nocolor", ".")
    environment = os.environ | {"ANSIBLE_HOME": str(tmp_path)}
    linted = subprocess.run(command, cwd=DEPLOY, env=environment, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_a_check_of_a_bare_machine_tells_changes_and_makes_none(site: Site, variables: dict[str, Any]) -> None:
    checked = site.play("--check", "--diff", **variables)
    assert checked.code == 0, checked.output
    assert checked.recap["changed"] > 0
    assert not site.machine.says("find /opt /etc /usr/local/src -name '*mi300x*'")


def test_a_run_makes_a_machine_all_that_its_groups_say(site: Site, variables: dict[str, Any]) -> None:
    machine = site.machine
    # Of a site that has Prometheus: prometheus.yml is its own, and names what the role writes.
    example = (_REPOSITORY / "deploy/prometheus/prometheus.yml").read_text().replace("15s", "1s")
    machine.says(f"cat > /etc/prometheus/prometheus.yml <<'END'\n{example}\nEND\n")
    machine.says("touch /etc/prometheus/recording.rules.yml /etc/prometheus/alerts.rules.yml")
    machine.says("systemctl restart prometheus")
    played = site.play("-vvv", "--diff", **variables)
    assert played.code == 0, played.output
    assert played.recap["failed"] == 0
    assert (
        machine.says("systemctl is-active mi300x-exporter mi300x-portal mi300x-report.timer").split() == ["active"] * 3
    )
    assert (
        machine.says("systemctl is-enabled mi300x-exporter mi300x-portal mi300x-report.timer").split()
        == ["enabled"] * 3
    )
    until(lambda: len(asked(machine, "amdgpu_up")) == 8)
    [up] = asked(machine, "up{job=%22mi300x%22,rack=%22r1%22}")
    assert up["value"][1] == "1"
    rules = machine.says("promtool check config /etc/prometheus/prometheus.yml && cat /etc/prometheus/alerts.rules.yml")
    assert "https://wiki.example.org/gpu" in rules
    for secret in (_TOKEN, _MAIL_PASSWORD):
        assert secret not in played.output
        assert secret not in machine.says("journalctl --no-pager")


def test_secrets_reach_nobody_but_whom_they_are_for(machine: Machine) -> None:
    assert machine.says("stat --format '%U %G %a' /etc/mi300x-exporter/tasks-token").split() == ["root", "root", "600"]
    assert machine.says("cat /etc/mi300x-exporter/tasks-token") == f"{_TOKEN}\n"
    owner = machine.says("stat --format '%U %G %a' /etc/mi300x-exporter/config.yaml").split()
    assert owner == ["root", "mi300x-exporter", "640"]
    config = yaml.safe_load(machine.says("cat /etc/mi300x-exporter/config.yaml"))
    assert config["report"]["nodes"] == {HOST: 8}


@pytest.mark.parametrize("options", [(), ("--check",)], ids=["again", "checked"])
def test_a_second_run_changes_nothing(site: Site, variables: dict[str, Any], options: tuple[str, ...]) -> None:
    before = started(site.machine)
    again = site.play(*options, **variables)
    assert again.code == 0, again.output
    assert again.recap["changed"] == 0, again.output
    assert started(site.machine) == before


def test_another_config_is_told_by_a_check_and_taken_over_by_a_run(site: Site, variables: dict[str, Any]) -> None:
    config = variables["mi300x_exporter_config"]
    more = variables | {
        "mi300x_exporter_config": config | {"devices": {"source": "simulated", "simulated": {"gpus": 4}}}
    }
    before = started(site.machine)
    assert site.play("--check", **more).recap["changed"] == 1
    assert started(site.machine) == before
    assert site.play(**more).recap["changed"] == 1
    assert started(site.machine) != before
    until(lambda: len(asked(site.machine, "amdgpu_up")) == 4)


def test_a_config_that_is_not_usable_changes_nothing_and_is_told_without_its_secrets(
    site: Site, variables: dict[str, Any], tmp_path: Path
) -> None:
    newer = another_version(tmp_path)
    state = "readlink /opt/mi300x-exporter/current; sha256sum /etc/mi300x-exporter/config.yaml"
    before = started(site.machine), site.machine.says(state)
    config = variables["mi300x_exporter_config"] | {"devices": {"source": "magic"}}
    refused = site.play("-vvv", source=newer, **(variables | {"mi300x_exporter_config": config}))
    assert refused.code != 0
    assert "devices.source: expected 'auto', 'amdsmi', 'sysfs' or 'simulated', found" in refused.output
    assert _MAIL_PASSWORD not in refused.output
    assert (started(site.machine), site.machine.says(state)) == before


def test_another_version_replaces_the_one_before(site: Site, variables: dict[str, Any], tmp_path: Path) -> None:
    newer = another_version(tmp_path)
    before = started(site.machine)
    upgraded = site.play(source=newer, **variables)
    assert upgraded.code == 0, upgraded.output
    assert started(site.machine) != before
    versions = site.machine.says("find /opt/mi300x-exporter -mindepth 1 -maxdepth 1 -type d").split()
    assert versions == site.machine.says("readlink /opt/mi300x-exporter/current").split()
    program = site.machine.says("/opt/mi300x-exporter/current/bin/exporter --version")
    assert program == "exporter, version 99.0\n"
    assert site.machine.run("ls /usr/local/src/mi300x-exporter/deploy/nginx").returncode != 0


def test_another_token_restarts_the_exporter_and_is_all_that_changes(
    site: Site, variables: dict[str, Any], tmp_path: Path
) -> None:
    newer = another_version(tmp_path)
    before = started(site.machine)
    assert site.play(source=newer, **(variables | {"mi300x_exporter_tasks_token": "another"})).recap["changed"] == 2
    assert started(site.machine) != before
    assert site.machine.says("cat /etc/mi300x-exporter/tasks-token") == "another\n"


def another_version(folder: Path) -> Path:
    """A tree of the source that differs from this one, and lacks a folder of it."""
    for name in ("exporter", "deploy"):
        shutil.copytree(_REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "nginx"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "config.example.yaml"):
        shutil.copy(_REPOSITORY / name, folder)
    (folder / "exporter/__init__.py").write_text('"""Another."""\n\n__version__ = "99.0"\n')
    return folder
