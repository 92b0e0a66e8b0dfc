from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.report.accounting.timeline import by_hours_or_days, condensed, mean
from exporter.report.observed import LEAST_OBSERVED_SECONDS
from tests.support.reports import sample


@pytest.mark.parametrize(
    ("date", "to", "zone", "count"),
    [
        ("2025-07-22", None, "Asia/Taipei", 24),
        ("2025-10-26", None, "Europe/Berlin", 25),
        ("2025-03-30", None, "Europe/Berlin", 23),
        ("2025-04-06", None, "Australia/Lord_Howe", 25),
        ("2025-10-25", "2025-10-27", "Europe/Berlin", 3),
    ],
)
def test_a_day_is_joined_to_hours_and_a_range_to_days(date: str, to: str | None, zone: str, count: int) -> None:
    fine = sample(8, date=date, to=to, zone=zone).timeline
    coarse = by_hours_or_days(fine, ZoneInfo(zone))

    assert len(coarse.edges) == count + 1
    assert coarse.edges[[0, -1]].tolist() == fine.edges[[0, -1]].tolist()
    for before, after in zip(fine.lanes, coarse.lanes, strict=True):
        assert after.observed_seconds.sum() == pytest.approx(before.observed_seconds.sum())
        assert mean(after.utilization, after.observed_seconds) == pytest.approx(
            float(mean(before.utilization, before.observed_seconds)), nan_ok=True
        )


def test_an_hour_is_not_observed_only_if_none_of_it_was() -> None:
    lane = next(lane for lane in by_hours_or_days(sample(8).timeline, ZoneInfo("Asia/Taipei")).lanes if lane.gpu == 1)

    assert np.isnan(lane.utilization[2:5]).all()
    assert not np.isnan(lane.utilization[[1, 5]]).any()


@given(st.lists(st.tuples(st.floats(0, 1) | st.just(np.nan), st.floats(0, 600)), min_size=1))
@example(cells=[(0.5, 5e-324)])
@example(cells=[(0.5, 5e-324), (0.25, 600.0)])
def test_a_mean_lies_among_what_was_observed_and_is_nan_where_nothing_was(cells: list[tuple[float, float]]) -> None:
    values, seconds = np.array(cells).T
    known = ~np.isnan(values)
    seen = values[known & (seconds > 0)]
    found = float(mean(values, seconds))

    if seconds[known].sum() >= LEAST_OBSERVED_SECONDS:
        assert seen.min() - 1e-9 <= found <= seen.max() + 1e-9
    else:
        assert np.isnan(found)


@pytest.mark.parametrize("most", [1, 7, 100, 144, 200])
def test_a_timeline_is_condensed_to_so_many_cells_that_observe_as_much(most: int) -> None:
    fine = sample(8).timeline
    coarse = condensed(fine, most)

    assert len(coarse.edges) - 1 <= most
    assert coarse.edges[[0, -1]].tolist() == fine.edges[[0, -1]].tolist()
    for before, after in zip(fine.lanes, coarse.lanes, strict=True):
        assert after.observed_seconds.sum() == pytest.approx(before.observed_seconds.sum())
