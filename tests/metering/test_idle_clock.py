from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.metering.idle_clock import ACTIVE_SHARE, STEP_SECONDS, IdleClock
from exporter.model import Amounts


def lived(*parts: tuple[float, float], step: float = 1.0) -> float | None:
    """For how long a GPU has been idle that was read each second, in parts of (seconds, share of them active)."""
    clock, now, idle = IdleClock(), 0.0, 0.0
    clock.observe(0.0, Amounts())
    for seconds, active in parts:
        until = now + seconds
        while now < until:
            now += step
            idle += step * (1 - active)
            clock.observe(now, Amounts(observed_seconds=now, idle_seconds=idle))
    return clock.seconds(now)


def test_a_gpu_that_was_never_observed_is_not_called_idle() -> None:
    assert IdleClock().seconds(1000.0) is None


def test_one_that_is_active_has_been_idle_for_nothing() -> None:
    assert lived((3600, 0.0), (ACTIVE_SHARE * STEP_SECONDS + 1, 1.0)) == 0.0


def test_it_is_idle_since_the_end_of_the_last_step_in_which_it_was_active() -> None:
    assert lived((STEP_SECONDS, 1.0), (7, 0.0)) == 7.0
    assert lived((STEP_SECONDS, 1.0), (3600, 0.0)) == 3600.0


def test_one_that_has_been_idle_since_it_was_found_is_idle_for_that_long() -> None:
    assert lived((3600, 0.0)) == 3600.0


def test_a_probe_of_seconds_is_no_use() -> None:
    assert lived((1000, 0.0), (3, 1.0), (997, 0.0)) == 2000.0


@given(st.lists(st.tuples(st.integers(1, 500), st.sampled_from([0.0, 0.01, 0.5, 1.0])), min_size=1, max_size=10))
def test_nobody_is_idle_for_longer_than_since_the_first_reading(parts: list[tuple[int, float]]) -> None:
    found = lived(*parts)
    assert found is not None
    assert 0.0 <= found <= sum(seconds for seconds, _ in parts)
