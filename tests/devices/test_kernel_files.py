"""The source over a made-up /sys, with the simulated library beside it or without: who stands in for whom."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter.config import Devices
from exporter.devices.supervisor import HardwareSource, supervision
from exporter.devices.supervisor import source as hardware
from exporter.errors import GpuLostError, ImplausibleError, ReadFailedError, ReadTimeoutError
from exporter.model import Process
from tests.libraries.gpu_metrics import Telemetry, pack
from tests.libraries.made_up_gpu import device_folder
from tests.libraries.made_up_sys import MadeUpGpu, Node
from tests.support.amdsmi import Call, SimulatedLibrary
from tests.support.recorder import Recorder, faults_told
from tests.support.workers import children

GIB = 2**30


class Machine:
    """Eight GPUs, as the kernel and the simulated library both know them; each may be made to lie."""

    def __init__(self, folder: Path, library: SimulatedLibrary, **telemetry: Any) -> None:
        self.sys = folder / "sys"
        self.node = Node(
            [
                MadeUpGpu(
                    bdf=f"0000:{5 + 2 * index:02x}:00.0",
                    unique_id=gpu.state.unique_id,
                    xcd_ids=tuple(range(8 * index + 1, 8 * index + 9)),
                    telemetry=Telemetry(average_gfx_activity=40, **telemetry),
                    vram_used=(index + 1) * GIB,
                    processes={100 + index: GIB} if index < 2 else {},
                )
                for index, gpu in enumerate(library)
            ],
            revision="1.8",
        )
        self.node.write(self.sys)
        for index, gpu in enumerate(library):
            gpu.load(utilization=40, vram=(index + 1) * GIB)
        self.uuids = [gpu.uuid for gpu in library]

    def without(self, *indices: int) -> list[str]:
        return [uuid for index, uuid in enumerate(self.uuids) if index not in indices]

    def file(self, index: int, name: str) -> Path:
        return self.sys / device_folder(self.node.gpus[index].bdf) / name

    def says(self, index: int, name: str, content: bytes) -> None:
        """Puts a file in place of another, whole at once."""
        fresh = self.file(index, f"{name}.new")
        fresh.write_bytes(content)
        fresh.rename(self.file(index, name))

    def link(self, index: int) -> Path:
        """The driver's hold on a GPU: without it the GPU is gone."""
        return self.sys / "bus/pci/drivers/amdgpu" / self.node.gpus[index].bdf


@contextmanager
def slowly(file: Path, table: bytes, seconds: float) -> Iterator[None]:
    """A file that takes so long to read, until the block is left."""
    file.unlink()
    os.mkfifo(file)
    done = threading.Event()

    def answer() -> None:
        while not done.is_set():
            with suppress(BrokenPipeError), file.open("wb") as fifo:  # waits for a reader
                done.wait(seconds)
                fifo.write(table)

    writer = threading.Thread(target=answer)
    writer.start()
    try:
        yield
    finally:
        done.set()
        reader = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
        writer.join()
        os.close(reader)


@pytest.fixture
def machine(tmp_path: Path, library: SimulatedLibrary) -> Machine:
    return Machine(tmp_path, library)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "_FIRST_PAUSE", 0.05)
    monkeypatch.setattr(hardware, "_CHECK_SECONDS", 0.5)


@asynccontextmanager
async def source(machine: Machine, kind: str = "auto", limit: float = 2.0, **settings: Any) -> AsyncIterator[Recorder]:
    sink = Recorder()
    devices = Devices.model_validate({"source": kind, "interval": "100ms", "timeout": f"{limit}s", **settings})
    task = asyncio.create_task(HardwareSource(devices, sysfs=str(machine.sys), proc="/nonexistent").run(sink))
    try:
        yield sink
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()


def sources(sink: Recorder) -> list[str]:
    return [gpu.source for gpu in sink.gpus]


@contextmanager
def a_read_that_hangs(path: Path) -> Iterator[None]:
    """A file whose opening does not return, as a driver's may not; until the block is left."""
    kept = path.with_name("kept")
    path.rename(kept)
    os.mkfifo(path)
    try:
        yield
    finally:
        fifo = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # whoever waits may go on
        os.write(fifo, kept.read_bytes())
        kept.rename(path)
        os.close(fifo)


async def test_the_kernels_files_alone_are_enough(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROCM_HOME", "/nonexistent")
    async with source(machine, "sysfs") as sink:
        await sink.more(machine.uuids)
        await sink.until(lambda: len(sink.health) == 8)
        await sink.until(lambda: len(sink.processes) == 8)
        assert [(gpu.index, gpu.uuid, gpu.source) for gpu in sink.gpus] == [
            (index, uuid, "sysfs") for index, uuid in enumerate(machine.uuids)
        ]
        reading = sink.readings[machine.uuids[2]][-1]
        assert (reading.utilization, reading.vram_used_bytes, reading.power_watts) == (0.4, 3 * GIB, 153)
        assert sink.processes[machine.uuids[1]] == (Process(101, GIB),)
        assert sink.processes[machine.uuids[2]] == ()
        assert not sink.failures
        assert not sink.restarts


async def test_processes_are_not_looked_at_where_they_are_not_wanted(machine: Machine) -> None:
    async with source(machine, "sysfs", processes=False) as sink:
        await sink.more(machine.uuids)
        await sink.until(lambda: len(sink.health) == 8)
        assert not sink.processes


@pytest.fixture
def agreeing(machine: Machine, library: SimulatedLibrary) -> Machine:
    """The library says what the kernel's files say."""
    for gpu in library:
        for name, value in vars(Telemetry(average_gfx_activity=40)).items():
            for place, one in _places(name, value):
                gpu.patch(place, one)
    return machine


def _places(name: str, value: Any) -> Iterator[tuple[str, int]]:
    """Yields fields of the library's metrics, where the simulation says something else than the kernel's table."""
    renamed = {"curr_socket_power": "current_socket_power"}
    if name in {"xgmi_read_data_acc", "xgmi_write_data_acc", "current_gfxclk"}:
        plural = {"current_gfxclk": "current_gfxclks"}.get(name, name)
        yield from ((f"{plural}[{index}]", one) for index, one in enumerate(value))
    elif isinstance(value, int) and name not in {"system_clock_counter", "firmware_timestamp"}:
        yield renamed.get(name, name), value


async def test_where_both_agree_both_serve_and_nothing_stands_in(agreeing: Machine) -> None:
    machine = agreeing
    async with source(machine) as sink:
        await sink.until(lambda: sources(sink) == ["both"] * 8)
        assert {gpu.library_version for gpu in sink.gpus} == {"26.0.2"}
        assert {gpu.stand_in for gpu in sink.gpus} == {""}
        assert {alias for gpu in sink.gpus for alias in gpu.aliases} == set(machine.uuids)
        assert not sink.failures


async def test_a_library_that_agrees_is_not_asked_at_each_reading(
    agreeing: Machine, library: SimulatedLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "_CHECK_SECONDS", 3600.0)

    def calls() -> list[int]:
        return [gpu.calls(Call.METRICS) for gpu in library]

    async with source(agreeing) as sink, asyncio.timeout(60):
        await sink.until(lambda: sources(sink) == ["both"] * 8)
        asked: list[int] = []
        while asked != (asked := calls()):
            await sink.more(agreeing.uuids, 5)
        agreeing.says(3, "mem_info_vram_used", b"1024\n")
        await sink.until(lambda: sink.readings[agreeing.uuids[3]][-1].vram_used_bytes == 1024)
        assert calls() == asked


async def test_a_library_that_begins_to_misread_is_found_out_and_its_word_never_served(
    agreeing: Machine, library: SimulatedLibrary
) -> None:
    async with source(agreeing) as sink:
        await sink.until(lambda: sources(sink) == ["both"] * 8)
        await sink.more(agreeing.uuids, 10)
        library[3].patch("average_gfx_activity", 27)
        await sink.until(lambda: "utilization: amdsmi says 0.27, the kernel 0.4" in sink.gpus[3].stand_in)
        assert {reading.utilization for reading in sink.readings[agreeing.uuids[3]]} == {0.4}
        assert {gpu.stand_in for gpu in sink.gpus if gpu.index != 3} == {""}


async def test_what_the_library_alone_tells_is_asked_for_at_each_reading(
    agreeing: Machine, library: SimulatedLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "_CHECK_SECONDS", 3600.0)
    table = pack(Telemetry(average_gfx_activity=40, pcie_replay_count_acc=2**64 - 1), "1.8", 1)
    agreeing.says(3, "gpu_metrics", table)
    async with source(agreeing) as sink:
        await sink.until(lambda: sources(sink) == ["both"] * 8)
        await sink.more(agreeing.uuids, 10)
        library[3].patch("pcie_replay_count_acc", 77)
        await sink.until(lambda: sink.readings[agreeing.uuids[3]][-1].pcie_replays == 77)


async def test_without_a_library_every_gpu_is_read_and_it_is_said_why(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "exporter.devices")
    monkeypatch.setenv("ROCM_HOME", "/nonexistent")
    monkeypatch.setenv("ROCM_PATH", "/nonexistent")
    async with source(machine) as sink:
        await sink.until(lambda: all(gpu.stand_in for gpu in sink.gpus) and len(sink.gpus) == 8)
        await sink.more(machine.uuids)
        assert sources(sink) == ["sysfs"] * 8
        assert "libamd_smi.so cannot be loaded" in sink.gpus[0].stand_in
        assert not sink.failures
    lines = [record.getMessage() for record in caplog.records]
    words = [line.removeprefix("readings of GPU ").split(" come from the kernel's files: ") for line in lines]
    assert sorted(", ".join(gpus for gpus, _ in words).split(", ")) == list("01234567")  # each once
    assert {reason for _, reason in words} == {sink.gpus[0].stand_in}


async def test_what_the_library_misreads_is_the_kernels(machine: Machine, library: SimulatedLibrary) -> None:
    library[3].load(utilization=27, vram=4 * GIB)
    async with source(machine) as sink:
        await sink.until(lambda: len(sink.gpus) == 8 and "utilization: amdsmi says 0.27" in sink.gpus[3].stand_in)
        await sink.more(machine.uuids)
        assert {reading.utilization for reading in sink.readings[machine.uuids[3]]} == {0.4}
        assert sink.gpus[3].source == "both"
        assert not any(re.search("(^|; )utilization:", gpu.stand_in) for gpu in sink.gpus if gpu.index != 3)
        assert not sink.failures


async def test_a_library_that_fails_on_every_gpu_is_stood_in_for(machine: Machine, library: SimulatedLibrary) -> None:
    for gpu in library:
        gpu.fault(Call.METRICS, error=43)
    async with source(machine) as sink:
        await sink.until(lambda: len(sink.gpus) == 8 and all("error 43" in gpu.stand_in for gpu in sink.gpus))
        await sink.more(machine.uuids)
        assert {source for source, _ in sink.origins} == {"sysfs"}
        assert not sink.failures


async def test_a_call_that_hangs_costs_no_reading(machine: Machine, library: SimulatedLibrary) -> None:
    async with source(machine) as sink:
        await sink.until(lambda: "sysfs" not in sources(sink) and len(sink.gpus) == 8)
        library.init.hang = True  # nobody takes over
        library[3].fault(Call.METRICS, hang=True)
        await sink.until(lambda: sources(sink)[3] == "sysfs")
        await sink.more(machine.uuids, 10)
        library.init.hang = False
        await sink.until(lambda: sink.restarts["timeout"] + sink.restarts["retry"])
        await sink.until(lambda: [index for index, one in enumerate(sources(sink)) if one == "sysfs"] == [3])
        await sink.more(machine.uuids)
        assert not sink.failures


async def test_a_library_that_does_not_begin_costs_no_reading(
    machine: Machine, library: SimulatedLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "_START_SECONDS", 1.0)
    library.init.hang = True
    async with source(machine) as sink:
        while sink.restarts["retry"] < 2:  # it was left out, and tried again
            await sink.more(machine.uuids, 5)
        library.init.hang = False
        while "sysfs" in sources(sink):
            await sink.more(machine.uuids, 1)
        assert not sink.failures


async def test_a_library_that_is_slow_to_begin_is_waited_for(
    machine: Machine, library: SimulatedLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "_START_SECONDS", 15.0)
    library.init.delay_us = 6_000_000  # well beyond the third in which a call is looked upon as late
    async with source(machine) as sink:
        await sink.until(lambda: "sysfs" not in sources(sink) and len(sink.gpus) == 8)
        assert ("sysfs", "amdsmi does not begin") not in sink.origins
        assert not sink.restarts


async def test_a_wedged_gpu_that_hangs_calls_and_starts_costs_no_reading(
    machine: Machine, library: SimulatedLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "_START_SECONDS", 1.0)
    async with source(machine) as sink:
        await sink.until(lambda: "sysfs" not in sources(sink) and len(sink.gpus) == 8)
        library[3].fault(Call.METRICS, hang=True)
        library.init.hang = True
        while sink.restarts["timeout"] + sink.restarts["retry"] < 3:
            await sink.more(machine.uuids, 5)
        await sink.more(machine.uuids)
        assert not sink.failures


async def test_a_library_that_crashes_costs_a_start_of_python(machine: Machine, library: SimulatedLibrary) -> None:
    async with source(machine) as sink:
        await sink.until(lambda: "sysfs" not in sources(sink) and len(sink.gpus) == 8)
        library[5].fault(Call.METRICS, crashes=10_000)
        await sink.until(lambda: sink.restarts["crash"] == 1)
        await sink.more(machine.uuids)
        await sink.until(lambda: sources(sink)[5] == "sysfs" and "SIGSEGV" in sink.gpus[5].stand_in)
        await sink.until(lambda: sources(sink).count("sysfs") == 1)
        assert not sink.failures


async def test_a_library_that_crashes_on_every_gpu_is_left_out_as_a_whole_after_one_crash_of_the_one_that_reads(
    machine: Machine, library: SimulatedLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "exporter.devices")
    for gpu in library:
        gpu.fault(Call.METRICS, crashes=10_000)
    async with source(machine) as sink:
        await sink.until(lambda: sink.restarts["retry"] >= 5)
        await sink.more(machine.uuids)
        assert sink.restarts["crash"] == 1
        assert not sink.failures
    assert not faults_told(caplog)
    (told,) = (record.getMessage() for record in caplog.records)
    assert re.match("readings of GPU 0, 1, 2, 3, 4, 5, 6, 7 come from the kernel's files: .*SIGSEGV", told)


async def test_a_worker_that_stands_still_is_replaced(machine: Machine) -> None:
    async with source(machine, "sysfs", limit=1.0) as sink:
        await sink.more(machine.uuids)
        (pid,) = children()
        os.kill(pid, signal.SIGSTOP)
        await sink.until(lambda: sink.restarts["timeout"] == 1)
        await sink.more(machine.uuids)
        assert sink.kinds(None) == [ReadTimeoutError]


async def test_a_file_that_hangs_holds_its_own_gpu_only(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "exporter.devices")
    async with source(machine, "sysfs", limit=1.0) as sink:
        await sink.more(machine.uuids)
        with a_read_that_hangs(machine.file(3, "gpu_metrics")):
            await sink.until(lambda: sink.kinds(machine.uuids[3]) == [ReadTimeoutError])
            count = sink.count(machine.uuids[3])
            await sink.more(machine.without(3), 10)
            assert sink.count(machine.uuids[3]) == count
            assert not sink.restarts
        await sink.until(lambda: sink.recoveries == [machine.uuids[3]])
        await sink.more(machine.uuids)
        assert {uuid for uuid, _ in sink.failures} == {machine.uuids[3]}
    assert len(faults_told(caplog)) == 2


async def test_a_file_that_hangs_from_the_start_leaves_its_gpu_announced(machine: Machine) -> None:
    with a_read_that_hangs(machine.file(3, "gpu_metrics")):
        async with source(machine, "sysfs", limit=1.0) as sink:
            await sink.more(machine.without(3))
            await sink.until(lambda: ReadTimeoutError in sink.kinds(machine.uuids[3]))
            assert [gpu.index for gpu in sink.gpus] == list(range(8))


async def test_a_gpu_that_answers_slowly_keeps_a_rhythm_and_the_others_theirs(machine: Machine) -> None:
    file = machine.file(3, "gpu_metrics")
    with slowly(file, file.read_bytes(), 0.25):
        async with source(machine, "sysfs", limit=60.0) as sink:
            await sink.until(lambda: len(sink.readings.get(machine.uuids[3], [])) >= 4)
            slow = sink.readings[machine.uuids[3]][1:]
            assert max(reading.period for reading in slow) >= 0.3  # as it takes 0.25 s, and is asked each 0.1 s
            assert sink.are_joined(machine.uuids[3], 0.1)
            assert min(len(sink.readings[uuid]) for uuid in machine.without(3)) > 5
            assert not sink.failures


@pytest.mark.parametrize(
    "content",
    [b"", b"\x08", pack(Telemetry(), "1.8", 1)[:100], pack(Telemetry(), "1.8", 1) + b"\0", b"\x08\0\x03\x07\0\0\0\0"],
    ids=["empty", "one byte", "short", "long", "another revision"],
)
async def test_a_table_that_is_none_is_one_gpus_failure(machine: Machine, content: bytes) -> None:
    machine.says(3, "gpu_metrics", content)
    async with source(machine, "sysfs") as sink:
        await sink.more(machine.without(3))
        assert [gpu.index for gpu in sink.gpus] == list(range(8))
        assert set(sink.kinds(machine.uuids[3])) == {ReadFailedError}
        assert {uuid for uuid, _ in sink.failures} == {machine.uuids[3]}


async def test_of_a_broken_table_the_library_is_not_believed_either(machine: Machine) -> None:
    machine.says(3, "gpu_metrics", pack(Telemetry(), "1.8", 1)[:100])
    async with source(machine) as sink:
        await sink.until(lambda: sources(sink).count("sysfs") <= 1 and len(sink.gpus) == 8)
        await sink.more(machine.without(3))
        assert machine.uuids[3] not in sink.readings


async def test_a_table_newer_than_is_known_here_is_left_to_the_library(machine: Machine) -> None:
    machine.says(3, "gpu_metrics", b"\x08\0\x01\x63\0\0\0\0")
    async with source(machine) as sink:
        await sink.more(machine.uuids)
        assert sink.gpus[3].source == "amdsmi"


async def test_what_cannot_be_is_absent_and_counted_and_the_rest_is_read(machine: Machine) -> None:
    machine.says(3, "mem_info_vram_used", b"140737488355328\n")
    async with source(machine, "sysfs") as sink:
        await sink.more(machine.uuids)
        reading = sink.readings[machine.uuids[3]][-1]
        assert (reading.vram_used_bytes, reading.utilization) == (None, 0.4)
        assert set(sink.kinds(machine.uuids[3])) == {ImplausibleError}
        machine.says(3, "mem_info_vram_used", b"1024\n")
        await sink.until(lambda: sink.recoveries == [machine.uuids[3]])
        assert sink.readings[machine.uuids[3]][-1].vram_used_bytes == 1024


async def test_a_gpu_that_goes_and_comes_back_keeps_its_index(machine: Machine) -> None:
    async with source(machine) as sink:
        await sink.until(lambda: "sysfs" not in sources(sink) and len(sink.gpus) == 8)
        target = machine.link(3).readlink()
        machine.link(3).unlink()
        await sink.until(lambda: GpuLostError in sink.kinds(machine.uuids[3]))
        await sink.more(machine.without(3))
        machine.link(3).symlink_to(target)
        await sink.until(lambda: sink.recoveries == [machine.uuids[3]])
        await sink.until(lambda: sink.restarts["rescan"] == 1)  # as the library knows it from before only
        await sink.more(machine.uuids)
        assert [(gpu.index, gpu.uuid) for gpu in sink.gpus] == list(enumerate(machine.uuids))


async def test_gpus_that_change_places_are_known_by_their_ids(machine: Machine) -> None:
    async with source(machine, "sysfs") as sink:
        await sink.more(machine.uuids)
        targets = {index: machine.link(index).readlink() for index in (2, 5)}
        for index in targets:
            machine.link(index).unlink()
        await sink.until(lambda: all(GpuLostError in sink.kinds(machine.uuids[index]) for index in targets))
        machine.says(2, "unique_id", machine.uuids[5].encode())
        machine.says(5, "unique_id", machine.uuids[2].encode())
        for index, target in targets.items():
            machine.link(index).symlink_to(target)
        await sink.until(lambda: len(sink.gpus) == 8 and sink.gpus[2].uuid == machine.uuids[5])
        await sink.until(lambda: sink.gpus[5].uuid == machine.uuids[2])
        await sink.more(machine.uuids)
        assert sink.readings[machine.uuids[5]][-1].vram_used_bytes == 3 * GIB
        assert set(sink.kinds(machine.uuids[2])) == {GpuLostError}


async def test_what_the_library_lists_and_the_kernel_does_not_have_is_no_gpu(machine: Machine) -> None:
    machine.link(6).unlink()
    async with source(machine) as sink:
        await sink.until(lambda: sources(sink) == ["both"] * 7)
        await sink.more(machine.without(6))
        assert not sink.failures


async def test_a_library_that_lists_nothing_but_what_is_not_there_is_stood_in_for(
    machine: Machine, library: SimulatedLibrary
) -> None:
    for index in range(8):
        target = machine.link(index).readlink()
        machine.link(index).unlink()
        elsewhere = machine.link(index).with_name(f"0001:{index:02x}:00.0")
        elsewhere.symlink_to(target)
    async with source(machine) as sink:
        await sink.until(lambda: all("names no GPU that the kernel has" in gpu.stand_in for gpu in sink.gpus))
        await sink.more(machine.uuids)
        assert sources(sink) == ["sysfs"] * len(library)
        assert not sink.failures


async def test_two_gpus_with_one_id_are_not_confused(machine: Machine) -> None:
    machine.says(7, "unique_id", machine.uuids[0].encode())
    async with source(machine, "sysfs") as sink:
        await sink.more(machine.without(7))
        assert [gpu.index for gpu in sink.gpus] == list(range(7))
        assert "as the GPU at 0000:05:00 has" in str(sink.failures[0][1])


async def test_a_gpu_whose_id_the_kernel_does_not_tell_has_the_librarys(machine: Machine) -> None:
    machine.says(3, "unique_id", b"")
    async with source(machine) as sink:
        await sink.more(machine.uuids)
        assert sink.gpus[3].uuid == machine.uuids[3]


async def test_partitions_ids_are_aliases_whichever_source_serves(tmp_path: Path, library: SimulatedLibrary) -> None:
    machine = Machine(tmp_path, library)
    node = replace(machine.node, mode="CPX", xcd_ids_in_kfd=True)
    machine.sys = tmp_path / "cpx"
    node.write(machine.sys)
    async with source(machine, "sysfs") as sink:
        await sink.more(machine.uuids)
        assert [(gpu.index, gpu.uuid) for gpu in sink.gpus] == list(enumerate(machine.uuids))
        assert sink.gpus[1].aliases == {machine.uuids[1], *(f"{xcd:016x}" for xcd in range(9, 17))}
