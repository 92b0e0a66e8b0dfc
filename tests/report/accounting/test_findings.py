from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Ownership
from exporter.report.accounting.findings import (
    Free,
    Idle,
    IdleChange,
    IdleMost,
    NoGpus,
    Stray,
    Use,
    findings,
    idle_users,
)
from exporter.report.accounting.node_faults import NodeFaults
from exporter.report.accounting.rows import Comparison, Report
from exporter.report.accounting.timeline import Lane, Timeline
from tests.support.reports import Sample, sample

_T = TypeVar("_T")


@cache
def made(**case: Any) -> Sample:
    return sample(24, **case)


def found(kind: type[_T], report: Report, drawn: Timeline | None = None) -> _T | None:
    return next((finding for finding in findings(report, drawn) if isinstance(finding, kind)), None)


def with_totals(**figures: float | None) -> Report:
    report = made().report
    return report.model_copy(update={"totals": report.totals.model_copy(update=figures)})


def with_idle(before: float | None, median: float | None) -> Report:
    row = Comparison(measure="idle_gpu_hours", value=100.0, day_before=before, median_of_seven=median)
    return made().report.model_copy(update={"comparison": [row]})


def with_lane(number: int, **changes: Any) -> Timeline:
    drawn = made().timeline
    lanes = list(drawn.lanes)
    lanes[number] = replace(lanes[number], **changes)
    return Timeline(drawn.edges, tuple(lanes))


def silent_after(lane: Lane, cells: int) -> dict[str, Any]:
    observed = lane.observed_seconds.copy()
    observed[cells:] = 0
    return {"observed_seconds": observed}


def test_idle_time_leads_then_use_then_what_is_free_then_faults() -> None:
    kinds = [type(finding) for finding in findings(made().report, made().timeline)]

    assert [kind for kind in kinds if kind is not Stray] == [Idle, IdleMost, Use, Free, NodeFaults]


def test_a_report_of_no_gpus_has_nothing_else_to_say() -> None:
    empty = sample(0, history=False, tasks="none")

    assert findings(empty.report, empty.timeline) == [NoGpus()]
    assert idle_users(empty.report) == []


@given(st.floats(0, 500), st.floats(0.001, 500))
def test_idle_time_matters_from_a_twentieth_of_the_owned_time_on(idle: float, busy: float) -> None:
    owned = idle + busy
    report = with_totals(idle_gpu_hours=idle, owned_gpu_hours=owned, owned_observed_gpu_hours=owned)
    finding = found(Idle, report)

    assert finding
    assert finding.part == idle / owned
    assert finding.gpus == pytest.approx(idle / 24)
    assert finding.matters == (idle / owned >= 0.05)
    assert (found(IdleMost, report) is not None) <= finding.matters


def test_where_nothing_was_observed_nothing_is_called_idle() -> None:
    bare = made(history=False)

    assert {type(finding) for finding in findings(bare.report, bare.timeline)} == {Use, Free}
    assert idle_users(bare.report) == []


def test_coverage_stands_beside_figures_only_where_it_is_low() -> None:
    report = made().report
    kept = report.model_copy(update={"min_coverage_ratio": 0.5})

    for low, whole in ((found(Idle, report), found(Idle, kept)), (found(Use, report), found(Use, kept))):
        assert low
        assert whole
        assert low.coverage is not None
        assert whole.coverage is None


@pytest.mark.parametrize(
    ("before", "median", "change"),
    [
        (None, None, None),
        (None, 110.0, None),
        (50.0, 110.0, None),
        (50.0, None, IdleChange(1.0, is_median=False)),
        (100.0, 200.0, IdleChange(-0.5, is_median=True)),
        (0.0, None, None),
    ],
)
def test_idle_time_is_compared_with_the_week_or_else_the_day_before_if_it_differs_much(
    before: float | None, median: float | None, change: IdleChange | None
) -> None:
    assert found(IdleChange, with_idle(before, median)) == change


def test_the_worst_holding_of_each_user_is_all_tasks_of_one_type_on_one_node() -> None:
    report = made().report
    most = found(IdleMost, report)

    assert most
    assert 1 <= len(most.holdings) <= 3
    assert len({holding.username for holding in most.holdings}) == len(most.holdings)
    for holding in most.holdings:
        rows = [row for row in report.waste if row.username == holding.username]
        mine = [row for row in rows if (row.task_type, row.hostname) == (holding.task_type, holding.hostname)]
        assert holding.idle_hours == pytest.approx(sum(row.idle_gpu_hours for row in mine))
        assert holding.freed_gpus == pytest.approx(holding.idle_hours / 24)
        assert holding.idle_hours >= max(row.idle_gpu_hours for row in rows)


def test_users_are_in_order_of_their_idle_time_and_lose_none_of_it() -> None:
    report = made().report
    users = idle_users(report)
    hours = [user.idle_hours for user in users]

    assert hours == sorted(hours, reverse=True)
    assert sum(hours) == pytest.approx(report.totals.idle_gpu_hours)


def test_where_labels_tell_the_owners_users_are_named_without_their_tasks() -> None:
    labels = made(tasks="labels")
    most = found(IdleMost, labels.report, labels.timeline)

    assert most
    assert {holding.task_type for holding in most.holdings} == {None}
    assert found(Free, labels.report, labels.timeline) is None


def test_parts_of_the_capacity_that_there_are_not_are_not_told() -> None:
    use = found(Use, with_totals(unknown_gpu_hours=1e-9))

    assert use
    assert set(use.parts) == {"owned_gpu_hours", "unallocated_gpu_hours"}


@pytest.mark.parametrize(("hours", "matters"), [(None, False), (0.0, False), (1.0, False), (10.0, True)])
def test_work_on_gpus_that_nobody_holds_is_told_where_it_is_more_than_a_trifle(
    hours: float | None, *, matters: bool
) -> None:
    assert (found(Stray, with_totals(unallocated_busy_gpu_hours=hours)) is not None) is matters


def test_free_are_the_gpus_that_nobody_held_as_the_window_ended() -> None:
    drawn = made().timeline
    free = found(Free, made().report, drawn)

    assert free
    at_end = [lane for lane in drawn.lanes if lane.spells[-1].ownership is Ownership.UNALLOCATED]
    assert free.gpus == sum(bool(lane.observed_seconds[-1]) for lane in at_end) == sum(free.nodes.values())
    assert free.end == made().report.end


def test_a_gpu_that_cannot_be_read_is_not_called_free() -> None:
    drawn = made().timeline
    number = next(
        number
        for number, lane in enumerate(drawn.lanes)
        if lane.spells[-1].ownership is Ownership.UNALLOCATED and lane.observed_seconds[-1]
    )
    before = found(Free, made().report, drawn)
    after = found(Free, made().report, with_lane(number, **silent_after(drawn.lanes[number], 100)))

    assert before
    assert after
    assert after.gpus == before.gpus - 1


def test_a_report_about_some_users_does_not_tell_what_is_free() -> None:
    report = made().report.model_copy(update={"only_users": ["itrd"]})

    assert found(Free, report, made().timeline) is None


def test_a_gpu_that_fell_silent_is_named_with_the_time_of_its_last_reading() -> None:
    faults = found(NodeFaults, made().report, with_lane(3, **silent_after(made().timeline.lanes[3], 90)))

    assert faults
    (node,) = (node for node in faults.nodes if node.hostname == "colab-gpu1")
    assert [(lost.row, lost.since) for lost in node.lost] == [(made().report.gpus[3], "2025-07-22T15:00:00+08:00")]
    assert not node.is_gone


def test_a_gpu_that_was_read_again_before_the_end_is_not_lost() -> None:
    assert np.any(made().timeline.lanes[1].observed_seconds == 0)
    faults = found(NodeFaults, made().report, made().timeline)

    assert faults
    assert [len(node.lost) for node in faults.nodes if node.hostname == "colab-gpu1"] == [0]


def test_a_node_that_fell_silent_is_one_fault_and_not_eight() -> None:
    drawn = made().timeline
    lanes = tuple(
        replace(lane, **silent_after(lane, 60)) if lane.hostname == "colab-gpu1" else lane for lane in drawn.lanes
    )
    faults = found(NodeFaults, made().report, Timeline(drawn.edges, lanes))

    assert faults
    (node,) = (node for node in faults.nodes if node.hostname == "colab-gpu1")
    assert (node.is_gone, node.gone_since, node.lost) == (True, "2025-07-22T10:00:00+08:00", ())


def test_a_last_minute_without_a_scrape_is_not_a_loss() -> None:
    early = made(now="2025-07-22T03:11")
    lanes = tuple(replace(lane, **silent_after(lane, len(lane.observed_seconds) - 1)) for lane in early.timeline.lanes)
    whole = found(NodeFaults, early.report, early.timeline)
    cut = found(NodeFaults, early.report, Timeline(early.timeline.edges, lanes))

    assert early.timeline.edges[-1] - early.timeline.edges[-2] == 60
    assert cut == whole


def test_the_node_with_the_most_time_missing_comes_first() -> None:
    faults = found(NodeFaults, made().report, made().timeline)

    assert faults
    rows = {row.hostname: row.usage for row in made().report.nodes}
    missing = [rows[node.hostname].capacity_gpu_hours - rows[node.hostname].observed_gpu_hours for node in faults.nodes]
    assert missing == sorted(missing, reverse=True)


def test_without_the_lanes_what_only_they_tell_is_left_out() -> None:
    kinds = {type(finding) for finding in findings(made().report)}

    assert Free not in kinds
    assert {Idle, Use, NodeFaults} <= kinds
