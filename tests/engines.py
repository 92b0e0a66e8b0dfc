"""The tests that ask engines, on those of other Debian suites: Prometheus 2 and 3, VictoriaMetrics old and new.

`python -m tests.engines [arguments of pytest]`. Debian's Go programs run as they are unpacked; the tests find them by
PATH, as they find this machine's own.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.debian import Apt, UnavailableError, cache, one_at_a_time, run

_ROOT = Path(__file__).resolve().parents[1]
_SUITES = ("trixie", "unstable")
"""Beside this machine's own, which `make test` uses."""
_VERSIONS = "versions.txt"
_PACKAGES = ("prometheus", "promtool", "victoria-metrics")
_TESTS = (
    "tests/deploy/test_rules.py",
    "tests/deploy/test_dashboard_queries.py",
    "tests/report/history/test_fetch.py",
    "tests/live",
    "tests/demo",
    "tests/system/test_closed_forms.py",
    "tests/system/test_report_accuracy.py",
    "tests/system/test_report_from_history.py",
    "tests/system/test_report_outages.py",
)


def unpacked(suite: str) -> Path:
    """Returns the folder of a suite's engines, made if it is not in the cache.

    Raises:
        UnavailableError: One cannot be had.
    """
    recipe = hashlib.sha256(repr(_PACKAGES).encode()).hexdigest()[:12]
    place = cache("engines") / f"{suite}-{recipe}"
    with one_at_a_time(place):
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{suite}-") as name:
                apt = Apt(Path(name) / "apt", suite)
                apt.update()
                packages = apt.alone(*_PACKAGES)
                for package in packages:
                    run("dpkg-deb", "--extract", str(package), str(Path(name) / "root"))
                (Path(name) / "root" / _VERSIONS).write_text(", ".join(map(_version, packages)))
                (Path(name) / "root").rename(place)
        os.utime(place)
    return place


def main() -> int:
    """Runs the tests on each suite's engines.

    Returns:
        The exit code: 0 if none failed. A suite that cannot be had is said, and left out.
    """
    failed, told = False, []
    for suite in _SUITES:
        try:
            place = unpacked(suite)
        except UnavailableError as error:
            told.append(f"SKIPPED: the engines of Debian {suite} cannot be had: {error}")
            continue
        versions = (place / _VERSIONS).read_text()
        sys.stdout.write(f"== {suite}: {versions}\n")
        sys.stdout.flush()
        command = [
            sys.executable,
            "-m",
            "pytest",
            "--numprocesses",
            "auto",
            "--dist",
            "loadfile",
            *sys.argv[1:],
            *_TESTS,
        ]
        path = f"{place / 'usr/bin'}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(command, cwd=_ROOT, env=os.environ | {"PATH": path}, check=False)
        failed = failed or done.returncode != 0
        told.append(f"{'FAILED' if done.returncode else 'passed'} on Debian {suite}: {versions}")
    sys.stdout.write("\n".join(("", *told, "")))
    return int(failed)


def _version(package: Path) -> str:
    """Returns `prometheus 3.5.3` of prometheus_3.5.3+ds1-6_amd64.deb."""
    name, version, _ = package.name.split("_")
    return f"{name} {version.partition('+')[0]}"


if __name__ == "__main__":
    sys.exit(main())
