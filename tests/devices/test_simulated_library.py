"""The simulated library is itself a claim: that it fits the bindings, and is as unforgiving as the real one."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.amdsmi.layout import Bindings
from tests.support.amdsmi import Call, SimulatedLibrary

TWO_THREADS = """
import threading, amdsmi
amdsmi.amdsmi_init()
slow, other = amdsmi.amdsmi_get_processor_handles()[:2]
thread = threading.Thread(target=amdsmi.amdsmi_get_gpu_metrics_info, args=[slow])
thread.start()
while thread.is_alive():
    amdsmi.amdsmi_get_gpu_metrics_info(other)
"""

TEMPERATURES = """
import amdsmi
amdsmi.amdsmi_init()
for handle in amdsmi.amdsmi_get_processor_handles():
    metrics = amdsmi.amdsmi_get_gpu_metrics_info(handle)
    print(*(metrics[f"temperature_{sensor}"] for sensor in ("hotspot", "mem", "vrsoc")))
"""


def test_two_threads_on_two_gpus_abort(library: SimulatedLibrary) -> None:
    library[0].fault(Call.METRICS, delay_seconds=1.0)
    done = subprocess.run(
        [sys.executable, "-c", TWO_THREADS], env=os.environ | library.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGABRT
    assert "two threads at once" in done.stderr


def test_the_layout_is_that_of_the_installed_bindings() -> None:
    bindings = Bindings()
    assert ctypes.sizeof(bindings.structure("amdsmi_gpu_metrics_t")) == 4544
    assert len(bindings.symbols) == 184


def test_a_square_wave_integrates_to_its_mean(library: SimulatedLibrary) -> None:
    gpu = library[0]
    gpu.load(utilization=(10, 90), power=(100, 500), period=2.0, duty=0.25, phase=0.5)
    assert gpu.busy_seconds(100.5, 101.0) == pytest.approx(0.45)
    assert gpu.busy_seconds(101.0, 102.5) == pytest.approx(0.15)
    assert gpu.busy_seconds(33.0, 53.0) == pytest.approx(20 * 0.3)
    assert gpu.joules(60.0) - gpu.joules(50.0) == pytest.approx(10 * 200)


def test_energy_goes_on_from_where_it_was(library: SimulatedLibrary) -> None:
    gpu = library[0]
    before = time.monotonic()
    earliest = gpu.joules(before)
    gpu.load(utilization=(0, 100), power=(0, 700), period=3.0)
    loaded = time.monotonic()
    assert earliest <= gpu.joules(loaded) <= earliest + 700 * (loaded - before) + 1


def test_sensors_of_equal_loads_agree_unless_they_are_restless(library: SimulatedLibrary) -> None:
    def shown() -> set[str]:
        command = [sys.executable, "-c", TEMPERATURES]
        return set(subprocess.check_output(command, env=os.environ | library.env, text=True).splitlines())

    assert len(shown()) == 1
    for gpu in library:
        gpu.state.restless = True
    assert len(shown()) > 1
