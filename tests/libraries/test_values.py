"""What is served is what the kernel's files say, whatever the library makes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.libraries.expected import ABSENT_16, differences, health, partitioned, series
from tests.libraries.made_up_gpu import MadeUpGpu
from tests.libraries.made_up_sys import Node
from tests.libraries.serving import checked, serving
from tests.libraries.watching import GPUS, Library, MachineMaker, Recorder, by_library, served_from, settled
from tests.support.exporter import Metrics

pytestmark = pytest.mark.libraries

# Drivers for partitioned GPUs write 1.6 and later.
_SCENARIOS = [
    *(("SPX", revision) for revision in ("1.4", "1.5", "1.6", "1.7", "1.8", "1.9")),
    *((mode, revision) for mode in ("DPX", "CPX") for revision in ("1.6", "1.7", "1.8", "1.9")),
    ("QPX", "1.8"),
]


def node(mode: str, revision: str) -> Node:
    gpus = [MadeUpGpu.example(index) for index in range(GPUS)]
    if partitioned(mode):
        # So that utilization is told by the partitions alone.
        gpus = [gpu.with_telemetry(average_gfx_activity=ABSENT_16) for gpu in gpus]
    return Node(gpus, mode, revision)


def reads(library: Library, mode: str, revision: str) -> bool:
    """Whether the library reads such files rightly: 24.5 none newer, 27.1 takes 1.8's partitions for too long."""
    if library.version.startswith("24."):
        return revision in {"1.4", "1.5"}
    return revision != "1.8" or not partitioned(mode)


def with_health(metrics: Metrics) -> bool:
    """Whether what is read rarely has been read."""
    return len(metrics.values("amdgpu_ecc_errors_total")) == 3 * GPUS


@pytest.mark.parametrize(("mode", "revision"), _SCENARIOS)
async def test_every_value_is_the_files_own_and_follows_it(
    library: Library, machine: MachineMaker, record: Recorder, mode: str, revision: str
) -> None:
    before = node(mode, revision)
    here = machine(before)
    async with serving(here) as running:
        await settled(running)
        if reads(library, mode, revision):
            assert library.version in served_from(await running.shows(by_library))[1]
        shown = await running.shows(with_health)
        wanted = series(before) + health(before)
        wrong = differences(shown, wanted)
        record(f"{mode} {revision}", shown, len(wanted), len(wrong))
        assert not wrong

        changed = before.gpus[3].with_telemetry(
            curr_socket_power=640,
            energy_accumulator=before.gpus[3].telemetry.energy_accumulator + 50 * 2**16,
            gfx_busy_inst=(90,) * 8,
            average_gfx_activity=ABSENT_16 if partitioned(mode) else 90,
        )
        after = replace(before, gpus=[*before.gpus[:3], replace(changed, vram_used=150 << 30), *before.gpus[4:]])
        here.update(after)
        await running.shows(lambda metrics: not differences(metrics, series(after)))


@pytest.mark.parametrize(("mode", "revision"), [("SPX", "1.5"), ("CPX", "1.8")])
async def test_check_names_each_gpu_and_what_it_does(
    library: Library, machine: MachineMaker, mode: str, revision: str
) -> None:
    made_up = node(mode, revision)
    status, text = await checked(machine(made_up))
    for index, gpu in enumerate(made_up.gpus):
        line = next(line for line in text.splitlines() if f"GPU {index} " in line)
        assert f"{gpu.unique_id:016x}" in line
        assert f"{sum(gpu.telemetry.gfx_busy_inst) / 800:.0%}" in line
        assert f"{gpu.vram_used / 2**30:.1f} GiB" in line
    if reads(library, mode, revision):
        # On a machine that has much else to do the library may take longer to begin than `check` waits.
        assert library.version in text or "amdsmi does not begin" in text
    assert status == 0, text
