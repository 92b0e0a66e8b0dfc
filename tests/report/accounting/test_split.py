from __future__ import annotations

from typing import Any

import pytest

from exporter.report.accounting.split import Kind, by_user, capacity, nobodys, owned
from exporter.report.render.columns import HasUsage
from tests.support.reports import sample

CASES: list[dict[str, Any]] = [{}, {"tasks": "labels"}, {"tasks": "none"}, {"history": False}, {"to": "2025-07-24"}]


@pytest.mark.parametrize("case", CASES)
def test_parts_add_up_to_the_whole(case: dict[str, Any]) -> None:
    report = sample(16, **case).report
    rows: list[HasUsage] = [*report.nodes, *report.gpus, *report.users, *report.tasks]
    for row in (report.totals, *(row.usage for row in rows)):
        free = row.capacity_gpu_hours - row.owned_gpu_hours
        assert sum(hours or 0.0 for hours in owned(row).values()) == pytest.approx(row.owned_gpu_hours)
        assert sum(hours or 0.0 for hours in nobodys(row).values()) == pytest.approx(free, abs=1e-9)
        assert sum(hours or 0.0 for hours in capacity(row).values()) == pytest.approx(row.capacity_gpu_hours)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("most", [0, 1, 12])
def test_groups_add_up_to_the_capacity_however_few_have_their_own(case: dict[str, Any], most: int) -> None:
    report = sample(16, **case).report
    groups = by_user(report.users, report.totals, most)
    named = [group.username for group in groups if group.username]

    assert named == [row.username for row in report.users[:most]]
    assert sum(group.hours for group in groups) == pytest.approx(report.totals.capacity_gpu_hours)
    for group in groups:
        assert sum(hours or 0.0 for hours in group.parts.values()) == pytest.approx(group.hours)


def test_idle_time_is_one_part_where_nothing_tells_what_vram_it_held() -> None:
    usage = sample(8, tasks="labels").report.totals

    assert list(owned(usage)) == [Kind.ACTIVE, Kind.IDLE, Kind.OWNED_UNOBSERVED]


def test_parts_are_drawn_in_the_order_of_their_kinds() -> None:
    order = list(Kind)
    for group in by_user(sample(16).report.users, sample(16).report.totals, 1):
        places = [order.index(kind) for kind in group.parts]
        assert places == sorted(places)
