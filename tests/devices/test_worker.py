"""The worker process over the real bindings and the simulated library, without any file of the kernel."""

from __future__ import annotations

import asyncio
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.devices.protocol import Batch, LibraryState, Plan
from exporter.devices.supervisor import process
from exporter.devices.supervisor.process import Worker, Workers
from exporter.errors import (
    DeviceError,
    DriverMissingError,
    GpuLostError,
    LibraryMismatchError,
    LibraryMissingError,
    PermissionDeniedError,
    ReadFailedError,
    WorkerCrashedError,
)
from exporter.model import Gpu, Health, Reading
from tests.support.amdsmi import Call, SimulatedLibrary

GIB = 2**30
FIRST = "0000:05:00"
SECOND = "0000:07:00"


PLAN = Plan(source="amdsmi", interval=0.05, timeout=5.0, sysfs="/nonexistent")


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with asyncio.timeout(120), Workers() as pool:
        yield pool


@pytest.fixture
async def worker(library: SimulatedLibrary, workers: Workers) -> Worker:
    del library
    return await workers.start(PLAN)


async def heard(worker: Worker, told: Callable[[Batch], Any]) -> Any:
    """Waits for what a batch tells; the first that is not empty or None."""
    while not (found := told(await worker.batch())):
        pass
    return found


async def gpu_of(worker: Worker, address: str) -> Gpu:
    gpu: Gpu = await heard(worker, lambda batch: dict(batch.gpus).get(address))
    return gpu


async def reading_of(worker: Worker, address: str = FIRST) -> Reading:
    """Returns a reading of what the hardware does now: the second from now on."""
    await heard(worker, lambda batch: [one for one in batch.readings if one[0] == address])
    found = await heard(worker, lambda batch: [reading for where, _, reading in batch.readings if where == address])
    reading: Reading = found[-1]
    return reading


async def health_of(worker: Worker, address: str = FIRST) -> Health:
    health: Health = await heard(worker, lambda batch: dict(batch.health).get(address))
    return health


async def failure_of(worker: Worker, address: str = FIRST) -> DeviceError:
    failure = await heard(worker, lambda batch: {where: one for where, _, one in batch.failures}.get(address))
    error: DeviceError = failure.error()
    return error


def proc(worker: Worker, name: str) -> bytes:
    """What the kernel tells of its process."""
    return Path(f"/proc/{worker.pid}/{name}").read_bytes()


async def test_a_gpu_is_identified_in_full(worker: Worker, library: SimulatedLibrary) -> None:
    assert await gpu_of(worker, SECOND) == Gpu(
        index=0,
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
        source="amdsmi",
        library_version="26.0.2",
    )


async def test_a_reading_says_what_the_hardware_does(worker: Worker, library: SimulatedLibrary) -> None:
    library[0].load(utilization=63, power=500, vram=100 * GIB)
    library[0].patch("energy_accumulator", 65536 * 1000)
    reading = await reading_of(worker)
    assert reading.utilization == 0.63
    assert reading.vram_used_bytes == 100 * GIB
    assert reading.power_watts == 500
    assert reading.energy_joules == 1000
    assert reading.temperatures_celsius.keys() == {"hotspot", "memory", "vrsoc"}
    assert reading.clocks_hertz.keys() == {"gfx", "memory"}
    assert reading.xgmi_read_bytes.keys() == {"1", "2", "3", "4", "5", "6", "7"}
    assert reading.throttle_residency.keys() == {"prochot", "ppt", "socket_thermal", "vr_thermal", "hbm_thermal"}


async def test_health_counts_errors_and_retired_pages(library: SimulatedLibrary, workers: Workers) -> None:
    library[0].state.ecc[:] = 5, 65535, 255
    library[0].state.bad_pages = 3
    ecc = {"correctable": 5, "uncorrectable": 65535, "deferred": 255}
    assert await health_of(await workers.start(PLAN)) == Health(ecc, 3)


async def test_health_is_absent_without_ras(library: SimulatedLibrary, workers: Workers) -> None:
    library[0].fault(Call.ECC, error=2)
    library[0].fault(Call.PAGES, error=10)
    worker = await workers.start(PLAN)
    seen: set[str] = set()
    while len(seen) < 7:
        seen.update(dict((await worker.batch()).health))
    assert FIRST not in seen


async def test_what_one_gpu_lacks_another_has(worker: Worker, library: SimulatedLibrary) -> None:
    for field in ("average_gfx_activity", "current_socket_power", "energy_accumulator", "temperature_mem"):
        library[0].absent(field)
    for xcc in range(8):
        library[0].absent(f"xcp_stats[0].gfx_busy_inst[{xcc}]")
    library[0].fault(Call.VRAM, error=2)
    lacking = await reading_of(worker, FIRST)
    whole = await reading_of(worker, SECOND)
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
    reading = await reading_of(worker)
    assert reading.pcie_replays == genuine
    assert reading.throttle_ticks == genuine
    assert reading.throttle_residency["ppt"] == genuine
    assert reading.xgmi_read_bytes["0"] == genuine * 1024


async def test_narrower_sentinels_that_slip_through_the_bindings_are_absent(
    worker: Worker, library: SimulatedLibrary
) -> None:
    library[0].patch("prochot_residency_acc", 2**32 - 1)
    library[0].patch("pcie_replay_count_acc", 2**32 - 1)
    reading = await reading_of(worker)
    assert "prochot" not in reading.throttle_residency
    assert reading.pcie_replays is None


async def test_a_partitioned_gpu_stays_one(library: SimulatedLibrary, workers: Workers) -> None:
    library[0].state.partitions = 8
    library[0].load(vram=7 * GIB)
    library[0].patch("xcp_stats[0].gfx_busy_inst[0]", 80)
    worker = await workers.start(PLAN)
    batches = [await worker.batch()]
    while not batches[-1].readings:
        batches.append(await worker.batch())
    gpus = {address: gpu for batch in batches for address, gpu in batch.gpus}
    assert next(batch.present for batch in batches if batch.present) == sorted(gpus)
    assert len(gpus) == 8
    assert (gpus[FIRST].uuid, gpus[FIRST].compute_partition) == (library[0].uuid, "CPX")
    assert gpus[SECOND].uuid == library[1].uuid
    reading = await reading_of(worker, FIRST)
    assert (reading.utilization, reading.vram_used_bytes) == (0.1, 7 * GIB)


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
    await reading_of(worker)
    library[0].fault(Call.METRICS, error=code)
    failure = await failure_of(worker)
    assert type(failure) is error
    assert "amdsmi_get_gpu_metrics_info" in str(failure)
    assert f"(error {code}); " in str(failure)
    await reading_of(worker, SECOND)


async def test_a_gpu_that_fails_time_and_again_is_given_up_and_said_so(
    worker: Worker, library: SimulatedLibrary
) -> None:
    await reading_of(worker)
    library[0].fault(Call.METRICS, error=30)
    given_up = await heard(worker, lambda batch: batch.library and batch.library.given_up)
    assert given_up.keys() == {FIRST}
    asked = library[0].calls(Call.METRICS)
    await reading_of(worker, SECOND)
    assert library[0].calls(Call.METRICS) == asked


async def test_what_the_library_prints_disturbs_neither_the_answers_nor_our_output(
    library: SimulatedLibrary, workers: Workers, capfd: pytest.CaptureFixture[str]
) -> None:
    library.node.noise = 1
    worker = await workers.start(PLAN)
    assert (await gpu_of(worker, FIRST)).uuid == library[0].uuid
    assert "noise" not in capfd.readouterr().out


async def refusal(workers: Workers) -> DeviceError:
    worker = await workers.start(PLAN)
    failure = await heard(worker, lambda batch: batch.nothing)
    error: DeviceError = failure.error()
    return error


async def test_a_missing_library_is_told_apart(
    library: SimulatedLibrary, workers: Workers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del library
    monkeypatch.setenv("ROCM_HOME", str(tmp_path))
    monkeypatch.setenv("ROCM_PATH", str(tmp_path))
    error = await refusal(workers)
    assert isinstance(error, LibraryMissingError)
    assert "install ROCm's amd-smi-lib" in str(error)


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


@pytest.mark.parametrize("version", [(25, 3, 0), (26, 1, 0), (31, 0, 0)])
async def test_a_library_of_any_version_is_read_and_named(
    library: SimulatedLibrary, workers: Workers, version: tuple[int, int, int]
) -> None:
    library.node.version[:] = version
    worker = await workers.start(PLAN)
    assert (await gpu_of(worker, FIRST)).library_version == ".".join(map(str, version))
    assert (await reading_of(worker)).utilization == 0.0


async def test_no_driver_is_told_apart(library: SimulatedLibrary, workers: Workers) -> None:
    library.init.error = 34
    error = await refusal(workers)
    assert isinstance(error, DriverMissingError)
    assert "modprobe amdgpu" in str(error)


async def test_a_driver_without_a_gpu_is_told_apart(library: SimulatedLibrary, workers: Workers) -> None:
    for gpu in library:
        gpu.state.present = False
    assert isinstance(await refusal(workers), DriverMissingError)


async def test_a_hanging_start_is_said(library: SimulatedLibrary, workers: Workers) -> None:
    library.init.hang = True
    worker = await workers.start(Plan(source="amdsmi", interval=0.05, timeout=1.0, start=1.0, sysfs="/nonexistent"))
    news = await heard(worker, lambda batch: batch.library and batch.library.overdue and batch.library)
    assert (news.state, news.late) == (LibraryState.STARTING, "library")


async def test_a_hanging_call_is_said_and_ends_in_what_was_asked(worker: Worker, library: SimulatedLibrary) -> None:
    await reading_of(worker)
    library[1].fault(Call.METRICS, hang=True)
    assert await heard(worker, lambda batch: batch.library and batch.library.late) == SECOND
    library[1].fault(Call.METRICS)
    await heard(worker, lambda batch: batch.library and batch.library.late is None)
    await reading_of(worker, SECOND)


async def test_without_access_no_id_is_believed(library: SimulatedLibrary, workers: Workers) -> None:
    library[0].state.no_access = True
    failure = await failure_of(await workers.start(PLAN))
    assert isinstance(failure, PermissionDeniedError)
    assert "groups render and video" in str(failure)


async def test_a_crash_names_its_signal_and_its_suspect(worker: Worker, library: SimulatedLibrary) -> None:
    await reading_of(worker)
    library[1].fault(Call.METRICS, crashes=1)
    with pytest.raises(WorkerCrashedError, match="SIGSEGV"):
        await heard(worker, lambda _: False)
    assert worker.kill() == SECOND


@pytest.mark.parametrize(
    "answer",
    [
        "x",
        "{}x",
        "[]",
        '{"readings": null}',
        '{"readings": [["0000:05:00", 0.1, null]]}',
        '{"readings": [["0000:05:00", 0.1, {"taken": 1e18}]]}',  # no reading of this GPU would ever be newer
        '{"readings": [["0000:05:00", 0.1, {"taken": NaN}]]}',
        '{"readings": [["0000:05:00", -1, {"taken": 1}]]}',
        '{"failures": [["0000:05:00", 1e18, {"kind": "what", "message": ""}]]}',  # it would be said to fail for ever
        f'{{"health": [["0000:05:00", {{"retired_pages": {10**400}}}]]}}',
    ],
)
async def test_a_worker_that_speaks_nonsense_is_a_crash(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    speaking = f"import os, sys; os.write(int(sys.argv[1]), {answer.encode()!r} + b'\\n')"
    monkeypatch.setattr(process, "_COMMAND", [sys.executable, "-c", speaking])
    worker = await workers.start(PLAN)
    with pytest.raises(WorkerCrashedError, match="speaks nonsense"):
        await worker.batch()


async def test_a_failure_of_a_kind_that_is_not_known_is_a_failure(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = b'{"failures": [["0000:05:00", 1.0, {"kind": "what", "message": "no idea"}]]}\n'
    monkeypatch.setattr(
        process, "_COMMAND", [sys.executable, "-c", f"import os, sys; os.write(int(sys.argv[1]), {answer!r})"]
    )
    assert str(await failure_of(await workers.start(PLAN))) == "no idea"


async def test_a_line_without_end_is_a_crash(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    speaking = "import os, sys\nwhile True: os.write(int(sys.argv[1]), bytes(65536))"
    monkeypatch.setattr(process, "_COMMAND", [sys.executable, "-c", speaking])
    worker = await workers.start(PLAN)
    with pytest.raises(WorkerCrashedError):
        await worker.batch()


async def test_the_worker_does_not_see_the_token(library: SimulatedLibrary, workers: Workers) -> None:
    del library
    os.environ["EXPORTER_TASKS_TOKEN"] = "a secret"
    try:
        worker = await workers.start(PLAN)
    finally:
        del os.environ["EXPORTER_TASKS_TOKEN"]
    await worker.batch()
    environment = proc(worker, "environ")
    assert b"ROCM_HOME" in environment
    assert b"EXPORTER_TASKS_TOKEN" not in environment


async def test_the_worker_imports_only_what_it_needs(worker: Worker) -> None:
    await reading_of(worker)
    mapped = proc(worker, "maps")
    assert b"libamd_smi.so" in mapped
    assert not [name for name in (b"aiohttp", b"pydantic", b"_ssl", b"yaml") if name in mapped]


async def test_the_kernel_takes_the_worker_first_and_bounds_its_memory(worker: Worker) -> None:
    await worker.batch()
    assert proc(worker, "oom_score_adj") == b"1000\n"
    bound = next(line.split() for line in proc(worker, "limits").decode().splitlines() if "address space" in line)
    size = next(line.split() for line in proc(worker, "status").decode().splitlines() if line.startswith("VmPeak"))
    assert int(size[1]) * 1024 < int(bound[3]) / 2


async def test_no_descriptor_left_is_a_typed_error_and_passes(library: SimulatedLibrary, workers: Workers) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())), hard))
    try:
        with pytest.raises(WorkerCrashedError, match="Too many open files"):
            await workers.start(PLAN)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (await gpu_of(await workers.start(PLAN), FIRST)).uuid == library[0].uuid


async def test_a_process_that_cannot_be_started_is_a_typed_error(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_COMMAND", ["/nonexistent/python"])
    with pytest.raises(WorkerCrashedError, match="no worker process can be started: No such file"):
        await workers.start(PLAN)


async def test_the_block_leaves_no_process_behind(library: SimulatedLibrary) -> None:
    async with Workers() as workers:
        quick = await workers.start(PLAN)
        await reading_of(quick)
        library[0].fault(Call.METRICS, hang=True)
        hung = await workers.start(PLAN)
        await hung.batch()
    for worker in (quick, hung):
        with pytest.raises(FileNotFoundError):
            proc(worker, "stat")


PARENT = """
import asyncio
from exporter.devices.protocol import Plan
from exporter.devices.supervisor.process import Workers

async def main():
    async with Workers() as workers:
        worker = await workers.start(Plan(source="amdsmi", interval=0.05, timeout=5.0, sysfs="/nonexistent"))
        await worker.batch()
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
    readable, _, _ = select.select([ended], [], [], 120)
    if not readable:
        signal.pidfd_send_signal(ended, signal.SIGKILL)
    os.close(ended)
    assert readable
