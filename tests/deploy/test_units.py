"""The systemd units and shell scripts under deploy/, judged by the tools that load them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
SYSTEMD = DEPLOY / "systemd"
UNITS = sorted(SYSTEMD.glob("*.service")) + sorted(SYSTEMD.glob("*.timer"))
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
HIGHEST_EXPOSURE = 2.0
INSTALLED = "/opt/mi300x-exporter/current/"


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_systemd_has_nothing_to_say_of_the_units(tmp_path: Path) -> None:
    """With this environment's programs, as verify looks whether they are there."""
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace(INSTALLED, f"{sys.prefix}/"))
    verified = run("systemd-analyze", "verify", "--man=no", *(tmp_path / unit.name for unit in UNITS))
    assert verified.stdout + verified.stderr == ""
    assert verified.returncode == 0


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_a_service_is_exposed_little(service: Path) -> None:
    judged = run("systemd-analyze", "security", "--offline=true", "--no-pager", service).stdout
    overall = re.search(r"Overall exposure level for \S+: ([0-9.]+)", judged)
    assert overall is not None, judged
    assert float(overall[1]) <= HIGHEST_EXPOSURE


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_what_a_service_leaves_open_is_explained(service: Path) -> None:
    judged = run("systemd-analyze", "security", "--offline=true", "--no-pager", service).stdout
    left_open = re.findall(r"^✗ ([A-Za-z]+)=(?:~(AF_\w+|AF_\(INET\|INET6\)))?", judged, re.MULTILINE)
    assert left_open
    explained = service.read_text().split("# Left open, and why:")[1]
    for setting, family in left_open:
        assert (family.replace("(INET|INET6)", "INET") or setting) in explained


def test_only_the_drivers_devices_are_allowed() -> None:
    lines = (SYSTEMD / "mi300x-exporter.service").read_text().splitlines()
    assert [line for line in lines if line.startswith("DeviceAllow=")] == [
        "DeviceAllow=/dev/kfd rw",
        "DeviceAllow=char-drm rw",
    ]


def test_user_and_folders_can_be_made(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    made = run("systemd-sysusers", "--root", tmp_path, SYSTEMD / "mi300x-exporter.sysusers.conf")
    assert made.returncode == 0, made.stderr
    groups = (etc / "group").read_text()
    assert re.search(r"^render:.*:mi300x-exporter$", groups, re.MULTILINE)
    assert re.search(r"^video:.*:mi300x-exporter$", groups, re.MULTILINE)
    made = run("systemd-tmpfiles", "--root", tmp_path, "--create", SYSTEMD / "mi300x-exporter.tmpfiles.conf")
    # Only root may give files away.
    assert [line for line in made.stderr.splitlines() if not line.startswith("fchownat()")] == []
    token = etc / "mi300x-exporter/tasks-token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent.stat().st_mode & 0o777 == 0o750


def shell_scripts() -> list[Path]:
    files = [path for folder in (DEPLOY, Path(__file__).parent) for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in files if path.read_bytes().startswith((b"#!/bin/sh\n", b"#!/bin/bash\n")))


@pytest.mark.parametrize("script", shell_scripts(), ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say_of_the_scripts(script: Path) -> None:
    assert run("shellcheck", script).stdout == ""


def test_hadolint_has_nothing_to_say_of_the_dockerfile() -> None:
    linted = run(Path(sys.prefix, "bin/hadolint"), DEPLOY.parent / "Dockerfile")
    assert linted.stdout + linted.stderr == ""
    assert linted.returncode == 0
