from __future__ import annotations

from datetime import UTC, datetime

import pytest

from exporter.model import Amounts, Answer, Task, TaskGpu
from exporter.ownership import Holdings
from exporter.report.accounting.comparison import DAYS, compared, observed_measures, owned_measures
from exporter.report.accounting.figures import Usage
from exporter.report.observed import ObservedDay
from exporter.report.window import window

DAY = window("2025-10-27", None, "Europe/Berlin", datetime(2026, 1, 1, tzinfo=UTC).timestamp())
UUID = "52f67b3700dcc6f3"


def usage(**figures: float) -> Usage:
    return Usage.model_construct(None, **figures)


def test_what_owners_had_is_what_all_gained_less_what_was_nobodys() -> None:
    whole = Amounts(observed_seconds=80_000.0, busy_seconds=36_000.0, idle_seconds=20_000.0, energy_joules=7.2e6)
    unowned = Amounts(observed_seconds=20_000.0, busy_seconds=7200.0, idle_seconds=9200.0)

    assert observed_measures(ObservedDay(whole, unowned)) == pytest.approx(
        {
            "owned_busy_gpu_hours": 8.0,
            "idle_gpu_hours": 3.0,
            "mean_utilization_ratio": 0.45,
            "energy_kwh": 2.0,
            "efficiency_ratio": 0.48,
        }
    )
    assert "efficiency_ratio" not in observed_measures(ObservedDay(whole, whole))


def test_a_day_that_the_history_does_not_reach_has_no_measures() -> None:
    assert observed_measures(ObservedDay(Amounts(), Amounts())) == {}


def test_owned_hours_are_those_of_the_gpus_and_users_asked_for() -> None:
    def task(user: str, start: float, end: float) -> Task:
        return Task(user, user, "LAB", (TaskGpu(UUID),), DAY.start + start * 3600, DAY.start + end * 3600)

    holdings = Holdings(Answer((task("a", -10, 6), task("b", 4, 8)), (), 0.0))

    assert owned_measures(holdings, DAY, {UUID}, ()) == {"owned_gpu_hours": 8.0}
    assert owned_measures(holdings, DAY, {UUID}, {"a"}) == {"owned_gpu_hours": 5.0}
    assert owned_measures(holdings, DAY, {"another"}, ()) == {"owned_gpu_hours": 0.0}


def test_the_median_needs_all_seven_days_and_the_day_before_only_itself() -> None:
    before = [{"energy_kwh": float(n)} for n in (5, 1, 2, 9, 8, 3, 4)]
    (row,) = compared(usage(energy_kwh=7.0), before)
    assert (row.measure, row.value, row.day_before, row.median_of_seven) == ("energy_kwh", 7.0, 5.0, 4.0)

    (row,) = compared(usage(energy_kwh=7.0), [*before[:-1], {}])
    assert (row.day_before, row.median_of_seven) == (5.0, None)


def test_what_the_history_does_not_reach_has_no_row() -> None:
    assert compared(usage(energy_kwh=7.0), [{} for _ in range(DAYS)]) == []
    assert compared(usage(energy_kwh=7.0), [{}, {"energy_kwh": 1.0}]) == []
    assert compared(usage(energy_kwh=7.0), []) == []
