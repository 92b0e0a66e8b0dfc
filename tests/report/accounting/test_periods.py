from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.demo.cluster import Cluster
from exporter.errors import UsageError
from exporter.model import Amounts, Answer, Owner, Ownership, Task
from exporter.ownership import Holdings
from exporter.report.accounting.accounts import GpuAccount, accounts
from exporter.report.accounting.aggregate import Costs, Filter, build
from exporter.report.accounting.budgets import Budget
from exporter.report.accounting.day_account import DayAccount, day_account
from exporter.report.accounting.figures import FIGURES, Usage
from exporter.report.accounting.periods import Doubts, PeriodReport, build_period
from exporter.report.accounting.usage import Tariff
from exporter.report.observed import ObservedGpu
from exporter.report.period import Period
from exporter.report.window import Window, day_of
from tests.support.periods import SOURCES, month, repeated, week_of_accounts
from tests.support.reports import flat

RATES = Amounts(1.0, 0.5, 0.25, 0.125, 100.0, 700.0)
"""Gained per second."""
COSTS = Costs(Tariff(flat(2.5), pue=1.3), "USD")
EVERYTHING = Filter()
BERLIN = ZoneInfo("Europe/Berlin")
CLOCKS_CHANGE = date(2025, 10, 24)
"""Two days before a day of 25 hours."""
CLUSTER = Cluster(1)
CLUSTER_BEGAN = day_of(CLOCKS_CHANGE, BERLIN).start


def summed(
    span: Period, days: list[DayAccount], wanted: Filter = EVERYTHING, budgets: dict[str, Budget] | None = None
) -> tuple[PeriodReport, Doubts]:
    return build_period(span, days, [], wanted=wanted, costs=COSTS, budgets=budgets or {}, min_coverage_ratio=0.99)


def accounted(window: Window, tasks: tuple[Task, ...], seen_until: float) -> list[GpuAccount]:
    """The cluster's GPUs, with counters that grow evenly until they are seen no more."""

    def at(instant: float) -> Amounts:
        return RATES.times(min(instant, seen_until) - CLUSTER_BEGAN)

    gpus = CLUSTER.nodes["colab-gpu1"].gpus
    observed = [ObservedGpu(gpu.uuid, gpu.index, "colab-gpu1", gpu.model, "", at, None, {}) for gpu in gpus]  # type: ignore[arg-type]
    return accounts(window, observed, Holdings(Answer(tasks, (), as_of=0.0)), tasks)


def agree(one: Usage, other: Usage) -> None:
    for name, figure in FIGURES.items():
        if figure.is_of_days and name != "mean_vram_used_ratio":  # without cells no size of VRAM is known
            mine, theirs = getattr(one, name), getattr(other, name)
            assert mine == (None if theirs is None else pytest.approx(theirs, rel=1e-9, abs=1e-9)), name


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.floats(0.1, 5.0), st.integers(0, 3))
def test_sums_of_days_are_the_range_even_where_clocks_change(count: int, seen_days: float, chosen: int) -> None:
    days = [day_of(CLOCKS_CHANGE + timedelta(days=n), BERLIN) for n in range(count)]
    whole = Window(days[0].first, days[-1].first, BERLIN, days[0].start, days[-1].end, is_over=True)
    known = CLUSTER.tasks(whole.start, whole.end)[chosen::4]
    seen_until = whole.start + seen_days * 86400
    ranged = build(whole, accounted(whole, known, seen_until), sources=SOURCES, costs=COSTS, min_coverage_ratio=0.99)
    accounts_of_days = [
        day_account(
            day,
            accounted(day, tuple(task for task in known if task.start < day.end and task.end > day.start), seen_until),
            SOURCES,
            is_whole=True,
        )
        for day in days
    ]
    span = Period("month", "2025-10", days[0].first, days[-1].first, BERLIN, is_over=False)
    report, _ = summed(span, accounts_of_days)

    agree(report.totals, ranged.totals)
    for mine, theirs in ((report.users, ranged.users), (report.task_types, ranged.task_types)):
        assert len(mine) == len(theirs)
    by_user = {row.username: row for row in report.users}
    for row in ranged.users:
        agree(by_user[row.username].usage, row.usage)
        assert by_user[row.username].task_count == row.task_count
    by_project = {row.project_uuid: row for row in report.projects}
    for project in ranged.projects:
        agree(by_project[project.project_uuid].usage, project.usage)
        assert by_project[project.project_uuid].usernames == project.usernames


def test_rows_of_every_kind_add_up_to_the_whole() -> None:
    report, _ = summed(month(), repeated(week_of_accounts(), month()))

    def hours(rows: list[Usage | None]) -> float:
        return sum(usage.owned_gpu_hours for usage in rows if usage)

    whole = pytest.approx(report.totals.owned_gpu_hours, rel=1e-12)
    assert hours([row.usage for row in report.days]) == whole
    assert hours([row.usage for row in report.users]) == whole
    assert hours([row.usage for row in report.projects]) == whole
    assert hours([row.usage for row in report.task_types]) == whole
    assert hours([row.usage for row in report.nodes]) == whole
    assert sum(sum(filter(None, row.owned_gpu_hours_by_day)) for row in report.users) == whole
    assert sum(invoice.total for invoice in report.invoices) == pytest.approx(report.totals.cost, abs=0.01 * 13)


def test_what_does_not_add_up_over_days_is_null() -> None:
    report, _ = summed(month(), repeated(week_of_accounts(), month()))
    left_out = {name for name, figure in FIGURES.items() if not figure.is_of_days}

    assert left_out == {
        "p95_utilization_ratio",
        "peak_utilization_ratio",
        "p95_vram_used_ratio",
        "peak_vram_used_bytes",
    }
    assert {getattr(report.totals, name) for name in left_out} == {None}


def test_a_day_that_could_not_be_had_is_null_and_never_zero() -> None:
    days = repeated(week_of_accounts(), month())
    report, _ = summed(month(), days[:4] + days[5:])

    assert report.days[4].usage is None
    assert not report.days[4].is_whole
    assert {row.owned_gpu_hours_by_day[4] for row in report.users} == {None}
    assert report.totals.capacity_gpu_hours == 30 * 24 * 8


def test_a_report_of_some_users_and_nodes_is_of_them_alone() -> None:
    days = repeated(week_of_accounts(16), month())
    wanted = Filter(frozenset({"itrd"}), frozenset({"colab-gpu2"}))
    report, _ = summed(month(), days, wanted, {"itrd": Budget("gpu_hours", 1)})

    assert [row.username for row in report.users] == ["itrd"]
    assert [row.hostname for row in report.nodes] == ["colab-gpu2"]
    assert report.totals.capacity_gpu_hours == report.totals.owned_gpu_hours
    assert report.budgets == [], "of a part it cannot be told how much of a budget is used"
    with pytest.raises(UsageError, match="unknown user nobody; in this window there are: admin, easycard"):
        summed(month(), days, Filter(users=frozenset({"nobody"})))


def test_owners_that_labels_alone_tell_have_no_tasks() -> None:
    days = repeated(week_of_accounts(), month())
    blurred = replace(days[1], parts=tuple(part._replace(task_count=None, begun_count=None) for part in days[1].parts))
    report, _ = summed(month(), [days[0], blurred])

    assert {row.task_count for row in report.users} == {None}


def test_idle_with_vram_held_is_told_only_if_it_is_known_when_gpus_were_held() -> None:
    days = repeated(week_of_accounts(), month())
    untimed = replace(days[1], parts=tuple(part._replace(is_timed=False) for part in days[1].parts))

    assert summed(month(), days[:1])[0].totals.idle_vram_held_gpu_hours is not None
    assert summed(month(), [days[0], untimed])[0].totals.idle_vram_held_gpu_hours is None


def test_settings_that_match_nothing_are_told() -> None:
    _, doubts = summed(month(), repeated(week_of_accounts(), month()), budgets={"nobody": Budget("gpu_hours", 1)})

    assert doubts == Doubts(unknown_budgets=("nobody",))


def test_only_months_have_budgets() -> None:
    days = repeated(week_of_accounts(), month())
    span = Period("week", "2025-W27", days[0].day, days[6].day, BERLIN, is_over=True)

    assert summed(span, days[:7], budgets={"itrd": Budget("gpu_hours", 1)})[0].budgets == []
    assert summed(month(), days, budgets={"itrd": Budget("gpu_hours", 1)})[0].budgets[0].kind == "user"


def test_ownership_of_a_part_is_owned_shared_time_included() -> None:
    kinds = {part.ownership for day in week_of_accounts(16) for part in day.parts}

    assert kinds <= {Ownership.OWNED, Ownership.UNALLOCATED, Ownership.UNKNOWN}
    assert Owner("", "", Ownership.SHARED).ownership not in kinds
