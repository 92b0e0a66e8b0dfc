"""Nothing that is wrong with a library costs a GPU its readings."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.libraries import changes
from tests.libraries.conftest import GPUS, Library, MachineMaker, Recorder, served_from
from tests.libraries.expected import differences, series
from tests.libraries.machine import Machine
from tests.libraries.made_up_gpu import MadeUpGpu, device_folder
from tests.libraries.made_up_sys import Node
from tests.libraries.serving import checked, serving
from tests.support.exporter import Metrics

pytestmark = pytest.mark.libraries


def all_up(metrics: Metrics) -> bool:
    return metrics.values("amdgpu_up") == [1.0] * GPUS


def all_up_but_3(metrics: Metrics) -> bool:
    return metrics.values("amdgpu_up") == [float(index != 3) for index in range(GPUS)]


def node(revision: str = "1.5") -> Node:
    """A node whose files every library can read."""
    return Node([MadeUpGpu.example(index) for index in range(GPUS)], "SPX", revision)


@contextmanager
def hanging(file: Path) -> Iterator[None]:
    """Whoever opens the file waits until the block is left; then it is there again."""
    content = file.read_bytes()
    fifo = file.with_name(f"{file.name}.hanging")
    os.mkfifo(fifo, 0o444)
    os.link(fifo, held := file.with_name(f"{file.name}.held"))
    fifo.rename(file)
    try:
        yield
    finally:
        again = file.with_name(f"{file.name}.again")
        again.write_bytes(content)
        again.rename(file)
        # Opened for both, as it would wait for a reader itself; those who wait read its end.
        os.close(os.open(held, os.O_RDWR | os.O_NONBLOCK))
        held.unlink()


async def shows_the_files(machine: Machine, record: Recorder, scenario: str, **environment: str) -> tuple[str, str]:
    """Serves the machine until all its GPUs are up; returns the source and version it told."""
    wanted = series(machine.node)
    async with serving(machine, None, **environment) as running:
        shown = await running.shows(all_up)
        wrong = differences(shown, wanted)
        record(scenario, shown, len(wanted), len(wrong))
        assert not wrong
        return served_from(shown)


async def test_a_missing_library_is_stood_in_for(machine: MachineMaker, record: Recorder) -> None:
    here = machine(node())
    changes.remove_library(here)
    assert (await shows_the_files(here, record, "library missing"))[0] == "sysfs"
    _, text = await checked(here)
    assert "libamd_smi" in text
    assert "Traceback" not in text


async def test_missing_bindings_are_stood_in_for(machine: MachineMaker, record: Recorder) -> None:
    here = machine(node())
    changes.remove_bindings(here)
    await shows_the_files(here, record, "bindings missing")


async def test_a_library_newer_than_any_known_works(library: Library, machine: MachineMaker, record: Recorder) -> None:
    here = machine(node())
    changes.advance_version(here)
    source, version = await shows_the_files(here, record, "next major")
    assert source in {"amdsmi", "both"}
    assert int(version.partition(".")[0]) == int(library.version.partition(".")[0]) + 1


@pytest.mark.parametrize("call", ["amdsmi_get_gpu_compute_partition", "amdsmi_get_gpu_metrics_info", "amdsmi_init"])
async def test_a_call_that_a_release_removed_is_stood_in_for(
    machine: MachineMaker, record: Recorder, call: str
) -> None:
    here = machine(node())
    changes.remove_calls(here, call)
    await shows_the_files(here, record, f"without {call}")


@pytest.mark.parametrize("symbol", ["amdsmi_init", "amdsmi_get_gpu_metrics_info"])
async def test_a_library_that_lacks_what_the_bindings_bind_is_stood_in_for(
    machine: MachineMaker, record: Recorder, symbol: str
) -> None:
    here = machine(node())
    changes.remove_symbol(here, symbol)
    assert (await shows_the_files(here, record, f"library lacks {symbol}"))[0] == "sysfs"


async def test_pypis_bindings_before_the_nodes_own_make_no_value_wrong(machine: MachineMaker, record: Recorder) -> None:
    here = machine(node())
    await shows_the_files(here, record, "PyPI's bindings first", **changes.pypi_first(here))


async def test_without_device_nodes_keys_and_values_are_the_same(machine: MachineMaker, record: Recorder) -> None:
    await shows_the_files(machine(node(), dri=False), record, "no /dev/dri")


async def test_a_user_who_may_not_open_device_nodes_sees_the_same_keys_whatever_ids_kfd_shows(
    machine: MachineMaker, record: Recorder
) -> None:
    made_up = Node(node().gpus, "SPX", "1.5", xcd_ids_in_kfd=True)
    await shows_the_files(machine(made_up, privileged=False), record, "no groups, XCDs' ids in KFD")


async def test_a_library_that_hangs_as_it_starts_costs_no_gpu_its_readings(
    machine: MachineMaker, record: Recorder
) -> None:
    here = machine(node())
    # The library looks for its monitors as it starts; the exporter has no use for them.
    monitor = next((here.sys / device_folder(here.node.gpus[0].bdf)).glob("hwmon/*/name"))
    with hanging(monitor):
        assert (await shows_the_files(here, record, "library hangs at start"))[0] == "sysfs"


async def test_a_gpu_whose_file_hangs_holds_itself_alone_and_comes_back(
    machine: MachineMaker, record: Recorder
) -> None:
    here = machine(node())
    others = [line for line in series(here.node) if line.labels["gpu"] != "3"]
    async with serving(here) as running:
        await running.shows(all_up)
        with hanging(here.sys / device_folder(here.node.gpus[3].bdf) / "gpu_metrics"):
            shown = await running.shows(all_up_but_3)
            wrong = differences(shown, others)
            record("GPU 3 hangs", shown, len(others), len(wrong))
            assert not wrong
            seen = shown.values("amdgpu_observed_seconds_total")
            await running.shows(
                lambda metrics: all(
                    now > before + 3
                    for index, (now, before) in enumerate(
                        zip(metrics.values("amdgpu_observed_seconds_total"), seen, strict=True)
                    )
                    if index != 3
                )
            )
        await running.shows(lambda metrics: all_up(metrics) and not differences(metrics, series(here.node)))


async def test_no_traceback_and_no_line_of_the_bindings_reaches_the_log(machine: MachineMaker) -> None:
    here = machine(node())
    changes.remove_library(here)
    async with serving(here) as running:
        await running.shows(all_up)
        log = "\n".join(running.log)
    assert not re.search(r"Traceback|KeyError|try installing amd-smi-lib", log)
