"""Each library's root, machines made on it, and the table of what was seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.table import table
from tests.libraries.machine import Machine
from tests.libraries.made_up_sys import Node
from tests.libraries.suites import SUITES, Suite, bindings_version
from tests.libraries.watching import Library, MachineMaker, Recorder, served_from
from tests.support import not_tested
from tests.support.debian import UnavailableError
from tests.support.exporter import Metrics

_HEADINGS = ("library", "scenario", "served from", "version", "utilization", "VRAM GiB", "power W", "energy J", "right")
_ROW = "row"


@pytest.fixture(params=SUITES, ids=lambda suite: suite.name, scope="session")
def library(request: pytest.FixtureRequest) -> Library:
    """Each library in turn; a suite that cannot be had is skipped, and the summary says so."""
    suite: Suite = request.param
    try:
        root = suite.root()
    except UnavailableError as error:
        pytest.skip(f"NOT TESTED: {suite.name} cannot be had here: {error}")
    return Library(suite.name, root, bindings_version(root))


@pytest.fixture
def machine(library: Library, tmp_path: Path) -> MachineMaker:
    """Makes the machine of a test."""

    def make(made_up: Node, **properties: Any) -> Machine:
        return Machine(library.root, made_up, tmp_path, **properties)

    return make


@pytest.fixture
def record(library: Library, record_property: Callable[[str, object], None]) -> Recorder:
    """Notes a line of the table."""

    def note(scenario: str, metrics: Metrics, compared: int, wrong: int) -> None:
        def ends(name: str, unit: float = 1.0, digits: int = 0) -> str:
            values = metrics.values(name)
            return f"{values[0] / unit:.{digits}f} … {values[-1] / unit:.{digits}f}" if values else "–"

        source, version = served_from(metrics)
        seen = (
            ends("amdgpu_utilization_ratio", digits=4),
            ends("amdgpu_vram_used_bytes", 2**30),
            ends("amdgpu_power_watts"),
            ends("amdgpu_energy_joules_total", digits=2),
        )
        right = f"{compared - wrong} of {compared}"
        record_property(_ROW, (f"{library.suite} {library.version}", scenario, source, version, *seen, right))

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the table, GPU 0 to GPU 7 in each cell, and what was not tested."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    rows = [value for report in reports for name, value in getattr(report, "user_properties", ()) if name == _ROW]
    if rows:
        terminalreporter.section("real libraries over made-up nodes: GPU 0 … GPU 7")
        terminalreporter.write_line(table(_HEADINGS, sorted(map(tuple, rows))))
    not_tested.tell(terminalreporter)
