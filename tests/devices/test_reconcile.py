from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.devices.reconcile import Reconciler, agree
from exporter.model import Reading

KERNEL = Reading(
    1.0, 0.45, 0.2, 2**30, 500.0, 1000.0, {"hotspot": 60.0}, {"gfx": 2e9}, {"ppt": 5}, 100, {"1": 10}, {"1": 20}, 3
)


def unchanged() -> Reading:
    return KERNEL


def unasked() -> Reading:
    pytest.fail("the kernel need not be asked again")


def test_the_library_serves_what_the_kernel_says_too() -> None:
    reconciler = Reconciler()
    library = replace(KERNEL, taken=1.001)

    assert reconciler.served(KERNEL, library, unasked) is library
    assert reconciler.reasons == {}


def test_the_kernel_suffices_while_the_library_says_no_more() -> None:
    reconciler = Reconciler()
    for library, suffices in (
        (KERNEL, True),
        (replace(KERNEL, energy_joules=None), True),
        (replace(KERNEL, temperatures_celsius={"hotspot": 60.0, "memory": 50.0}), False),
        (replace(KERNEL, power_watts=10.0), False),
    ):
        reconciler.served(KERNEL, library, unchanged)
        assert reconciler.kernel_suffices is suffices
    reconciler.served(replace(KERNEL, pcie_replays=None), KERNEL, unchanged)
    assert not reconciler.kernel_suffices


def test_the_kernel_suffices_again_once_it_is_said_that_the_library_is_not_believed() -> None:
    reconciler = Reconciler()
    for suffices in (False, False, True, True):
        reconciler.served(KERNEL, replace(KERNEL, power_watts=10.0), unchanged)
        assert reconciler.kernel_suffices is suffices is ("power_watts" in reconciler.reasons)


def test_what_the_library_does_not_tell_comes_from_the_kernel() -> None:
    reconciler = Reconciler()
    library = replace(KERNEL, energy_joules=None, throttle_residency={})

    assert reconciler.served(KERNEL, library, unasked) == KERNEL
    assert reconciler.reasons.keys() == {"energy_joules", "throttle_residency"}


def test_what_the_kernel_does_not_tell_comes_from_the_library() -> None:
    reconciler = Reconciler()

    assert reconciler.served(replace(KERNEL, power_watts=None), KERNEL, unasked) == KERNEL
    assert reconciler.reasons == {}


def test_what_contradicts_the_kernel_is_never_served_and_after_three_times_said() -> None:
    reconciler = Reconciler()
    library = replace(KERNEL, utilization=0.27)
    for is_said in (False, False, True, True):
        assert reconciler.served(KERNEL, library, unchanged) == KERNEL
        assert ("utilization" in reconciler.reasons) == is_said
    assert reconciler.reasons["utilization"] == "amdsmi says 0.27, the kernel 0.45"


def test_what_time_explains_is_no_contradiction() -> None:
    reconciler = Reconciler()
    later = replace(KERNEL, utilization=0.9, energy_joules=1002.0, temperatures_celsius={"hotspot": 62.0})
    between = replace(KERNEL, utilization=0.9, energy_joules=1001.0, temperatures_celsius={"hotspot": 61.0})
    for _ in range(5):
        assert reconciler.served(KERNEL, between, lambda: later) == between
    assert reconciler.reasons == {}


def test_contradictions_with_agreement_between_are_forgotten() -> None:
    reconciler = Reconciler()
    wrong = replace(KERNEL, power_watts=10.0)
    for library in (wrong, wrong, KERNEL, wrong, wrong):
        reconciler.served(KERNEL, library, unchanged)
    assert reconciler.reasons == {}


def test_a_field_that_the_library_begins_to_tell_is_the_librarys_again() -> None:
    reconciler = Reconciler()
    reconciler.served(KERNEL, replace(KERNEL, pcie_replays=None), unasked)
    reconciler.served(KERNEL, KERNEL, unasked)
    assert reconciler.reasons == {}


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100)), max_size=8))
def test_what_is_served_lies_between_what_the_kernel_said(beats: list[tuple[int, int, int]]) -> None:
    reconciler = Reconciler()
    for before, told, after in beats:
        kernel, later = Reading(1.0, utilization=before / 100), Reading(1.0, utilization=after / 100)
        served = reconciler.served(kernel, Reading(1.0, utilization=told / 100), lambda later=later: later)  # type: ignore[misc]
        assert served.utilization is not None
        assert min(before, after) <= round(served.utilization * 100) <= max(before, after)


def test_two_ways_agree_where_they_are_equal_or_time_explains_the_difference() -> None:
    between = replace(KERNEL, energy_joules=1001.0, temperatures_celsius={"hotspot": 61.0})
    later = replace(KERNEL, energy_joules=1002.0, temperatures_celsius={"hotspot": 62.0})
    assert agree(KERNEL, replace(KERNEL, taken=2.0), unasked)
    assert agree(KERNEL, between, lambda: later)
    assert not agree(KERNEL, between, unchanged)


@pytest.mark.parametrize(
    "other",
    [{"power_watts": None}, {"temperatures_celsius": {}}, {"temperatures_celsius": {"hotspot": 60.0, "memory": 1.0}}],
)
def test_two_ways_differ_where_one_tells_what_the_other_does_not(other: dict[str, Any]) -> None:
    assert not agree(KERNEL, replace(KERNEL, **other), unchanged)
    assert not agree(replace(KERNEL, **other), KERNEL, unchanged)
