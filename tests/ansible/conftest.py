"""A machine to run the roles on, one for all tests, and what was not tested."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ansible.machine import Machine
from tests.support import not_tested
from tests.support.debian import UnavailableError


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """A bare Debian with a Prometheus."""
    # Not on a tmpfs, which would hold no overlay of some systems, and a whole venv in memory on others.
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="ansible-") as folder, contextlib.ExitStack() as ending:
        bare = Machine(Path(folder))
        try:
            ending.enter_context(bare.booted())
        except UnavailableError as error:
            pytest.skip(f"NOT TESTED: the roles cannot be run here: {error}")
        yield bare


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what was not tested."""
    not_tested.tell(terminalreporter)
