"""The end of a suite that tests what this machine can have: what it could not is told where nobody overlooks it."""

from __future__ import annotations

from collections import Counter

import pytest


def tell(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the reason of each skip, with how many tests it cost."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{reason.removeprefix('Skipped: ')} ({count} tests)", yellow=True, bold=True)
