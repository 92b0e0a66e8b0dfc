"""The node's unit under a real systemd, which needs root and namespaces of its own; the machine's stays as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p /run/systemd/system
cp {unit} /run/systemd/system/tried.service
printf '[Unit]\\nDefaultDependencies=no\\nWants=tried.service\\n' >/run/systemd/system/tried.target
exec env container=yes /lib/systemd/systemd --system --unit=tried.target --log-target=console
"""
PATIENCE_SECONDS = 300.0
NAMESPACES = ("--pid", "--mount", "--cgroup", "--ipc", "--uts")
ELSEWHERE = (
    "User=",
    "Group=",
    "SupplementaryGroups=",
    "LoadCredential=",
    "ProtectHome=",
    "PrivateTmp=",
    "WatchdogSec=",
)
"""Of no use here: the user, the token, and where Python and the test's folder are."""


def tried(unit: Path, folder: Path) -> str:
    """The unit, for this environment's program and a config in a folder."""
    lines = unit.read_text().replace("/opt/mi300x-exporter/current/bin/exporter", f"{sys.executable} -m exporter")
    lines = lines.replace("/etc/mi300x-exporter/config.yaml", str(folder / "config.yaml"))
    lines = lines.replace("[Unit]", "[Unit]\nDefaultDependencies=no")
    log = f"append:{folder / 'log'}"
    lines = lines.replace(
        "[Service]",
        f"[Service]\nWorkingDirectory={ROOT}\nEnvironment=PYTHONPATH={ROOT}\nStandardOutput={log}\nStandardError={log}",
    )
    return "\n".join(line for line in lines.splitlines() if not line.startswith((*ELSEWHERE, "Wants=", "After=")))


@contextmanager
def booted(unit: Path, folder: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """A systemd that runs the unit; what is given is its systemctl."""
    (folder / "tried.service").write_text(tried(unit, folder))
    script = BOOT.format(unit=folder / "tried.service")
    command = ("unshare", *NAMESPACES, "--fork", "--mount-proc", "--kill-child", "sh", "-c", script)
    with (folder / "boot").open("w") as said:
        manager = subprocess.Popen(command, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
    children = Path(f"/proc/{manager.pid}/task/{manager.pid}/children")

    def systemctl(*arguments: str) -> subprocess.CompletedProcess[str]:
        target = ("--target", children.read_text().strip())
        inside = ("nsenter", *target, *NAMESPACES, "systemctl", *arguments, "tried.service")
        return subprocess.run(inside, capture_output=True, text=True, check=False)

    try:
        by = time.monotonic() + PATIENCE_SECONDS
        while not children.read_text().strip() or systemctl("is-active").stdout != "active\n":
            if manager.poll() is not None and "mount" in (folder / "boot").read_text():
                pytest.skip("NOT TESTED: no namespaces for a systemd of its own here")
            assert time.monotonic() < by, (folder / "boot").read_text()
            time.sleep(0.2)
        yield systemctl
    finally:
        manager.kill()
        manager.wait()


def told_in(log: Path, words: str) -> None:
    """Returns once the log says so: systemd is done when the signal is sent, not when it is acted on."""
    by = time.monotonic() + PATIENCE_SECONDS
    while words not in log.read_text():
        assert time.monotonic() < by, log.read_text()
        time.sleep(0.05)


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("unshare"), reason="NOT TESTED: needs root")
@pytest.mark.skipif(not Path("/lib/systemd/systemd").exists(), reason="NOT TESTED: needs systemd")
def test_a_reload_fails_on_a_config_that_is_not_usable_and_the_service_goes_on(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    right = "devices: {source: simulated}\nlisten: {host: 127.0.0.1, port: 0}\n"
    config.write_text(right)
    with booted(ROOT / "deploy/systemd/mi300x-exporter.service", tmp_path) as systemctl:
        assert systemctl("reload").returncode == 0
        told_in(tmp_path / "log", "config read again")
        config.write_text(right + "tasks: {refresh: soon}\n")
        refused = systemctl("reload")
        log = (tmp_path / "log").read_text()
        config.write_text(right)
        again = systemctl("reload")
        active = systemctl("is-active").stdout
    assert refused.returncode == 1
    assert f"{config}: tasks.refresh: expected a duration such as 30s" in log
    assert "the config stays as it was" not in log, "the service itself was not even asked"
    assert (again.returncode, active) == (0, "active\n")
