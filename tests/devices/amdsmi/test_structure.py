"""The structure instead of the dict: the real bindings over the simulated library, in a process for each test."""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from exporter.devices.amdsmi import library as module
from exporter.devices.amdsmi.library import Library
from exporter.devices.amdsmi.structure import Structure
from exporter.devices.economy import AGREEMENTS
from exporter.errors import ReadFailedError
from exporter.model import Reading
from tests.support.amdsmi import SimulatedLibrary

_CALL = "amdsmi_get_gpu_metrics_info"
_OFTEN = 3 * AGREEMENTS

Dict = dict[str, Any]


class Observed:
    """The library, and how often its bindings were asked for the dict."""

    def __init__(self, change: Callable[[Dict], Dict] = dict) -> None:
        self.library = Library(3600.0)
        self.dicts = 0
        smi: Any = self.library._smi
        ask = getattr(smi, _CALL)

        def asked(handle: object) -> Dict:
            self.dicts += 1
            return change(ask(handle))

        setattr(smi, _CALL, asked)

    def read(self) -> Reading:
        return self.library.read(self.library.addresses[0])


def elsewhere(task: Callable[[], Any]) -> Any:
    """Runs it in a fresh process: the library is loaded once for all in one."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(task).result(60)


def by_both() -> tuple[list[int], list[Reading]]:
    observed = Observed()
    counts, readings = [], []
    for _ in range(_OFTEN):
        readings.append(observed.read())
        counts.append(observed.dicts)
    return counts, readings


@pytest.mark.parametrize("partitions", [1, 8])
def test_once_it_has_agreed_the_structure_is_read_and_says_what_the_dict_says(
    library: SimulatedLibrary, partitions: int
) -> None:
    gpu = library[0]
    gpu.load(utilization=40, power=0, vram=2**34)  # without power its energy stands still
    for link in range(8):  # what else would grow
        gpu.patch(f"xgmi_read_data_acc[{link}]", 100 + link)
        gpu.patch(f"xgmi_write_data_acc[{link}]", 200 + link)
    for field in ("prochot", "ppt", "socket_thm", "vr_thm", "hbm_thm"):
        gpu.patch(f"{field}_residency_acc", 300)
    gpu.state.partitions = partitions
    gpu.patch("pcie_replay_count_acc", 255)
    for absent in ("temperature_mem", "accumulation_counter", "current_gfxclks[3]", "xgmi_read_data_acc[2]"):
        gpu.absent(absent)
    counts, readings = elsewhere(by_both)
    assert counts[AGREEMENTS - 1 :] == [counts[-1]] * (_OFTEN - AGREEMENTS + 1)
    assert {str(replace(reading, taken=0.0)) for reading in readings} == {str(replace(readings[0], taken=0.0))}
    assert readings[-1].utilization is not None
    assert "memory" not in readings[-1].temperatures_celsius
    assert readings[-1].throttle_ticks is None
    assert "2" not in readings[-1].xgmi_read_bytes


def _of_another_power(metrics: Dict) -> Dict:
    return metrics | {"current_socket_power": 999}


def with_another_dict() -> set[float | None]:
    observed = Observed(_of_another_power)
    return {observed.read().power_watts for _ in range(_OFTEN)}


def test_where_the_two_differ_the_dict_is_served(library: SimulatedLibrary) -> None:
    library[0].load(power=500)
    assert elsewhere(with_another_dict) == {999}


def without_structure() -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "Structure", lambda _: Structure(ModuleType("amdsmi")))
        observed = Observed()
    for _ in range(_OFTEN):
        observed.read()
    return observed.dicts


def test_bindings_without_such_a_structure_are_read_by_their_dict(library: SimulatedLibrary) -> None:
    del library
    assert elsewhere(without_structure) == _OFTEN


def with_a_failure() -> tuple[str, int]:
    observed = Observed()
    for _ in range(_OFTEN):
        observed.read()
    before = observed.dicts
    structure: Any = observed.library._structure
    structure._fill = lambda *_: 30
    with pytest.raises(ReadFailedError) as failure:
        observed.read()
    observed.read()
    return str(failure.value), observed.dicts - before


def test_a_failure_is_told_as_the_bindings_tell_it_and_sends_back_to_the_dict(library: SimulatedLibrary) -> None:
    del library
    message, dicts = elsewhere(with_a_failure)
    assert re.fullmatch(f"{_CALL}: AMDSMI_STATUS_BUSY.* \\(error 30\\); another program holds the GPU's lock", message)
    assert dicts == 1
