"""The worker process over the real bindings and the simulated library."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from exporter.devices import amdsmi, process
from exporter.devices.process import Worker, Workers
from exporter.devices.protocol import Verb
from exporter.errors import (
    DeviceError,
    DriverMissingError,
    GpuLostError,
    LibraryMismatchError,
    LibraryMissingError,
    PermissionDeniedError,
    ReadFailedError,
    ReadTimeoutError,
    WorkerCrashedError,
)
from exporter.model import Gpu, Health, Reading
from tests.support.amdsmi import Call, SimulatedLibrary

GIB = 2**30
FIRST = "0000:05:00"
SECOND = "0000:07:00"


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with asyncio.timeout(30), Workers() as pool:
        yield pool


@pytest.fixture
async def worker(library: SimulatedLibrary, workers: Workers) -> Worker:
    del library
    begun = await workers.start()
    await begun.begin()
    return begun


async def ask(worker: Worker, verb: Verb, address: str = FIRST) -> Any:
    worker.ask(verb, address)
    return (await worker.answer(verb)).value


def proc(worker: Worker, name: str) -> bytes:
    """What the kernel tells of its process."""
    return Path(f"/proc/{worker.pid}/{name}").read_bytes()


async def test_a_gpu_is_identified_in_full(worker: Worker, library: SimulatedLibrary) -> None:
    assert await ask(worker, Verb.IDENTIFY, SECOND) == Gpu(
        index=1,
        uuid=library[1].uuid,
        aliases=frozenset({library[1].uuid}),
        model="AMD Instinct MI300X",
        bdf="0000:07:00.0",
        card="card9",
        driver_version="6.14.14",
        vbios_version="022.040.003.043.000001",
        compute_partition="SPX",
        memory_partition="NPS1",
        vram_total_bytes=206_141_652_992,
    )


async def test_a_reading_says_what_the_hardware_does(worker: Worker, library: SimulatedLibrary) -> None:
    library[0].load(utilization=63, power=500, vram=100 * GIB)
    library[0].patch("energy_accumulator", 65536 * 1000)
    reading: Reading = await ask(worker, Verb.READ)
    assert reading.utilization == 0.63
    assert reading.vram_used_bytes == 100 * GIB
    assert reading.power_watts == 500
    assert reading.energy_joules == 1000
    assert reading.temperatures_celsius.keys() == {"hotspot", "memory", "vrsoc"}
    assert reading.clocks_hertz.keys() == {"gfx", "memory"}
    assert reading.xgmi_read_bytes.keys() == {"1", "2", "3", "4", "5", "6", "7"}
    assert reading.throttle_residency.keys() == {"prochot", "ppt", "socket_thermal", "vr_thermal", "hbm_thermal"}


async def test_health_counts_errors_and_retired_pages(worker: Worker, library: SimulatedLibrary) -> None:
    library[0].state.ecc[:] = 5, 65535, 255
    library[0].state.bad_pages = 3
    ecc = {"correctable": 5, "uncorrectable": 65535, "deferred": 255}
    assert await ask(worker, Verb.INSPECT) == Health(ecc, 3)


async def test_health_is_absent_without_ras(worker: Worker, library: SimulatedLibrary) -> None:
    library[0].fault(Call.ECC, error=2)
    library[0].fault(Call.PAGES, error=10)
    assert await ask(worker, Verb.INSPECT) == Health()


async def test_what_one_gpu_lacks_another_has(worker: Worker, library: SimulatedLibrary) -> None:
    for field in ("average_gfx_activity", "current_socket_power", "energy_accumulator", "temperature_mem"):
        library[0].absent(field)
    for xcc in range(8):
        library[0].absent(f"xcp_stats[0].gfx_busy_inst[{xcc}]")
    library[0].fault(Call.VRAM, error=2)
    lacking: Reading = await ask(worker, Verb.READ, FIRST)
    whole: Reading = await ask(worker, Verb.READ, SECOND)
    for name in ("utilization", "power_watts", "energy_joules", "vram_used_bytes"):
        assert getattr(lacking, name) is None
        assert getattr(whole, name) is not None
    assert "memory" not in lacking.temperatures_celsius
    assert "memory" in whole.temperatures_celsius


@pytest.mark.parametrize("genuine", [255, 65535])
async def test_genuine_values_that_look_like_sentinels_stay(
    worker: Worker, library: SimulatedLibrary, genuine: int
) -> None:
    library[0].patch("pcie_replay_count_acc", genuine)
    library[0].patch("accumulation_counter", genuine)
    library[0].patch("ppt_residency_acc", genuine)
    library[0].patch("xgmi_read_data_acc[0]", genuine)
    reading: Reading = await ask(worker, Verb.READ)
    assert reading.pcie_replays == genuine
    assert reading.throttle_ticks == genuine
    assert reading.throttle_residency["ppt"] == genuine
    assert reading.xgmi_read_bytes["0"] == genuine * 1024


async def test_narrower_sentinels_that_slip_through_the_bindings_are_absent(
    worker: Worker, library: SimulatedLibrary
) -> None:
    library[0].patch("prochot_residency_acc", 2**32 - 1)
    library[0].patch("pcie_replay_count_acc", 2**32 - 1)
    reading: Reading = await ask(worker, Verb.READ)
    assert "prochot" not in reading.throttle_residency
    assert reading.pcie_replays is None


async def test_a_partitioned_gpu_stays_one(library: SimulatedLibrary, workers: Workers) -> None:
    library[0].state.partitions = 8
    library[0].load(vram=7 * GIB)
    library[0].patch("xcp_stats[0].gfx_busy_inst[0]", 80)
    worker = await workers.start()
    await worker.begin()
    assert list(worker.positions.values()) == [0, 8, 9, 10, 11, 12, 13, 14]
    gpu: Gpu = await ask(worker, Verb.IDENTIFY, FIRST)
    reading: Reading = await ask(worker, Verb.READ, FIRST)
    assert (gpu.index, gpu.uuid, gpu.compute_partition) == (0, library[0].uuid, "CPX")
    assert (reading.utilization, reading.vram_used_bytes) == (0.1, 7 * GIB)
    second: Gpu = await ask(worker, Verb.IDENTIFY, SECOND)
    assert (second.index, second.uuid) == (8, library[1].uuid)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (8, ReadFailedError),
        (10, PermissionDeniedError),
        (30, ReadFailedError),
        (31, GpuLostError),
        (43, ReadFailedError),
    ],
)
async def test_an_error_code_becomes_a_typed_error(
    worker: Worker, library: SimulatedLibrary, code: int, error: type[DeviceError]
) -> None:
    library[0].fault(Call.METRICS, error=code)
    with pytest.raises(error, match=rf"amdsmi_get_gpu_metrics_info.*\(error {code}\); ") as caught:
        await ask(worker, Verb.READ)
    assert type(caught.value) is error
    library[0].fault(Call.METRICS)
    await ask(worker, Verb.READ)


async def test_what_the_library_prints_disturbs_neither_the_answers_nor_our_output(
    library: SimulatedLibrary, workers: Workers, capfd: pytest.CaptureFixture[str]
) -> None:
    library.node.noise = 1
    worker = await workers.start()
    await worker.begin()
    assert (await ask(worker, Verb.IDENTIFY)).uuid == library[0].uuid
    assert "noise" not in capfd.readouterr().out


async def refusal(workers: Workers) -> DeviceError:
    worker = await workers.start()
    with pytest.raises(DeviceError) as caught:
        await worker.begin()
    return caught.value


async def test_a_missing_library_is_told_apart(
    library: SimulatedLibrary, workers: Workers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del library
    monkeypatch.setenv("ROCM_HOME", str(tmp_path))
    monkeypatch.setenv("ROCM_PATH", str(tmp_path))
    error = await refusal(workers)
    assert isinstance(error, LibraryMissingError)
    assert "pip install /opt/rocm/share/amd_smi" in str(error)


async def test_missing_bindings_are_told_apart(
    library: SimulatedLibrary, workers: Workers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del library
    (tmp_path / "amdsmi.py").write_text("raise ModuleNotFoundError(name='amdsmi')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    error = await refusal(workers)
    assert isinstance(error, LibraryMissingError)
    assert "bindings are not installed" in str(error)


async def test_a_library_without_the_symbols_of_the_bindings_is_a_mismatch(
    library: SimulatedLibrary, workers: Workers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del library
    (tmp_path / "lib").mkdir()
    empty = await asyncio.create_subprocess_exec(
        "gcc", "-shared", "-x", "c", "/dev/null", "-o", str(tmp_path / "lib" / "libamd_smi.so")
    )
    assert await empty.wait() == 0
    monkeypatch.setenv("ROCM_HOME", str(tmp_path))
    error = await refusal(workers)
    assert isinstance(error, LibraryMismatchError)
    assert "undefined symbol" in str(error)


@pytest.mark.parametrize("version", [(25, 3, 0), (26, 1, 0), (27, 0, 0)])
async def test_a_library_of_another_version_is_refused(
    library: SimulatedLibrary, workers: Workers, version: tuple[int, int, int]
) -> None:
    library.node.version[:] = version
    error = await refusal(workers)
    assert isinstance(error, LibraryMismatchError)
    assert f"libamd_smi.so is version {version[0]}.{version[1]}, the bindings 7.0.2 are for 26.0" in str(error)


@pytest.mark.parametrize(
    ("bindings", "library"),
    [("6.2.4", (24,)), ("6.4.3", (25,)), ("7.0.2", (26, 0)), ("7.1.0", (26, 1)), ("26.0.2+8dc45db", (26, 0))],
)
def test_bindings_name_the_library_that_they_are_for(bindings: str, library: tuple[int, ...]) -> None:
    assert amdsmi.library_version_for(bindings) == library


@pytest.mark.parametrize("bindings", ["8.0.0", "27.0.0", "unknown"])
def test_unknown_bindings_are_refused(bindings: str) -> None:
    with pytest.raises(LibraryMismatchError, match="not among those known"):
        amdsmi.library_version_for(bindings)


async def test_no_driver_is_told_apart(library: SimulatedLibrary, workers: Workers) -> None:
    library.init.error = 34
    error = await refusal(workers)
    assert isinstance(error, DriverMissingError)
    assert "modprobe amdgpu" in str(error)


async def test_a_driver_without_a_gpu_is_told_apart(library: SimulatedLibrary, workers: Workers) -> None:
    for gpu in library:
        gpu.state.present = False
    assert isinstance(await refusal(workers), DriverMissingError)


async def test_a_hanging_start_is_given_up(
    library: SimulatedLibrary, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.init.hang = True
    monkeypatch.setattr(process, "_START_SECONDS", 1.0)
    assert isinstance(await refusal(workers), ReadTimeoutError)


async def test_without_access_no_id_is_believed(worker: Worker, library: SimulatedLibrary) -> None:
    library[0].state.no_access = True
    with pytest.raises(PermissionDeniedError, match="groups render and video"):
        await ask(worker, Verb.IDENTIFY)


async def test_a_crash_names_its_signal(worker: Worker, library: SimulatedLibrary) -> None:
    library[0].fault(Call.METRICS, crashes=1)
    with pytest.raises(WorkerCrashedError, match="SIGSEGV"):
        await ask(worker, Verb.READ)


async def test_the_worker_does_not_see_the_token(library: SimulatedLibrary, workers: Workers) -> None:
    del library
    os.environ["EXPORTER_TASKS_TOKEN"] = "a secret"
    try:
        worker = await workers.start()
    finally:
        del os.environ["EXPORTER_TASKS_TOKEN"]
    await worker.begin()
    environment = proc(worker, "environ")
    assert b"ROCM_HOME" in environment
    assert b"EXPORTER_TASKS_TOKEN" not in environment


async def test_the_worker_imports_only_what_it_needs(worker: Worker) -> None:
    mapped = proc(worker, "maps")
    assert b"libamd_smi.so" in mapped
    assert not [name for name in (b"aiohttp", b"pydantic", b"_ssl", b"yaml") if name in mapped]


async def test_a_process_that_cannot_be_started_is_a_typed_error(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_COMMAND", ["/nonexistent/python"])
    with pytest.raises(WorkerCrashedError, match="no worker process can be started: No such file"):
        await workers.start()


async def test_the_block_leaves_no_process_behind(library: SimulatedLibrary) -> None:
    async with Workers() as workers:
        quick, hung = await workers.start(), await workers.start()
        await quick.begin()
        await hung.begin()
        library[0].fault(Call.METRICS, hang=True)
        hung.ask(Verb.READ, FIRST)
    for worker in (quick, hung):
        with pytest.raises(FileNotFoundError):
            proc(worker, "stat")


PARENT = """
import asyncio, time
from exporter.devices.process import Workers
from exporter.devices.protocol import Verb

async def main():
    async with Workers() as workers:
        worker = await workers.start()
        await worker.begin()
        worker.ask(Verb.READ, "0000:05:00")
        await worker.answer(Verb.READ)
        worker.ask(Verb.READ, "0000:07:00")
        print(worker.pid, flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


@pytest.mark.parametrize("hung", [False, True])
def test_the_worker_ends_with_its_parent_even_inside_a_hanging_call(library: SimulatedLibrary, hung: bool) -> None:
    library[1].fault(Call.METRICS, hang=hung)
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        ended = os.pidfd_open(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    readable, _, _ = select.select([ended], [], [], 20)
    if not readable:
        signal.pidfd_send_signal(ended, signal.SIGKILL)
    os.close(ended)
    assert readable
