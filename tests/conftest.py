from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.amdsmi import build

# A slow machine is no failure: speed is the benchmarks' business.
settings.register_profile(
    "suite", deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
# `make fuzz`.
settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "3000")),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What a command configures in this process ends with the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def rocm_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the simulated library is built, once."""
    home = tmp_path_factory.mktemp("rocm") / "home"
    build(home)
    return home
