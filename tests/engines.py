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
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.debian import Apt, UnavailableError, cache, one_at_a_time, run

_ROOT = Path(__file__).resolve().parents[1]
_SUITES = ("trixie", "unstable")
"""Beside this machine's own, which `make test` uses."""
_VERSIONS = "versions.txt"
_PACKAGES = ("prometheus", "promtool", "prometheus-alertmanager", "victoria-metrics")
_PARTS = {
    "rules": ("tests/deploy/test_rules.py",),
    "dashboards": ("tests/deploy/test_dashboard_queries.py",),
    "report": (
        "tests/report/history/test_fetch.py",
        "tests/system/test_closed_forms.py",
        "tests/system/test_report_accuracy.py",
        "tests/system/test_report_from_history.py",
        "tests/system/test_report_outages.py",
    ),
    "now": ("tests/live/test_status.py",),
    "alerts": (
        "tests/deploy/test_alertmanager.py",
        "tests/deploy/test_alertmanager_night.py",
        "tests/deploy/test_alertmanager_chat.py",
    ),
    "fleet": ("tests/system/test_fleet.py",),
    "demo": ("tests/demo/test_servers.py", "tests/system/test_demo.py"),
}
"""What asks an engine, by what it is about."""
_ENGINES = {"prometheus": "Prometheus", "victoria-metrics": "VictoriaMetrics"}


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
    """Runs the tests on each suite's engines, and prints how many passed on which.

    Returns:
        The exit code: 0 if none failed. A suite that cannot be had is said, and left out.
    """
    failed, missing, rows = False, [], []
    for suite in _SUITES:
        try:
            place = unpacked(suite)
        except UnavailableError as error:
            missing.append(f"NOT TESTED: the engines of Debian {suite} cannot be had: {error}")
            continue
        versions = dict(line.split(" ", 1) for line in (place / _VERSIONS).read_text().split(", "))
        sys.stdout.write(f"== {suite}: {versions}\n")
        sys.stdout.flush()
        with tempfile.NamedTemporaryFile(suffix=".xml") as results:
            code = tested(suite, place / "usr/bin", Path(results.name))
            failed = failed or code not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
            if Path(results.name).stat().st_size:  # else pytest itself did not come to its end, and has said so
                counts = counted(Path(results.name))
                rows += [(f"{name} {versions[key]}, {suite}", counts[key]) for key, name in _ENGINES.items()]
    sys.stdout.write("\n".join(("", *table(rows), *missing, "")))
    return int(failed)


def tested(suite: str, programs: Path, results: Path) -> int:
    """Runs the tests with these programs first, and returns pytest's exit code.

    Args:
        suite: Of Debian: pytest remembers for each which tests failed.
        programs: The folder of the engines.
        results: Where pytest writes JUnit's XML.
    """
    command = [sys.executable, "-m", "pytest", "--numprocesses", "auto", "--dist", "loadfile", f"--junitxml={results}"]
    command += ["-o", f"cache_dir=.pytest_cache/{suite}"]
    tests = [test for part in _PARTS.values() for test in part]
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path}
    return subprocess.run([*command, *sys.argv[1:], *tests], cwd=_ROOT, env=environment, check=False).returncode


def counted(results: Path) -> dict[str, dict[str, Counter[str]]]:
    """Returns how many tests passed, failed or were skipped, by engine and part.

    A test that runs on either says so in its name; the others run on Prometheus.
    """
    counts = {engine: {part: Counter[str]() for part in _PARTS} for engine in _ENGINES}
    for case in ET.parse(results).iter("testcase"):
        name = f"{case.get('classname')}[{case.get('name')}"
        file = name.partition("[")[0].replace(".", "/")
        part = next((part for part, tests in _PARTS.items() if file.startswith(tuple(map(_stem, tests)))), None)
        engine = next((engine for engine in reversed(_ENGINES) if engine in name), "prometheus")
        kinds = {kind.tag for kind in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        if part is not None:
            counts[engine][part][outcome] += 1
    return counts


def table(rows: Sequence[tuple[str, Mapping[str, Counter[str]]]]) -> Iterator[str]:
    """Yields the lines of a table: passed of those that ran, by engine and part."""
    yield f"{'':<34}" + "".join(f"{part:>14}" for part in _PARTS)
    for name, counts in rows:
        yield f"{name:<34}" + "".join(f"{_shown(counts[part]):>14}" for part in _PARTS)


def _shown(count: Counter[str]) -> str:
    ran = count["passed"] + count["failed"]
    skipped = f", {count['skipped']} not" if count["skipped"] else ""
    return f"{count['passed']}/{ran}{skipped}" if ran or skipped else "–"


def _stem(test: str) -> str:
    return test.removesuffix(".py")


def _version(package: Path) -> str:
    """Returns `prometheus 3.5.3` of prometheus_3.5.3+ds1-6_amd64.deb."""
    name, version, _ = package.name.split("_")
    return f"{name} {version.partition('+')[0]}"


if __name__ == "__main__":
    sys.exit(main())
