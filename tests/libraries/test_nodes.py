"""Who may read what, and by which ids a GPU is known, changes no value."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace

import pytest

from tests.libraries.expected import differences, series
from tests.libraries.made_up_sys import Node
from tests.libraries.serving import serving
from tests.libraries.watching import MachineMaker, Recorder, all_up, node, served_from, shows_the_files

pytestmark = pytest.mark.libraries


async def test_the_kernels_files_alone_serve_where_they_are_asked_for(machine: MachineMaker, record: Recorder) -> None:
    here = machine(Node(node().gpus, "CPX", "1.9"), dri=False, privileged=False)
    wanted = series(here.node)
    async with serving(here, {"devices": {"source": "sysfs", "interval": "200ms"}}) as running:
        shown = await running.shows(all_up)
        wrong = differences(shown, wanted)
        record("source: sysfs, CPX 1.9", shown, len(wanted), len(wrong))
        assert not wrong
        assert served_from(shown) == ("sysfs", "")


async def test_without_device_nodes_keys_and_values_are_the_same(machine: MachineMaker, record: Recorder) -> None:
    await shows_the_files(machine(node(), dri=False), record, "no /dev/dri")


async def test_a_user_who_may_not_open_device_nodes_sees_the_same_keys_whatever_ids_kfd_shows(
    machine: MachineMaker, record: Recorder
) -> None:
    made_up = Node(node().gpus, "SPX", "1.5", xcd_ids_in_kfd=True)
    await shows_the_files(machine(made_up, privileged=False), record, "no groups, XCDs' ids in KFD")


async def test_a_package_is_known_by_the_ids_of_all_its_partitions(machine: MachineMaker) -> None:
    gpus = node().gpus
    async with serving(machine(Node(gpus, "CPX", "1.8", xcd_ids_in_kfd=True))) as running:
        shown = await running.shows(all_up)
        for gpu in gpus:
            uuid = f"{gpu.unique_id:016x}"
            aliases = {labels["alias"] for labels in shown.labels("amdgpu_alias_info") if labels["gpu_uuid"] == uuid}
            assert aliases >= {f"{xcd:016x}" for xcd in gpu.xcd_ids}


async def test_who_holds_vram_on_a_gpu_is_told(machine: MachineMaker) -> None:
    made_up = node()
    holder = await asyncio.create_subprocess_exec("sleep", "infinity", user="games")
    try:
        gpus = [*made_up.gpus[:5], replace(made_up.gpus[5], processes={holder.pid: 7 << 30}), *made_up.gpus[6:]]
        here = machine(Node(gpus, "SPX", "1.5"))
        (names := here.folder / "changes/etc/passwd").parent.mkdir(parents=True)
        shutil.copy("/etc/passwd", names)
        async with serving(here) as running:
            shown = await running.shows(lambda metrics: bool(metrics.values("amdgpu_process_vram_used_bytes")))
            assert shown.values("amdgpu_process_vram_used_bytes") == [7 << 30]
            assert shown.value("amdgpu_process_vram_used_bytes", gpu="5", user="games") == 7 << 30
            assert shown.value("amdgpu_processes", gpu="5") == 1
            assert shown.value("amdgpu_processes", gpu="4") == 0
    finally:
        holder.kill()
        await holder.wait()
