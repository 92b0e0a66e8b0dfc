from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.amdsmi import SimulatedLibrary


@pytest.fixture
def library(rocm_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimulatedLibrary:
    """A node of eight GPUs, which every worker started in this test sees."""
    simulated = SimulatedLibrary(rocm_home, tmp_path / "control", gpus=8)
    for name, value in simulated.env.items():
        monkeypatch.setenv(name, value)
    return simulated
