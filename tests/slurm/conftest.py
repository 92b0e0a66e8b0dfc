"""A Slurm cluster, or why there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.slurm.machine import Cluster, cluster
from tests.support.debian import UnavailableError


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of two nodes; where it cannot be had, the summary says so."""
    try:
        with cluster(tmp_path_factory.mktemp("slurm")) as there:
            yield there
    except UnavailableError as error:
        pytest.skip(f"NOT TESTED: Slurm cannot be had here: {error}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the truth table, and what was not tested."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in getattr(report, "user_properties", ()):
            if name == "table":
                terminalreporter.section("a day of Slurm: sacct and what was accounted")
                terminalreporter.write_line(str(value))
    reasons = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{reason.removeprefix('Skipped: ')} ({count} tests)", yellow=True, bold=True)
