"""deploy/install.sh, without letting it change this machine; docs/operations.md tells how it is tried in full."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def install(*arguments: str, path: str | None = None, tree: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({} if path is None else {"PATH": path})
    command = ["/bin/sh", str(tree / "deploy/install.sh"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_dry_run_shows_every_step_and_changes_nothing() -> None:
    planned = install("--dry-run", "node", "report", "portal")
    assert planned.returncode == 0, planned.stderr
    for step in (
        "-m venv /opt/mi300x-exporter/",
        f"pip install --quiet --disable-pip-version-check {ROOT}[report]",
        "systemd-sysusers /etc/sysusers.d/mi300x-exporter.conf",
        "install -m 0640 -g mi300x-exporter",
        "systemctl enable --quiet mi300x-exporter.service",
        "systemctl enable --quiet mi300x-report.timer",
        "systemctl enable --quiet mi300x-portal.service",
        "exporter check --config /etc/mi300x-exporter/config.yaml",
    ):
        assert step in planned.stdout
    assert not Path("/opt/mi300x-exporter").exists()
    assert not Path("/etc/systemd/system/mi300x-exporter.service").exists()


def test_a_node_gets_no_report() -> None:
    planned = install("--dry-run").stdout
    assert "mi300x-exporter.service" in planned
    assert "mi300x-report" not in planned
    assert "mi300x-portal" not in planned
    assert "[report]" not in planned


def test_a_portal_alone_gets_what_it_needs_and_no_service_of_a_node() -> None:
    planned = install("--dry-run", "portal").stdout
    assert f"{ROOT}[report]" in planned
    assert "systemctl enable --quiet mi300x-portal.service" in planned
    assert "mi300x-exporter.service" not in planned
    assert "mi300x-report" not in planned


def test_installing_does_not_depend_on_which_bindings_the_node_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "share/amd_smi/amdsmi").mkdir(parents=True)  # as ROCm lays them since 7.14: nothing that pip takes
    without = install("--dry-run").stdout
    monkeypatch.setenv("ROCM_PATH", str(tmp_path))
    assert install("--dry-run").stdout == without
    assert "amd_smi" not in without


def test_the_environment_is_another_when_anything_in_it_is(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for part in ("deploy", "exporter"):
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)

    def environment(tree: Path = tree) -> str:
        planned = install("--dry-run", tree=tree)
        return next(line for line in planned.stdout.splitlines() if "-m venv" in line)

    first = environment()
    assert environment(shutil.copytree(tree, tmp_path / "elsewhere")) == first
    (tree / "exporter/__init__.py").write_text("changed\n")
    assert environment() != first


def test_a_config_that_is_given_replaces_what_is_there(tmp_path: Path) -> None:
    (config := tmp_path / "config.yaml").write_text("listen: {port: 9000}\n")
    planned = install("--dry-run", "--config", str(config)).stdout
    assert "install -m 0640 -g mi300x-exporter" in planned
    assert "config.example.yaml" not in planned


def test_a_config_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    refused = install("--dry-run", "--config", str(tmp_path / "config.yaml"))
    assert refused.returncode == 1
    assert "config.yaml cannot be read" in refused.stderr
    assert "+ " not in refused.stdout


def test_uninstall_where_nothing_is_has_nothing_to_do() -> None:
    planned = install("--dry-run", "--uninstall")
    assert planned.returncode == 0, planned.stderr
    assert "+ " not in planned.stdout


@pytest.mark.parametrize(
    "arguments", [("--purge",), ("--unknown",), ("cluster",), ("--config",), ("--uninstall", "--config", "config.yaml")]
)
def test_a_wrong_command_line_is_refused(arguments: tuple[str, ...]) -> None:
    refused = install(*arguments)
    assert refused.returncode == 2
    assert "Usage:" in refused.stderr


def only(tmp_path: Path, *programs: str) -> str:
    """A PATH with these programs of the system, and no other."""
    for program in programs:
        found = shutil.which(program)
        assert found is not None
        (tmp_path / program).symlink_to(found)
    return str(tmp_path)


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


TOOLS = ("dirname", "id", "systemctl", "systemd-sysusers", "systemd-tmpfiles", "runuser", "df", "awk")


def test_without_systemd_it_says_so(tmp_path: Path) -> None:
    refused = install("--dry-run", path=only(tmp_path, "dirname", "id"))
    assert refused.returncode == 1
    assert "this needs a machine with systemd" in refused.stderr


def test_an_old_python_is_refused(tmp_path: Path) -> None:
    path = only(tmp_path, *TOOLS)
    script(tmp_path / "python3", "exit 1")
    refused = install("--dry-run", path=path)
    assert refused.returncode == 1
    assert "no Python 3.11 or newer: apt-get install" in refused.stderr


def test_a_python_without_venv_is_refused(tmp_path: Path) -> None:
    path = only(tmp_path, *TOOLS)
    script(tmp_path / "python3", "case $2 in *venv*) exit 1 ;; esac")
    refused = install("--dry-run", path=path)
    assert refused.returncode == 1
    assert "python3 cannot make virtual environments: apt-get install python3-venv" in refused.stderr


def test_a_full_disk_is_told_before_anything_is_changed(tmp_path: Path) -> None:
    script(
        tmp_path / "df", 'printf "Filesystem 1024-blocks Used Available Capacity Mounted\\n/dev/x 1 1 1000 99%% /\\n"'
    )
    refused = install("--dry-run", path=f"{tmp_path}:{os.environ['PATH']}")
    assert refused.returncode == 1
    assert "has 1 MB free" in refused.stderr
    assert "+ " not in refused.stdout


def test_only_root_installs(tmp_path: Path) -> None:
    script(tmp_path / "id", "echo 1000")
    refused = install(path=f"{tmp_path}:{os.environ['PATH']}")
    assert refused.returncode == 1
    assert "needs root" in refused.stderr
