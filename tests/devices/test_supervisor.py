"""The source over real worker processes and the simulated library: what fails stays alone with it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from exporter.config import Devices
from exporter.devices.supervisor import HardwareSource, supervision
from exporter.devices.supervisor import source as hardware
from exporter.errors import (
    DriverMissingError,
    GpuLostError,
    LibraryMissingError,
    PermissionDeniedError,
    ReadFailedError,
    ReadTimeoutError,
    WorkerCrashedError,
)
from tests.support.amdsmi import Call, SimulatedLibrary
from tests.support.recorder import Recorder, faults_told
from tests.support.workers import children


@asynccontextmanager
async def source(interval: float = 0.1, limit: float = 3.0, **settings: Any) -> AsyncIterator[Recorder]:
    sink = Recorder()
    devices = Devices.model_validate({"interval": f"{interval}s", "timeout": f"{limit}s", **settings})
    task = asyncio.create_task(HardwareSource(devices, sysfs="/nonexistent").run(sink))
    try:
        yield sink
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()


def uuids(library: SimulatedLibrary, *without: int) -> list[str]:
    return [gpu.uuid for index, gpu in enumerate(library) if index not in without]


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


async def test_all_gpus_are_found_read_and_inspected(library: SimulatedLibrary) -> None:
    async with source() as sink:
        await sink.more(uuids(library))
        await sink.until(lambda: len(sink.health) == 8)
        assert [(gpu.index, gpu.uuid) for gpu in sink.gpus] == list(enumerate(uuids(library)))
        assert not sink.failures
        assert not sink.restarts


async def test_readings_of_one_gpu_follow_each_other_in_time(library: SimulatedLibrary) -> None:
    async with source() as sink:
        await sink.more(uuids(library), 10)
    for readings in sink.readings.values():
        taken = [reading.taken for reading in readings]
        assert taken == sorted(set(taken))


async def test_a_hung_gpu_does_not_hold_up_the_others(library: SimulatedLibrary) -> None:
    hung = library[3].uuid
    async with source(limit=5.0) as sink:
        await sink.more(uuids(library), 1)
        library[3].fault(Call.METRICS, hang=True)
        await sink.until(lambda: sink.failures)
        count = sink.count(hung)
        await sink.more(uuids(library, 3))
        assert set(sink.kinds(hung)) == {ReadTimeoutError}
        assert {uuid for uuid, _ in sink.failures} == {hung}
        assert sink.restarts["timeout"] == 1
        assert sink.count(hung) == count


async def test_a_hung_gpu_that_wakes_is_read_again(library: SimulatedLibrary, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "exporter.devices")
    async with source(limit=3.0) as sink:
        await sink.more(uuids(library), 1)
        library[3].fault(Call.METRICS, hang=True)
        await sink.until(lambda: sink.failures)
        library[3].fault(Call.METRICS)
        await sink.until(lambda: sink.recoveries == [library[3].uuid])
        await sink.more(uuids(library))
    messages = faults_told(caplog)
    assert len(messages) == 2
    assert "GPU 3" in messages[0]
    assert "see dmesg" in messages[0]
    assert "can be read again" in messages[1]


async def test_a_slow_gpu_is_read_in_a_rhythm_of_its_own(library: SimulatedLibrary) -> None:
    async with source(limit=60.0) as sink:
        await sink.more(uuids(library), 1)
        library[3].fault(Call.METRICS, delay_seconds=0.3)
        await sink.until(lambda: sink.readings[library[3].uuid][-1].period >= 2 * 8 * 0.3)  # the others' part, twice
        before = {uuid: sink.count(uuid) for uuid in uuids(library)}
        await sink.more([library[3].uuid], 1)
        slow, *others = (sink.count(uuid) - before[uuid] for uuid in (library[3].uuid, *uuids(library, 3)))
        assert min(others) > slow
        assert len(children()) == 1
        library[3].fault(Call.METRICS)
        await sink.until(lambda: not sink.readings[library[3].uuid][-1].period)
        assert not sink.failures


async def test_gpus_that_are_all_slow_are_all_read(library: SimulatedLibrary) -> None:
    for gpu in library:
        gpu.fault(Call.METRICS, delay_seconds=0.2)
    async with source(limit=60.0) as sink:
        await sink.more(uuids(library), 3)
        assert not sink.failures
        assert all(sink.are_joined(uuid, 0.1) for uuid in uuids(library))


async def test_a_gpu_that_hangs_when_identified_is_left_out(library: SimulatedLibrary) -> None:
    library[3].fault(Call.IDENTIFY, hang=True)
    async with source(limit=3.0) as sink:
        await sink.more(uuids(library, 3))
        await sink.until(lambda: ReadTimeoutError in sink.kinds(None))
        assert [gpu.index for gpu in sink.gpus] == [0, 1, 2, 4, 5, 6, 7]
        library[3].fault(Call.IDENTIFY)
        await sink.more(uuids(library))
        assert [gpu.index for gpu in sink.gpus] == [0, 1, 2, 3, 4, 5, 6, 7]
        assert None in sink.recoveries


async def test_a_gpu_that_hangs_when_inspected_is_read_on(
    library: SimulatedLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    library[3].fault(Call.ECC, hang=True)
    async with source(limit=2.0) as sink:
        await sink.until(lambda: sink.restarts["timeout"] == 1)
        await sink.until(lambda: len(sink.health) == 7)
        await sink.more(uuids(library), 5)
        assert not sink.failures
        assert library[3].uuid not in sink.health
    assert "the health of the GPU at 0000:0b:00 is not asked for" in caplog.text


async def test_a_crash_of_the_library_sets_the_suspect_aside(library: SimulatedLibrary) -> None:
    async with source() as sink:
        await sink.more(uuids(library), 1)
        library[5].fault(Call.METRICS, crashes=2)
        await sink.until(lambda: len(sink.failures) == 2)  # the read, and a probe
        assert sink.kinds(library[5].uuid) == [WorkerCrashedError, WorkerCrashedError]
        assert "SIGSEGV" in str(sink.failures[0][1])
        assert sink.restarts["crash"] == 1
        await sink.until(lambda: sink.recoveries == [library[5].uuid])
        await sink.more(uuids(library))


async def test_a_gpu_that_comes_and_goes_stays_away_longer_each_time(library: SimulatedLibrary) -> None:
    async with source(interval=0.2) as sink:
        for _ in range(4):
            await sink.more(uuids(library), 1)
            library[5].fault(Call.METRICS, crashes=1)
            sink.recoveries.clear()
            await sink.until(lambda: sink.failures)
            sink.failures.clear()
            began = time.monotonic()
            await sink.until(lambda: sink.recoveries)
    assert time.monotonic() - began >= 0.2 * 2 * 2 * 2


async def test_a_worker_killed_while_idle_is_nobodys_fault(
    library: SimulatedLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_FIRST_PAUSE", 0.05)
    for index in range(1, 8):
        library[index].state.present = False
    async with source(interval=1.0) as sink:
        await sink.more([library[0].uuid], 2)
        (pid,) = children()
        os.kill(pid, signal.SIGKILL)
        await sink.more([library[0].uuid], 2)
        assert sink.kinds(None) == [WorkerCrashedError]
        assert sink.recoveries == [None]
        assert sink.restarts == {"crash": 1}


async def test_a_gpu_that_falls_off_the_bus_is_found_when_it_is_back(
    library: SimulatedLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "exporter.devices")
    lost = library[6].uuid
    async with source() as sink:
        await sink.more(uuids(library), 1)
        library[6].state.present = False
        await sink.until(lambda: len(sink.kinds(lost)) == 2)  # the read, and a search
        assert set(sink.kinds(lost)) == {GpuLostError}
        await sink.more(uuids(library, 6))
        library[6].state.present = True
        await sink.until(lambda: sink.recoveries == [lost])
        assert sink.restarts.keys() == {"retry"}
        await sink.more(uuids(library))
    assert len(faults_told(caplog)) == 2


async def test_a_busy_gpu_is_counted_each_time_and_logged_once(
    library: SimulatedLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "exporter.devices")
    async with source() as sink:
        await sink.more(uuids(library), 1)
        library[2].fault(Call.METRICS, error=30)
        await sink.until(lambda: len(sink.failures) >= 4)
        library[2].fault(Call.METRICS)
        await sink.more(uuids(library))
        assert set(sink.kinds(library[2].uuid)) == {ReadFailedError}
        assert sink.recoveries == [library[2].uuid]
        assert not sink.restarts
    assert len(faults_told(caplog)) == 2


async def test_a_gpu_that_keeps_failing_is_tried_by_a_fresh_worker(library: SimulatedLibrary) -> None:
    async with source() as sink:
        await sink.more(uuids(library), 1)
        library[2].fault(Call.METRICS, error=43)
        await sink.until(lambda: len(sink.failures) == 11)  # ten reads, and a trial
        assert sink.restarts == {"retry": 1}
        library[2].fault(Call.METRICS)
        await sink.more(uuids(library))
        assert len(sink.failures) == 11


async def test_a_start_that_fails_is_tried_again(
    library: SimulatedLibrary, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "exporter.devices")
    monkeypatch.setattr(supervision, "_FIRST_PAUSE", 0.05)
    library.init.error = 34
    async with source() as sink:
        await sink.until(lambda: sink.restarts["start"] == 2)
        library.init.error = 0
        await sink.more(uuids(library), 1)
        assert set(sink.kinds(None)) == {DriverMissingError}
        assert sink.recoveries == [None]
    assert len(faults_told(caplog)) == 2
    assert "modprobe amdgpu" in faults_told(caplog)[0]


async def test_an_init_that_hangs_is_tried_again(library: SimulatedLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_START_SECONDS", 2.0)
    monkeypatch.setattr(supervision, "_FIRST_PAUSE", 0.05)
    library.init.hang = True
    async with source() as sink:
        await sink.until(lambda: sink.failures)
        library.init.hang = False
        await sink.more(uuids(library), 1)
        assert sink.kinds(None) == [ReadTimeoutError]


async def test_a_library_that_is_not_there_does_not_end_the_source(
    library: SimulatedLibrary, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(supervision, "_FIRST_PAUSE", 0.05)
    with monkeypatch.context() as missing:
        missing.setenv("ROCM_HOME", str(tmp_path))
        missing.setenv("ROCM_PATH", str(tmp_path))
        async with source() as sink:
            await sink.until(lambda: len(sink.failures) == 2)
            missing.setenv("ROCM_HOME", library.env["ROCM_HOME"])
            await sink.more(uuids(library), 1)
    assert set(sink.kinds(None)) == {LibraryMissingError}


async def test_without_access_to_any_gpu_the_source_says_what_to_do(
    library: SimulatedLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_FIRST_PAUSE", 0.05)
    for gpu in library:
        gpu.state.no_access = True
    async with source() as sink:
        await sink.until(lambda: sink.restarts["retry"] == 1)
        assert set(sink.kinds(None)) == {PermissionDeniedError}
        assert "groups render and video" in str(sink.failures[0][1])
        assert not sink.gpus


async def test_a_gpu_without_access_is_refused_and_the_others_served(library: SimulatedLibrary) -> None:
    library[4].state.no_access = True
    async with source() as sink:
        await sink.more(uuids(library, 4))
        assert set(sink.kinds(None)) == {PermissionDeniedError}
        assert library[4].uuid not in sink.readings


async def test_two_gpus_with_one_id_are_not_confused(library: SimulatedLibrary) -> None:
    library[7].state.unique_id = library[0].state.unique_id
    async with source() as sink:
        await sink.more(uuids(library, 7))
        assert [gpu.index for gpu in sink.gpus] == [0, 1, 2, 3, 4, 5, 6]
        assert "as the GPU at 0000:05:00 has" in str(sink.failures[0][1])


async def test_an_expected_gpu_that_was_missing_at_the_start_is_found(
    library: SimulatedLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_SEARCH_SECONDS", 0.2)
    library[7].state.present = False
    async with source(expected=8) as sink:
        await sink.more(uuids(library, 7), 1)
        library[7].state.present = True
        await sink.more(uuids(library), 1)
        assert len(sink.gpus) == 8


async def test_a_cancelled_source_leaves_nothing_behind(library: SimulatedLibrary) -> None:
    before = descriptors()
    async with source(limit=3.0) as sink:
        await sink.more(uuids(library), 1)
        library[3].fault(Call.METRICS, hang=True)
        library[5].fault(Call.METRICS, crashes=1)
        await sink.until(lambda: len(sink.kinds(library[3].uuid)) == 1)
    assert not children()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert descriptors() == before
