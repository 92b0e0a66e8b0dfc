"""What the kernel's files say, and what the library does."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given
from hypothesis import strategies as st

from exporter.devices import decode
from exporter.devices.plausibility import plausible
from exporter.devices.sysfs import processes
from exporter.devices.sysfs.files import Files
from exporter.devices.sysfs.gpu_metrics import decode as fields
from exporter.devices.sysfs.tree import Tree
from exporter.errors import DeviceError, ReadFailedError
from exporter.gpu_id import canonical
from exporter.model import Reading
from tests.fuzz.fuzzing import SCALARS, TEXTS, documents, mutated, reads_or_refuses
from tests.libraries.gpu_metrics import REVISIONS, Telemetry, pack

TABLES = [pack(Telemetry(), revision, partitions) for revision in REVISIONS for partitions in (1, 8)]
CONTENTS = (
    mutated([b"206141652992\n", b"ce: 3\nue: 0\nde: 18446744073709551615\n", b"0x00001234 : 0x00001000 : R\n"])
    | TEXTS.map(lambda text: text.encode(errors="surrogatepass"))
    | st.just(b"9" * 5000)
)
PROPERTIES = mutated(
    [b"cpu_cores_count 0\nunique_id 5958573513127692019\ndomain 0\nlocation_id 1280\n", b"domain " + b"9" * 5000]
)
CGROUPS = mutated([b"0::/system.slice/docker-" + b"4f" * 32 + b".scope\n", b"0::/slurm/uid_1000/job_81/step_0\n"])
STATUSES = mutated([b"Name:\tpython3\nUid:\t0\t0\t0\t0\n", b"Uid:\t99999999999999999999\n", b"Uid:\t" + b"7" * 5000])
ANSWERS = st.dictionaries(
    st.sampled_from(
        [
            "average_gfx_activity", "average_umc_activity", "current_gfxclks", "current_socket_power",
            "energy_accumulator", "temperature_hotspot", "xcp_stats.gfx_busy_inst", "xgmi_read_data_acc",
            "accumulation_counter", "ppt_residency_acc", "pcie_replay_count_acc", "current_uclk",
        ]
    ),
    SCALARS | st.lists(SCALARS | st.lists(SCALARS, max_size=3), max_size=9),
)  # fmt: skip
_NONSENSE = (AttributeError, ValueError, TypeError, LookupError, OSError, ArithmeticError)
"""What `exporter.devices.amdsmi.library` makes a `ReadFailedError` of."""


def check(reading: Reading) -> None:
    """Nothing that cannot be is left of it."""
    whole, _ = plausible(reading, None)
    assert whole.utilization is None or 0 <= whole.utilization <= 1
    assert whole.vram_used_bytes is None or whole.vram_used_bytes >= 0
    for value in (whole.power_watts, whole.energy_joules, *whole.temperatures_celsius.values()):
        assert value is None or math.isfinite(value)


@given(mutated(TABLES) | st.binary(max_size=64))
@reads_or_refuses(ReadFailedError)
def test_gpu_metrics(table: bytes) -> None:
    check(decode.reading(fields(table), None, taken=0.0))


@given(mutated(TABLES), CONTENTS, CONTENTS, CONTENTS)
@reads_or_refuses(DeviceError)
def test_the_files_of_a_gpu(table: bytes, vram: bytes, errors: bytes, pages: bytes) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ras").mkdir()
        (folder / "ras" / "umc_err_count").write_bytes(errors)
        (folder / "ras" / "gpu_vram_bad_pages").write_bytes(pages)
        (folder / "gpu_metrics").write_bytes(table)
        (folder / "mem_info_vram_used").write_bytes(vram)
        health = Files(name).inspect()
        assert all(count >= 0 for count in health.ecc_errors.values())
        check(Files(name).read())


@example(files={"mem_info_vram_total": b"9" * 5000}, properties=b"domain " + b"9" * 5000)
@given(st.dictionaries(st.sampled_from(["unique_id", "vendor", "device", "mem_info_vram_total"]), CONTENTS), PROPERTIES)
@reads_or_refuses()
def test_who_a_gpu_is(files: dict[str, bytes], properties: bytes) -> None:
    with TemporaryDirectory() as name:
        device = Path(name, "bus/pci/drivers/amdgpu/0000:05:00.0")
        node = Path(name, "class/kfd/kfd/topology/nodes/1")
        for folder in (device, node):
            folder.mkdir(parents=True)
        for file, content in {"gpu_metrics": b"", "vendor": b"0x1002", **files}.items():
            (device / file).write_bytes(content)
        (node / "gpu_id").write_text("4711")
        (node / "properties").write_bytes(properties)
        tree = Tree(name)
        for address in [*tree.addresses(), "0000:05:00"]:
            found = tree.identify(address)
            assert all(canonical(alias) == alias for alias in found.aliases)


@example(vram=b"1", cgroup=b"", status=b"Uid:\t9999999999\t0\n", comm=b"")
@example(vram=b"9" * 5000, cgroup=b"", status=b"Uid:\t" + b"9" * 5000 + b"\t0", comm=b"")
@given(CONTENTS, CGROUPS, STATUSES, st.binary(max_size=20))
@reads_or_refuses()
def test_processes(vram: bytes, cgroup: bytes, status: bytes, comm: bytes) -> None:
    with TemporaryDirectory() as name:
        node = Path(name, "class/kfd/kfd/topology/nodes/1")
        kfd = Path(name, "class/kfd/kfd/proc/99")
        proc = Path(name, "proc/99")
        for folder in (node, kfd, proc):
            folder.mkdir(parents=True)
        (node / "gpu_id").write_text("4711")
        (node / "properties").write_text("domain 0\nlocation_id 1280\n")
        (kfd / "vram_4711").write_bytes(vram)
        for file, content in {"cgroup": cgroup, "status": status, "comm": comm}.items():
            (proc / file).write_bytes(content)
        found = processes.running(Tree(name), name, str(proc.parent))
        assert found is not None
        for process in found["0000:05:00"]:
            assert process.vram_used_bytes > 0
            assert len(process.container) <= 64
            process.user.encode()


@given(ANSWERS, SCALARS)
@reads_or_refuses(*_NONSENSE)
def test_the_answers_of_the_library(metrics: dict[str, object], vram: object) -> None:
    asdict(decode.reading(metrics, vram, taken=0.0))
    check(decode.reading(metrics, vram, taken=0.0))


@given(documents("correctable_count", "uncorrectable_count", "deferred_count"))
@reads_or_refuses(*_NONSENSE)
def test_what_the_library_says_of_health(answer: object) -> None:
    decode.health(answer, None)  # type: ignore[arg-type]


@given(SCALARS | st.binary(max_size=20))
@reads_or_refuses()
def test_unique_ids(spelling: object) -> None:
    found = canonical(spelling)
    assert found is None or (len(found) == 16 and canonical(found) == found)
