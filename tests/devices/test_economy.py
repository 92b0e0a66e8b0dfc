from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.devices.economy import AGREEMENTS, Economy


def agreed(economy: Economy, now: float, times: int = AGREEMENTS) -> None:
    for _ in range(times):
        economy.compared(now, agreed=True)


def test_the_first_readings_are_compared_until_they_have_agreed_often_enough() -> None:
    economy = Economy(60.0)
    for _ in range(AGREEMENTS):
        assert economy.must_compare(100.0)
        economy.compared(100.0, agreed=True)
    assert not economy.must_compare(100.0)


def test_what_agrees_is_compared_again_each_time_that_it_is_due() -> None:
    economy = Economy(60.0)
    agreed(economy, 100.0)
    assert not economy.must_compare(159.0)
    assert economy.must_compare(160.0)
    economy.compared(160.0, agreed=True)
    assert not economy.must_compare(161.0)


def test_one_difference_makes_every_reading_a_comparison_until_they_agree_as_often_again() -> None:
    economy = Economy(60.0)
    agreed(economy, 100.0)
    economy.compared(160.0, agreed=False)
    agreed(economy, 161.0, AGREEMENTS - 1)
    assert economy.must_compare(161.0)
    agreed(economy, 161.0, 1)
    assert not economy.must_compare(161.0)


@given(st.lists(st.booleans(), max_size=40))
def test_the_cheap_way_is_taken_after_agreements_only(comparisons: list[bool]) -> None:
    economy = Economy(60.0)
    for now, one in enumerate(comparisons):
        economy.compared(float(now), agreed=one)
    assert economy.must_compare(len(comparisons)) is not (
        len(comparisons) >= AGREEMENTS and all(comparisons[-AGREEMENTS:])
    )
