"""A GPU whose files are wrong has no readings; the others do not notice."""

from __future__ import annotations

import re
import struct

import pytest

from tests.libraries.expected import Series, differences, series
from tests.libraries.gpu_metrics import Telemetry, pack
from tests.libraries.machine import Machine
from tests.libraries.made_up_gpu import device_folder
from tests.libraries.serving import serving
from tests.libraries.watching import GPUS, MachineMaker, Recorder, all_up, goes_on, hanging, node
from tests.support.exporter import Metrics

pytestmark = pytest.mark.libraries


def all_up_but_3(metrics: Metrics) -> bool:
    return metrics.values("amdgpu_up") == [float(index != 3) for index in range(GPUS)]


def others(here: Machine) -> list[Series]:
    """What is to be served of all GPUs but number 3."""
    return [line for line in series(here.node) if line.labels["gpu"] != "3"]


def replace_metrics(here: Machine, data: bytes) -> None:
    """Gives GPU 3 another file, whole at once."""
    file = here.sys / device_folder(here.node.gpus[3].bdf) / "gpu_metrics"
    other = file.with_suffix(".other")
    other.write_bytes(data)
    other.rename(file)


# The libraries do not look at sizes: of a file that is empty or cut short they tell what they read last, be it another
# GPU's, and call it a success.
_BROKEN = [
    pytest.param(b"", id="empty"),
    pytest.param(pack(Telemetry(), "1.5")[:100], id="cut short"),
    pytest.param(b"\xff\xff" + pack(Telemetry(), "1.5")[2:], id="of another size than it says"),
    pytest.param(struct.pack("<HBBi", 8, 1, 9, -1), id="of negative attributes"),
    pytest.param(struct.pack("<HBB", 64, 1, 77) + bytes(60), id="of an unknown revision"),
]


@pytest.mark.parametrize("data", _BROKEN)
async def test_a_gpu_whose_metrics_cannot_be_read_has_none_is_named_once_and_leaves_the_others_alone(
    machine: MachineMaker, data: bytes
) -> None:
    here = machine(node())
    replace_metrics(here, data)
    async with serving(here) as running:
        shown = await running.shows(lambda metrics: not differences(metrics, others(here)))
        await goes_on(running, shown, without=frozenset({3}))
        shown = Metrics(await running.get("/metrics"))
        assert shown.value("amdgpu_utilization_ratio", gpu="3") is None
        assert shown.value("amdgpu_power_watts", gpu="3") is None
        assert len([line for line in running.log if re.search("(WARNING|ERROR) .*GPU 3.*gpu_metrics", line)]) == 1
        here.node.update(here.sys, 3, here.node.gpus[3])
        await running.shows(lambda metrics: not differences(metrics, series(here.node)))


# A file of another revision than before is another driver's, which is a matter of starting anew.
@pytest.mark.parametrize("data", _BROKEN[:-2])
async def test_no_stale_value_is_served_of_metrics_that_can_no_longer_be_read(
    machine: MachineMaker, data: bytes
) -> None:
    here = machine(node())
    async with serving(here) as running:
        await running.shows(all_up)
        replace_metrics(here, data)
        shown = await running.shows(lambda metrics: metrics.value("amdgpu_utilization_ratio", gpu="3") is None)
        assert shown.value("amdgpu_power_watts", gpu="3") is None
        assert not differences(shown, others(here))


async def test_a_gpu_that_falls_off_the_bus_leaves_the_others_their_index(machine: MachineMaker) -> None:
    here = machine(node())
    async with serving(here) as running:
        await running.shows(all_up)
        device = here.sys / device_folder(here.node.gpus[3].bdf)
        device.rename(device.with_name("gone"))
        shown = await running.shows(lambda metrics: metrics.value("amdgpu_utilization_ratio", gpu="3") is None)
        await goes_on(running, shown, without=frozenset({3}))
        await running.shows(lambda metrics: not differences(metrics, others(here)))


async def test_a_gpu_whose_file_hangs_holds_itself_alone_and_comes_back(
    machine: MachineMaker, record: Recorder
) -> None:
    here = machine(node())
    async with serving(here) as running:
        await running.shows(all_up)
        with hanging(here.sys / device_folder(here.node.gpus[3].bdf) / "gpu_metrics"):
            shown = await running.shows(all_up_but_3)
            wrong = differences(shown, others(here))
            record("GPU 3 hangs", shown, len(others(here)), len(wrong))
            assert not wrong
            await goes_on(running, shown, without=frozenset({3}))
        await running.shows(lambda metrics: not differences(metrics, series(here.node)))
