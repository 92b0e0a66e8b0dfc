from __future__ import annotations

from pathlib import Path

import pytest

from exporter import config
from exporter.check import Verdict, check
from exporter.devices.supervisor import HardwareSource
from tests.support.amdsmi import Call, SimulatedLibrary


@pytest.mark.parametrize("hang", [False, True])
async def test_the_other_gpus_are_tried_though_one_cannot_be_identified(
    rocm_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, hang: bool
) -> None:
    library = SimulatedLibrary(rocm_home, tmp_path / "control", gpus=4)
    for name, value in library.env.items():
        monkeypatch.setenv(name, value)
    library[1].fault(Call.IDENTIFY, hang=hang, error=0 if hang else 2)
    settings = config.parse({"devices": {"interval": "100ms", "timeout": "1s"}}, where="test")

    source = HardwareSource(settings.devices)
    found = [finding async for finding in check(settings, source) if finding.part == "devices"]

    assert [finding.verdict for finding in found] == [Verdict.FAULT, Verdict.OK, Verdict.OK, Verdict.OK]
    assert [finding.words.split()[1] for finding in found[1:]] == ["0", "2", "3"]


async def test_what_is_wrong_with_several_gpus_is_said_once(
    rocm_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = SimulatedLibrary(rocm_home, tmp_path / "control", gpus=4)
    for name, value in library.env.items():
        monkeypatch.setenv(name, value)
    for gpu in library:
        gpu.fault(Call.METRICS, error=43)
    library[2].fault(Call.METRICS)
    settings = config.parse({"devices": {"interval": "100ms", "timeout": "1s"}}, where="test")

    source = HardwareSource(settings.devices)
    found = [finding async for finding in check(settings, source) if finding.part == "devices"]

    assert [finding.verdict for finding in found] == [Verdict.FAULT, Verdict.OK]
    assert found[0].words.startswith("GPU 0, 1, 3: amdsmi_get_gpu_metrics_info: ")
