from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.devices.decode import health, reading
from exporter.model import Health, Reading

COUNTERS = {
    "accumulation_counter": "throttle_ticks",
    "pcie_replay_count_acc": "pcie_replays",
}
FIELDS = st.one_of(
    st.just("N/A"), st.integers(min_value=0, max_value=2**64 - 1), st.sampled_from([2**32 - 1, 2**16 - 1])
)


def read(**metrics: Any) -> Reading:
    return reading(metrics, None, taken=1.0)


def test_a_gpu_that_tells_nothing_gives_a_reading_of_nothing() -> None:
    assert reading({}, None, taken=1.0) == Reading(taken=1.0)


def test_units_become_base_units() -> None:
    metrics = {
        "average_gfx_activity": 63,
        "average_umc_activity": 20,
        "current_socket_power": 750,
        "energy_accumulator": 65536 * 9,
        "temperature_hotspot": 70,
        "temperature_mem": 60,
        "temperature_vrsoc": 50,
        "current_gfxclks": [2000, 2100, "N/A", "N/A"],
        "current_uclk": 1300,
        "xgmi_read_data_acc": ["N/A", 3],
        "xgmi_write_data_acc": ["N/A", 5],
        "ppt_residency_acc": 7,
        "socket_thm_residency_acc": 8,
    }
    assert reading(metrics, 2**37, taken=4.5) == Reading(
        taken=4.5,
        utilization=0.63,
        memory_controller_utilization=0.2,
        vram_used_bytes=2**37,
        power_watts=750,
        energy_joules=9.0,
        temperatures_celsius={"hotspot": 70, "memory": 60, "vrsoc": 50},
        clocks_hertz={"gfx": 2.05e9, "memory": 1.3e9},
        throttle_residency={"ppt": 7, "socket_thermal": 8},
        xgmi_read_bytes={"1": 3072},
        xgmi_written_bytes={"1": 5120},
    )


@pytest.mark.parametrize("value", [0, 1, 255, 65535, 2**32, 2**64 - 2])
@pytest.mark.parametrize(("field", "attribute"), COUNTERS.items())
def test_counters_keep_every_genuine_value(field: str, attribute: str, value: int) -> None:
    assert getattr(read(**{field: value}), attribute) == value


@pytest.mark.parametrize("sentinel", ["N/A", None, 2**32 - 1, 2**64 - 1])
@pytest.mark.parametrize(("field", "attribute"), COUNTERS.items())
def test_counters_of_all_ones_are_absent(field: str, attribute: str, sentinel: object) -> None:
    assert getattr(read(**{field: sentinel}), attribute) is None


def test_sixteen_bits_of_ones_are_absent_only_where_a_field_has_sixteen() -> None:
    found = read(current_socket_power=65535, temperature_mem=65535, current_uclk=65535, energy_accumulator=65535)
    assert found == Reading(taken=1.0, energy_joules=65535 / 65536)


def test_two_hundred_and_fifty_five_is_a_value() -> None:
    found = read(current_socket_power=255, temperature_mem=255, current_uclk=255)
    assert (found.power_watts, found.temperatures_celsius, found.clocks_hertz) == (
        255,
        {"memory": 255},
        {"memory": 255e6},
    )


@pytest.mark.parametrize("percent", [65535, "N/A", None])
def test_an_activity_that_is_not_available_is_absent(percent: object) -> None:
    assert read(average_gfx_activity=percent, average_umc_activity=percent) == Reading(taken=1.0)


@pytest.mark.parametrize("percent", [101, 255, 4_000_000])
def test_an_activity_beyond_a_hundred_is_left_to_be_found_implausible(percent: int) -> None:
    assert read(average_gfx_activity=percent).utilization == percent / 100


def test_one_xcc_beyond_a_hundred_makes_the_mean_implausible() -> None:
    partitions = [[20, 20], [20, 1_000_000]]
    found = read(**{"average_gfx_activity": "N/A", "xcp_stats.gfx_busy_inst": partitions})
    assert found.utilization == 10_000.0


def test_without_an_average_the_xccs_that_report_are_averaged() -> None:
    partitions = [[100, 50, "N/A"], [0, "N/A", 4294967295], ["N/A"], []]
    found = read(**{"average_gfx_activity": "N/A", "xcp_stats.gfx_busy_inst": partitions})
    assert found.utilization == pytest.approx(0.5)


def test_an_average_comes_before_the_xccs() -> None:
    found = read(**{"average_gfx_activity": 0, "xcp_stats.gfx_busy_inst": [[100]]})
    assert found.utilization == 0.0


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "average_gfx_activity",
                "average_umc_activity",
                "energy_accumulator",
                "current_socket_power",
                "current_uclk",
            ]
        ),
        FIELDS,
    ),
    st.dictionaries(st.sampled_from(["current_gfxclks", "xgmi_read_data_acc"]), st.lists(FIELDS, max_size=8)),
    st.one_of(st.none(), FIELDS),
)
def test_no_sentinel_ever_becomes_a_value(single: dict[str, Any], lists: dict[str, Any], vram: Any) -> None:
    found = reading({**single, **lists}, vram, taken=0.0)
    assert found.utilization not in {655.35, (2**32 - 1) / 100, (2**64 - 1) / 100}
    assert found.vram_used_bytes not in {2**32 - 1, 2**64 - 1}
    assert found.power_watts != 65535
    assert found.energy_joules not in {(2**32 - 1) / 65536, (2**64 - 1) / 65536}
    assert all(value != (2**64 - 1) * 1024 for value in found.xgmi_read_bytes.values())


def test_health_is_absent_where_the_hardware_gives_none() -> None:
    assert health(None, None) == Health()
    counts = {"correctable_count": 65535, "uncorrectable_count": 0, "deferred_count": 2**64 - 1}
    assert health(counts, [{}, {}]) == Health({"correctable": 65535, "uncorrectable": 0}, 2)
