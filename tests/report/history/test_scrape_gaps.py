from __future__ import annotations

import numpy as np

from exporter.report.history.scrape_gaps import spans_around_gaps

LEAST_GAP = 37.5


def test_around_a_gap_all_is_wanted_until_all_of_it_is_booked() -> None:
    times = np.array([1000.0, 1015.0, 2000.0, 2015.0])
    assert list(spans_around_gaps(times, [1500.0, 1600.0], LEAST_GAP)) == [(1015 - 900, 2000 + 900)]
    assert list(spans_around_gaps(times, [1010.0, 3000.0, 10.0], LEAST_GAP)) == []
