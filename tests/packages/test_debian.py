"""The Debian packages in a bare Debian. Its tests are one story: each goes on where the one before ended."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter import __version__
from tests.packages.bare_debian import BareDebian, booted
from tests.packages.conftest import ROOT, Distribution
from tests.support.debian import UnavailableError, run

pytestmark = pytest.mark.packages

ETC = "/etc/mi300x-exporter"
APT = ("apt-get", "--yes", "--quiet=2", "--option", "Dpkg::Use-Pty=0")
INSTALL = (
    *(*APT, "install", "--no-install-recommends"),
    # As unattended upgrades do: nobody is asked, and what was edited stays.
    *("--option", "Dpkg::Options::=--force-confdef", "--option", "Dpkg::Options::=--force-confold"),
)
METRICS = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9942/metrics').read().decode())"
SERVES = f'python3 -c "{METRICS}"'
READS_A_GPU = f"{SERVES} | grep '^amdgpu_up{{.* 1.0$'"
NEXT_VERSION = "99.0.0"


@pytest.fixture(scope="module")
def packages(released: Distribution, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages in `old`, and in `new` as if of a version whose example config differs."""
    folder = tmp_path_factory.mktemp("packages")
    for package in released.debs:
        (old := folder / "old").mkdir(exist_ok=True)
        shutil.copy(package, old / f"{package.name.partition('_')[0]}.deb")
        _of_next_version(package, folder)
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    return folder


def _of_next_version(package: Path, folder: Path) -> None:
    tree = folder / "tree"
    run("dpkg-deb", "--raw-extract", str(package), str(tree))
    (control := tree / "DEBIAN/control").write_text(control.read_text().replace(__version__, NEXT_VERSION))
    for module in tree.glob("usr/lib/mi300x-exporter/lib/python3*/site-packages/exporter/__init__.py"):
        module.write_text(module.read_text().replace(__version__, NEXT_VERSION))
    for config in tree.glob("etc/mi300x-exporter/config.yaml"):
        config.write_text(f"# Of another version.\n{config.read_text()}")
    (new := folder / "new").mkdir(exist_ok=True)
    name = f"{package.name.partition('_')[0]}.deb"
    run("dpkg-deb", "--build", "--root-owner-group", "-Znone", str(tree), str(new / name))
    shutil.rmtree(tree)


@pytest.fixture(scope="module", autouse=True)
def linting(released: Distribution) -> Iterator[subprocess.Popen[str]]:
    """Lintian, which takes its time beside the other tests."""
    command = ["lintian", "--allow-root", "--no-cfg", "--tag-display-limit", "0", *map(str, released.debs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        yield process


@pytest.fixture(scope="module")
def machine(packages: Path) -> Iterator[BareDebian]:
    try:
        with booted(packages) as machine:
            yield machine
    except UnavailableError as error:
        pytest.skip(f"NOT TESTED: no bare Debian to install packages in: {error}")


def test_where_install_sh_has_been_the_package_refuses_and_says_what_first(machine: BareDebian) -> None:
    machine.run("mkdir", "--parents", "/opt/mi300x-exporter/current")
    code, said = machine.tried(*INSTALL, "/mnt/old/mi300x-exporter.deb")
    assert code != 0
    assert "First: deploy/install.sh --uninstall" in said
    machine.run("rm", "--recursive", "/opt/mi300x-exporter")


def test_a_package_runs_the_service_of_a_node_as_soon_as_it_is_installed(machine: BareDebian) -> None:
    machine.run(*INSTALL, "/mnt/old/mi300x-exporter.deb")
    assert machine.run("systemctl", "is-enabled", "mi300x-exporter.service").strip() == "enabled"
    machine.awaits(SERVES)
    assert machine.run("exporter", "--version").strip() == f"exporter, version {__version__}"
    machine.run("systemd-analyze", "verify", "--man=no", "mi300x-exporter.service")


def test_only_root_writes_the_config_and_only_the_service_reads_it_and_nobody_the_token(machine: BareDebian) -> None:
    shown = machine.run("stat", "--format", "%A %U:%G %n", ETC, f"{ETC}/config.yaml", f"{ETC}/tasks-token")
    assert shown.splitlines() == [
        f"drwxr-x--- root:mi300x-exporter {ETC}",
        f"-rw-r----- root:mi300x-exporter {ETC}/config.yaml",
        f"-rw------- root:root {ETC}/tasks-token",
    ]


def test_an_edited_config_is_followed(machine: BareDebian) -> None:
    machine.run("sed", "--in-place", "s/source: auto/source: simulated/", f"{ETC}/config.yaml")
    machine.run("systemctl", "restart", "mi300x-exporter.service")
    machine.awaits(READS_A_GPU)
    checked = machine.run(
        *("systemd-run", "--quiet", "--pipe", "--wait", "--uid=mi300x-exporter"),
        f"--property=LoadCredential=tasks-token:{ETC}/tasks-token",
        *("exporter", "check", "--config", f"{ETC}/config.yaml"),
    )
    assert "ok     devices     GPU 0 " in checked


def test_shells_complete_the_command(machine: BareDebian) -> None:
    bash = "source /usr/share/bash-completion/completions/exporter; COMP_WORDS=(exporter repo); COMP_CWORD=1; "
    assert (
        machine.run("bash", "-c", f"{bash} _exporter_completion exporter; echo ${{COMPREPLY[@]}}").strip() == "report"
    )
    assert machine.run("fish", "-c", "complete --do-complete 'exporter repo'").partition("\t")[0].strip() == "report"
    zsh = "autoload -Uz compinit; compinit -D; echo $_comps[exporter]"
    assert machine.run("zsh", "-f", "-c", zsh).strip() == "_exporter"


def test_the_package_of_reports_brings_the_timer_and_leaves_the_portal_to_the_administrator(
    machine: BareDebian,
) -> None:
    refused, said = machine.tried("exporter", "status")
    assert refused == 2
    assert "needs its extra" in said
    machine.run(*INSTALL, "/mnt/old/mi300x-exporter-report.deb")
    assert machine.run("systemctl", "is-enabled", "mi300x-report.timer").strip() == "enabled"
    assert machine.run("systemctl", "is-active", "mi300x-report.timer").strip() == "active"
    assert machine.tried("systemctl", "is-enabled", "mi300x-portal.service")[1].strip() == "disabled"
    assert machine.tried("systemctl", "start", "mi300x-report.service")[0] != 0
    assert "127.0.0.1:9090" in machine.run("journalctl", "--no-pager", "--output=cat", "--unit=mi300x-report")
    machine.run("systemctl", "enable", "--now", "mi300x-portal.service")


def test_an_upgrade_restarts_what_runs_and_keeps_the_edited_config(machine: BareDebian) -> None:
    machine.run("systemctl", "disable", "--now", "mi300x-report.timer")
    before = machine.run("systemctl", "show", "--value", "--property=MainPID", "mi300x-portal.service")
    machine.run(*INSTALL, "/mnt/new/mi300x-exporter.deb", "/mnt/new/mi300x-exporter-report.deb")
    machine.awaits(READS_A_GPU)
    assert f'version="{NEXT_VERSION}"' in machine.shell(SERVES)
    machine.run("grep", "source: simulated", f"{ETC}/config.yaml")
    assert machine.run("head", "-n", "1", f"{ETC}/config.yaml.dpkg-dist") == "# Of another version.\n"
    assert machine.run("systemctl", "is-active", "mi300x-portal.service").strip() == "active"
    assert machine.run("systemctl", "show", "--value", "--property=MainPID", "mi300x-portal.service") != before
    assert machine.tried("systemctl", "is-enabled", "mi300x-report.timer")[1].strip() == "disabled"
    stat = machine.run("stat", "--format", "%A %U:%G", f"{ETC}/config.yaml")
    assert stat.strip() == "-rw-r----- root:mi300x-exporter"


def test_install_sh_leaves_the_machine_to_the_package(machine: BareDebian) -> None:
    code, said = machine.tried("/mnt/deploy/install.sh")
    assert code == 1
    assert "the Debian package is installed" in said


def test_without_the_package_config_token_and_reports_stay(machine: BareDebian) -> None:
    machine.run("touch", "/var/lib/mi300x-exporter/reports/kept")
    machine.run(*APT, "remove", "mi300x-exporter")
    assert machine.run("systemctl", "list-units", "--no-legend", "--state=active", "mi300x*") == ""
    assert machine.shell("find /usr /opt -name '*mi300x*'") == ""
    machine.run("ls", f"{ETC}/config.yaml", f"{ETC}/tasks-token", "/var/lib/mi300x-exporter/reports/kept")


def test_purged_it_leaves_nothing(machine: BareDebian) -> None:
    machine.run(*APT, "purge", "mi300x-exporter", "mi300x-exporter-report")
    left = "find / -xdev -path /proc -prune -o -name '*mi300x*' ! -path '/var/log/*' ! -path '/mnt/*' -print"
    assert machine.shell(left) == ""
    assert machine.tried("grep", "mi300x", "/etc/passwd", "/etc/group")[1] == ""


def test_lintian_finds_no_error_and_nothing_to_warn_of(linting: subprocess.Popen[str]) -> None:
    said, _ = linting.communicate()
    assert said == ""
    assert linting.returncode == 0
