from __future__ import annotations

import re
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from exporter import config
from exporter.check import Verdict, check
from exporter.demo.api import Fault, StandInApi
from exporter.devices.simulated import SimulatedSource
from exporter.devices.supervisor import HardwareSource
from exporter.model import Task, TaskGpu
from tests.support.amdsmi import Call, SimulatedLibrary
from tests.support.postbox import PASSWORD, http_sink


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


async def test_targets_of_reports_are_tried_without_sending_and_without_telling_them(tmp_path: Path) -> None:
    with http_sink() as sink:
        settings = config.parse(
            {
                "devices": {"source": "simulated", "timeout": "1s"},
                "report": {
                    "deliver": [
                        {"to": sink.url()},
                        {"to": f"nowhere://{PASSWORD}@host"},
                        {"to_file": str(tmp_path / "absent")},
                    ]
                },
            },
            where="test",
        )
        found = [finding async for finding in check(settings, SimulatedSource(settings.devices))]

    tried = [finding for finding in found if finding.part == "deliver"]
    assert [finding.verdict for finding in tried] == [Verdict.OK, Verdict.FAULT, Verdict.FAULT]
    assert [finding.words.split(":")[0] for finding in tried] == [f"report.deliver[{place}]" for place in range(3)]
    assert PASSWORD not in tried[1].words
    assert "absent" in tried[2].words
    assert sink.bodies == []


@pytest.mark.parametrize(("ahead", "words"), [(3600, "ahead of"), (-3600, "behind")])
async def test_an_api_whose_clock_is_off_is_said_and_asked_for_its_own_now(
    monkeypatch: pytest.MonkeyPatch, ahead: int, words: str
) -> None:
    began = time.time() + ahead - 30
    async with StandInApi(
        [Task("f3", "itrd", "LAB", (TaskGpu("00000000000000ff", "7"),), began)], clock=lambda: time.time() + ahead
    ) as api:
        api.fault = Fault(headers={"Date": formatdate(time.time() + ahead, usegmt=True)})
        monkeypatch.setenv("EXPORTER_TASKS_TOKEN", api.token)
        settings = config.parse(
            {"devices": {"source": "simulated", "interval": "50ms", "timeout": "200ms"}, "tasks": {"url": api.url}},
            where="test",
        )
        found = [one async for one in check(settings, SimulatedSource(settings.devices)) if one.part == "tasks"]
    assert [one.verdict for one in found] == [Verdict.OK, Verdict.NOTE]
    assert "1 tasks run on 1 GPUs" in found[0].words
    assert re.match(rf"its clock is \d+ s {words} this machine's", found[1].words)


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
