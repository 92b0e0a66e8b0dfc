from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from exporter.model import Answer, Task, TaskGpu
from exporter.report.accounting.comparison import DAYS, _gains, compared, days_before, owned
from exporter.report.accounting.figures import Usage
from exporter.report.history.responses import Series
from exporter.report.window import window
from exporter.tasks.ownership import Holdings

DAY = window("2025-10-27", None, "Europe/Berlin", datetime(2026, 1, 1, tzinfo=UTC).timestamp())
UUID = "52f67b3700dcc6f3"


def usage(**figures: float) -> Usage:
    return Usage.model_construct(None, **figures)


def test_the_days_before_are_days_of_the_clock_the_latest_first() -> None:
    days = days_before(DAY)

    assert [str(day.first) for day in days][::6] == ["2025-10-26", "2025-10-20"]
    assert [day.seconds / 3600 for day in days][:2] == [25, 24]
    assert days[0].end == DAY.start


def test_a_counter_that_fell_started_anew_from_zero() -> None:
    looks = [100.0, 160.0, 30.0, 90.0]
    series = Series({"__name__": "busy", "gpu_uuid": UUID}, np.arange(4.0), np.array(looks))

    assert list(_gains([series], {UUID})) == [("busy", 60 + 30 + 60)]
    assert list(_gains([series], {"another"})) == []


def test_owned_hours_are_those_of_the_gpus_and_users_asked_for() -> None:
    def task(user: str, start: float, end: float) -> Task:
        return Task(user, user, "LAB", (TaskGpu(UUID),), DAY.start + start * 3600, DAY.start + end * 3600)

    holdings = Holdings(Answer((task("a", -10, 6), task("b", 4, 8)), (), 0.0))

    assert owned(holdings, DAY, {UUID}, ()) == {"owned_gpu_hours": 8.0}
    assert owned(holdings, DAY, {UUID}, {"a"}) == {"owned_gpu_hours": 5.0}
    assert owned(holdings, DAY, {"another"}, ()) == {"owned_gpu_hours": 0.0}


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
