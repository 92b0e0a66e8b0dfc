"""What `make dist` and `make deb` leave in dist/, made anew."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import not_tested
from tests.support.debian import UnavailableError, run

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Distribution:
    """One of each, as they are released."""

    wheel: Path
    sdist: Path
    debs: tuple[Path, ...]
    """mi300x-exporter, and mi300x-exporter-report."""


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    """Builds it all; where no registry can be reached the tests are skipped, and the summary says so."""
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps")
    try:
        run(*pip, "--dest", str(tmp_path_factory.mktemp("registry")), "click")
    except UnavailableError as error:
        pytest.skip(f"NOT TESTED: packages cannot be built here: {error}")
    built = subprocess.run(
        ["make", "--no-print-directory", "deb"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    dist = ROOT / "dist"
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    (node,), (report,) = dist.glob("mi300x-exporter_*.deb"), dist.glob("mi300x-exporter-report_*.deb")
    return Distribution(wheel, sdist, (node, report))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what was not tested."""
    not_tested.tell(terminalreporter)
