from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.devices.plausibility import plausible
from exporter.model import Reading

TOTAL = 192 * 2**30
NUMBERS = st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, 2000.0, 200.0]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"vram_used_bytes": TOTAL + 1},
        {"vram_used_bytes": 2**47},
        {"vram_used_bytes": 2**64 - 2},
        {"vram_used_bytes": -1},
        {"utilization": 1.01},
        {"utilization": -0.01},
        {"memory_controller_utilization": 255.0},
        {"power_watts": 2001.0},
        {"temperatures_celsius": {"hotspot": 201.0}},
    ],
)
def test_what_cannot_be_is_left_out_and_named(wrong: dict[str, Any]) -> None:
    whole, faults = plausible(Reading(taken=1.0, energy_joules=5.0, **wrong), TOTAL)

    assert whole == Reading(taken=1.0, energy_joules=5.0)
    assert len(faults) == 1


@pytest.mark.parametrize("vram", [2**47, 2**64 - 2])
def test_vram_that_nothing_has_is_left_out_where_the_total_is_not_known(vram: int) -> None:
    assert plausible(Reading(1.0, vram_used_bytes=vram), None)[0].vram_used_bytes is None


def test_what_can_be_stays_as_it_is() -> None:
    reading = Reading(1.0, 1.0, 0.0, TOTAL, 2000.0, 1e9, {"hotspot": 200.0, "memory": -5.0})

    assert plausible(reading, TOTAL) == (reading, ())


@given(NUMBERS, NUMBERS, st.one_of(st.none(), st.integers(-1, 2**65)), NUMBERS, st.floats(-300, 300))
def test_what_is_served_can_be(busy: Any, umc: Any, vram: int | None, watts: Any, celsius: float) -> None:
    reading = Reading(1.0, busy, umc, vram, watts, temperatures_celsius={"hotspot": celsius, "memory": 50.0})
    whole, faults = plausible(reading, TOTAL)

    assert whole.utilization is None or 0 <= whole.utilization <= 1
    assert whole.memory_controller_utilization is None or 0 <= whole.memory_controller_utilization <= 1
    assert whole.vram_used_bytes is None or 0 <= whole.vram_used_bytes <= TOTAL
    assert whole.power_watts is None or 0 <= whole.power_watts <= 2000
    assert all(value <= 200 for value in whole.temperatures_celsius.values())
    assert whole.temperatures_celsius["memory"] == 50.0
    assert bool(faults) == (whole != reading)
