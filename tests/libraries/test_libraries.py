"""Nothing that is wrong with a library costs a GPU its readings."""

from __future__ import annotations

import re

import pytest

from tests.libraries import changes
from tests.libraries.expected import differences, series
from tests.libraries.made_up_gpu import device_folder
from tests.libraries.serving import checked, serving
from tests.libraries.watching import (
    Library,
    MachineMaker,
    Recorder,
    all_up,
    by_library,
    goes_on,
    hanging,
    node,
    served_from,
    shows_the_files,
)

pytestmark = pytest.mark.libraries


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


async def test_the_bindings_of_the_newest_rocm_release_are_found(
    library: Library, machine: MachineMaker, record: Recorder
) -> None:
    here = machine(node())
    changes.lay_out_as_rocm(here)
    _, version = await shows_the_files(here, record, "bindings in /opt/rocm/core-*", until=by_library)
    assert library.version in version


async def test_a_library_newer_than_any_known_works(library: Library, machine: MachineMaker, record: Recorder) -> None:
    here = machine(node())
    changes.advance_version(here)
    _, version = await shows_the_files(here, record, "next major", until=by_library)
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
    await shows_the_files(here, record, "PyPI's bindings first", environment=changes.pypi_first(here))


@pytest.mark.parametrize("calls", ["NONSENSE", "CRASH", "HANG"])
async def test_a_library_whose_metrics_are_nonsense_crash_it_or_hang_is_stood_in_for(
    machine: MachineMaker, record: Recorder, calls: str
) -> None:
    here = machine(node())
    changes.put_before(here, getattr(changes, calls))
    async with serving(here) as running:
        shown = await running.shows(lambda metrics: all_up(metrics) and not differences(metrics, series(here.node)))
        record(f"metrics call: {calls.lower()}", shown, len(series(here.node)), 0)
        # And it goes on: nobody waits for the library in vain for ever.
        await goes_on(running, shown)


async def test_a_library_that_hangs_as_it_starts_costs_no_gpu_its_readings(
    machine: MachineMaker, record: Recorder
) -> None:
    here = machine(node())
    # The library looks for its monitors as it starts; the exporter has no use for them.
    monitor = next((here.sys / device_folder(here.node.gpus[0].bdf)).glob("hwmon/*/name"))
    wanted = series(here.node)
    with hanging(monitor):
        async with serving(here) as running:
            shown = await running.shows(all_up)
            wrong = differences(shown, wanted)
            record("library hangs at start", shown, len(wanted), len(wrong))
            assert not wrong
            assert served_from(shown)[0] == "sysfs"
            await goes_on(running, shown)


async def test_no_traceback_and_no_line_of_the_bindings_reaches_the_log(machine: MachineMaker) -> None:
    here = machine(node())
    changes.remove_library(here)
    async with serving(here) as running:
        await running.shows(all_up)
        log = "\n".join(running.log)
    assert not re.search(r"Traceback|KeyError|try installing amd-smi-lib", log)
