"""Tests that something was missing for are told loudly, at the end of what pytest prints."""

from __future__ import annotations

from collections import Counter

import pytest


def tell_what_was_skipped(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints each reason once, and how many tests it kept from running."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{reason.removeprefix('Skipped: ')} ({count} tests)", yellow=True, bold=True)
