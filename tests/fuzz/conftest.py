from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.fuzzing import EXAMPLES

_COUNT = "examples tried"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    before = EXAMPLES.total()
    try:
        yield
    finally:
        item.user_properties.append((_COUNT, EXAMPLES.total() - before))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tells `make fuzz` how many inputs each parser was tried with."""
    if config.getoption("--hypothesis-profile") != "fuzz":
        return
    tried = {
        report.nodeid: count
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport)
        for name, count in report.user_properties
        if name == _COUNT and isinstance(count, int)
    }
    terminalreporter.section("examples tried")
    for node, count in sorted(tried.items()):
        terminalreporter.write_line(f"{count:>9,}  {node}")
    terminalreporter.write_line(f"{sum(tried.values()):>9,}  by {len(tried)} fuzzers")
