"""What the service shows of faulty hardware and libraries, through the real bindings over the simulated one."""

from __future__ import annotations

import asyncio
import html
import signal
from pathlib import Path
from typing import Any

import pytest

from exporter.demo.api import Fault, StandInApi
from exporter.devices.supervisor import process
from exporter.web import server
from tests.support.amdsmi import Call, SimulatedLibrary
from tests.support.exporter import PATIENCE_SECONDS, Metrics, exporter

SETTINGS = {"hostname": "colab-gpu1", "devices": {"interval": "200ms", "timeout": "1s"}}
OTHERS = [str(gpu) for gpu in range(8) if gpu != 3]
ERRORS = "amdgpu_exporter_device_errors_total"


@pytest.fixture
def library(rocm_home: Path, tmp_path: Path) -> SimulatedLibrary:
    library = SimulatedLibrary(rocm_home, tmp_path / "control", gpus=8)
    for gpu in library:
        gpu.load(utilization=50.0, vram=2**34)
    return library


def all_up(metrics: Metrics) -> bool:
    return metrics.values("amdgpu_up") == [1.0] * 8


def observed(metrics: Metrics, gpu: str) -> float:
    seconds = metrics.value("amdgpu_observed_seconds_total", gpu=gpu)
    assert seconds is not None
    return seconds


def only_gpu_3_down(metrics: Metrics) -> bool:
    others = [metrics.value("amdgpu_up", gpu=gpu) for gpu in OTHERS]
    return others == [1.0] * 7 and metrics.value("amdgpu_up", gpu="3") == 0.0


@pytest.mark.parametrize(
    ("fault", "kind"),
    [({"hang": True}, "timeout"), ({"crashes": 10_000}, "crash"), ({"error": 31}, "gpu_lost")],
)
async def test_a_faulty_gpu_loses_its_gauges_alone_and_comes_back(
    library: SimulatedLibrary, tmp_path: Path, fault: dict[str, Any], kind: str
) -> None:
    async with exporter(tmp_path, SETTINGS, library.env) as running:
        before = await running.shows(all_up)
        library[3].fault(Call.METRICS, **fault)
        shown = await running.shows(
            lambda metrics: only_gpu_3_down(metrics) and (metrics.value(ERRORS, gpu="3", kind=kind) or 0) > 0
        )
        assert shown.value("amdgpu_utilization_ratio", gpu="3") is None
        assert observed(shown, "3") >= observed(before, "3")
        page = await running.get("/")
        library[3].fault(Call.METRICS)
        await running.shows(all_up)
        await running.logged("GPU 3 .* can be read again")
    told = [line for line in running.log if " ERROR " in line and "GPU 3" in line]
    assert len(told) == 1
    assert told[0].rsplit(" cannot be read: ", 1)[1] in html.unescape(page)


async def test_the_other_gpus_are_read_on_while_one_hangs(library: SimulatedLibrary, tmp_path: Path) -> None:
    async with exporter(tmp_path, SETTINGS, library.env) as running:
        await running.shows(all_up)
        library[3].fault(Call.METRICS, hang=True)
        start = await running.shows(only_gpu_3_down)
        later = await running.shows(
            lambda metrics: min(observed(metrics, gpu) - observed(start, gpu) for gpu in OTHERS) > 2
        )
    assert later.value("amdgpu_up", gpu="3") == 0.0
    assert observed(later, "3") == observed(start, "3")


async def test_sigterm_ends_it_while_driver_and_api_hang(library: SimulatedLibrary, tmp_path: Path) -> None:
    api = StandInApi([])
    api.fault = Fault(breaks="trickling")
    async with api:
        settings = SETTINGS | {"tasks": {"url": api.url, "timeout": "1h"}}
        async with exporter(tmp_path, settings, {**library.env, "EXPORTER_TASKS_TOKEN": api.token}) as running:
            await running.shows(all_up)
            library[3].fault(Call.METRICS, hang=True)
            await running.shows(only_gpu_3_down)
            assert api.count == 1
            running.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await running.process.wait() == 0
    assert process._FAREWELL_SECONDS + server._STOP_SECONDS < 5  # which is all that it waits for


async def test_a_missing_library_is_said_and_the_endpoint_answers(tmp_path: Path) -> None:
    async with exporter(tmp_path, SETTINGS, {"ROCM_HOME": str(tmp_path)}) as running:
        shown = await running.shows(lambda metrics: (metrics.value(ERRORS, kind="library_missing") or 0) > 0)
        assert shown.values("amdgpu_up") == []
        assert shown.value("amdgpu_exporter_build_info") == 1
        assert "amd-smi-lib" in await running.get("/")
        assert "amd-smi-lib" in await running.logged("amd-smi-lib")


async def test_a_missing_driver_is_told_apart_from_a_missing_library(library: SimulatedLibrary, tmp_path: Path) -> None:
    library.init.error = 34
    async with exporter(tmp_path, SETTINGS, library.env) as running:
        await running.shows(lambda metrics: (metrics.value(ERRORS, kind="no_driver") or 0) > 0)
        library.init.error = 0
        await running.shows(all_up)
