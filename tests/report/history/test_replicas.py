from __future__ import annotations

import math

import numpy as np
import pytest

from exporter.report.history.counters import device_curve
from exporter.report.history.replicas import replicas_merged, replicas_merged_by
from exporter.report.observed import OBSERVED
from tests.support.samples import table

APART = 22.5


def test_replicas_are_never_added_up() -> None:
    ours = table(*((t, t - 1000) for t in range(2000, 5000, 15)))
    theirs = table(*((t, t - 1000 + 0.3) for t in range(2007, 5000, 15)))
    merged = replicas_merged((ours, theirs), APART)
    assert device_curve(merged, math.inf).at(4985).observed_seconds == pytest.approx(2985)
    assert len(merged) == len(ours)


def test_what_another_replica_scraped_last_before_a_reset_counts() -> None:
    ours = table(*((t, t - 1000) for t in range(2000, 3000, 15)), *((t, t - 3030) for t in range(3050, 4000, 15)))
    theirs = table(*((t, t - 1000) for t in range(2007, 3010, 15)), *((t, t - 3030) for t in range(3042, 4000, 15)))
    for order in ((ours, theirs), (theirs, ours)):
        curve = device_curve(replicas_merged(order, APART), math.inf)
        assert curve.at(3980).minus(curve.at(2007)).observed_seconds == pytest.approx(2997 - 2007 + 950)


def test_servers_whose_clocks_differ_see_no_reset_in_each_others_samples() -> None:
    ours = table(*((t, t - 2000) for t in range(2015, 2100, 15)), *((t, t - 2000) for t in range(2150, 2300, 15)))
    theirs = table(*((t + 0.4, t - 2000) for t in range(2015, 2300, 15)))
    merged = replicas_merged((ours, theirs), APART)
    assert device_curve(merged, math.inf).at(2299).observed_seconds == pytest.approx(
        ours.counters[-1, OBSERVED] - 15, abs=0.5
    )


def test_a_replica_fills_the_gaps_of_another() -> None:
    whole = table(*((t, t - 1000) for t in range(2000, 5000, 15)))
    ours = whole[(whole.times < 3000) | (whole.times > 4000)]
    merged = replicas_merged((ours, whole), APART)
    assert np.diff(merged.times).max() <= 45
    assert device_curve(merged, math.inf).at(4985).observed_seconds == pytest.approx(2985)


def test_a_renamed_job_goes_on_where_the_old_name_ended() -> None:
    old = table(*((t, t - 1000) for t in range(2000, 3000, 15)))
    new = table(*((t, t - 1000) for t in range(3007, 4000, 15)))
    for order in ((old, new), (new, old)):
        assert device_curve(replicas_merged(order, 10.0), math.inf).at(3997).observed_seconds == pytest.approx(1997)


def test_the_fullest_series_of_a_key_is_preferred_and_what_has_no_key_left_out() -> None:
    full, sparse = table((15, 15), (30, 30), (45, 45)), table((16, 16), (31, 31))
    tables = {
        frozenset({("gpu_uuid", "a"), ("replica", name)}): samples for name, samples in (("a", sparse), ("b", full))
    }
    merged = replicas_merged_by(lambda labels: labels.get("gpu_uuid"), tables | {frozenset(): full}, APART)
    assert {key: samples.times.tolist() for key, samples in merged.items()} == {"a": [15, 30, 45]}
