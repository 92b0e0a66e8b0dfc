"""Weeks and months: sums of the accounts of days. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from math import fsum
from typing import Literal

from exporter.names import natural
from exporter.report.accounting.aggregate import Costs, Filter, check_known
from exporter.report.accounting.budgets import Budget, BudgetRow, budget_rows
from exporter.report.accounting.day_account import DayAccount, DayPart, sums_of_days
from exporter.report.accounting.figures import Usage, usages
from exporter.report.accounting.invoices import Invoice, invoices
from exporter.report.accounting.row import Row
from exporter.report.accounting.rows import Sources
from exporter.report.accounting.usage import HOUR, Tariff
from exporter.report.period import Period


class PeriodDayRow(Row):
    """One day of it."""

    date: str
    usage: Usage | None
    """Null if it could not be had."""
    sources: Sources | None
    is_whole: bool
    """False if a source that was asked for it did not answer, or not in full."""


class PeriodNodeRow(Row):
    """One host."""

    hostname: str
    mean_gpu_count: float
    """Over the days that it was there."""
    usage: Usage


class PeriodUserRow(Row):
    """One user's shares."""

    username: str
    task_count: int | None
    """Null where labels alone tell the owners of a day."""
    owned_gpu_hours_by_day: list[float | None]
    """In the order of `days`; null if the day could not be had."""
    idle_gpu_hours_by_day: list[float | None]
    usage: Usage


class PeriodTaskTypeRow(Row):
    """All shares of one type of task."""

    task_type: str
    task_count: int | None
    usage: Usage


class PeriodProjectRow(Row):
    """All shares of one project."""

    project_uuid: str
    project_name: str | None
    """As `report.projects` names it."""
    usernames: list[str]
    task_count: int | None
    usage: Usage


class Before(Row):
    """The week or month before; of an unfinished one as many of its first days."""

    period: str
    date: str
    to: str
    totals: Usage


class PeriodReport(Row):
    """A whole week or month. Figures that do not add up over days (percentiles, peaks) are null."""

    schema_version: Literal[1] = 1
    kind: Literal["week", "month"]
    period: str
    """`2026-W47` or `2026-11`."""
    date: str
    to: str
    """The last day that is over."""
    timezone: str
    is_over: bool
    """False if days of it are still to come."""
    only_users: list[str]
    only_nodes: list[str]
    currency: str | None
    min_coverage_ratio: float
    warnings: list[str]
    totals: Usage
    before: Before | None
    """Null unless all its days are stored."""
    budgets: list[BudgetRow]
    days: list[PeriodDayRow]
    nodes: list[PeriodNodeRow]
    users: list[PeriodUserRow]
    task_types: list[PeriodTaskTypeRow]
    projects: list[PeriodProjectRow]
    invoices: list[Invoice]
    """What each project pays; none without prices."""


@dataclass(frozen=True, slots=True)
class Doubts:
    """What in the settings on money matches nothing in a period."""

    unknown_budgets: tuple[str, ...] = ()
    """Names that are no project's and no user's."""
    unused_rules: tuple[int, ...] = ()
    """Places of prices, from 1, that nothing was charged by."""
    unpriced_gpu_hours: float = 0.0
    """Owned, and no price fits."""


def build_period(
    period: Period,
    days: Sequence[DayAccount],
    before: Sequence[DayAccount],
    *,
    wanted: Filter,
    costs: Costs,
    budgets: Mapping[str, Budget],
    min_coverage_ratio: float,
) -> tuple[PeriodReport, Doubts]:
    """Sums days to every row of a week's or month's report.

    Args:
        period: Which it is.
        days: Its days, as far as they could be had.
        before: The days that it is compared with, all or none.
        wanted: The users and nodes it is narrowed to.
        costs: What is charged.
        budgets: Of a month, by the name or UUID of a project or the name of a user.
        min_coverage_ratio: The coverage that is expected.

    Returns:
        The report, without warnings, and what is doubtful about the settings.

    Raises:
        UsageError: A user or node that is not in these days; the message names those that are.
    """
    check_known("user", wanted.users, {part.username for day in days for part in day.parts if part.is_owned})
    check_known("node", wanted.nodes, {part.hostname for day in days for part in day.parts})
    kept, past, prices = _narrowed(days, wanted), _narrowed(before, wanted), costs.tariff.prices
    parts = [part for mine in kept.values() for part in mine]
    owned = [part for part in parts if part.is_owned]
    usage, earlier = partial(_usage, tariff=costs.tariff), period.before()
    is_budgeted = period.kind == "month" and not wanted.users and not wanted.nodes
    budgeted, unknown = budget_rows(budgets, owned, prices, costs.projects) if is_budgeted else ([], [])
    report = PeriodReport(
        kind=period.kind,
        period=period.name,
        date=str(period.first),
        to=str(period.last),
        timezone=period.zone.key,
        is_over=period.is_over,
        only_users=sorted(wanted.users),
        only_nodes=sorted(wanted.nodes),
        currency=costs.currency,
        min_coverage_ratio=min_coverage_ratio,
        warnings=[],
        totals=usage(parts),
        before=Before(
            period=earlier.name,
            date=str(earlier.first),
            to=str(earlier.last),
            totals=usage([part for mine in past.values() for part in mine]),
        )
        if past
        else None,
        budgets=budgeted,
        days=[_day_row(day.first, days, kept, usage) for day in period.days()],
        nodes=[
            PeriodNodeRow(hostname=hostname, mean_gpu_count=_mean_gpus(days, hostname), usage=usage(mine))
            for hostname, mine in _grouped(
                sorted(parts, key=lambda part: natural(part.hostname)), lambda part: part.hostname
            ).items()
        ],
        users=[
            PeriodUserRow(
                username=username,
                task_count=_task_count(mine),
                owned_gpu_hours_by_day=_by_day(period, kept, username, lambda part: part.seconds),
                idle_gpu_hours_by_day=_by_day(period, kept, username, lambda part: part.idle_seconds),
                usage=usage(mine),
            )
            for username, mine in _by_hours(owned, lambda part: part.username)
        ],
        task_types=[
            PeriodTaskTypeRow(task_type=task_type, task_count=_task_count(mine), usage=usage(mine))
            for task_type, mine in _by_hours(owned, lambda part: part.task_type)
        ],
        projects=[
            PeriodProjectRow(
                project_uuid=uuid,
                project_name=costs.projects.get(uuid),
                usernames=sorted({part.username for part in mine}),
                task_count=_task_count(mine),
                usage=usage(mine),
            )
            for uuid, mine in _by_hours(owned, lambda part: part.project_uuid)
            if uuid
        ],
        invoices=invoices(owned, prices, costs.projects, costs.digits),
    )
    doubts = Doubts(tuple(unknown), tuple(prices.unused(owned)), prices.unpriced_seconds(owned) / HOUR)
    return report, doubts if prices.rules else Doubts(doubts.unknown_budgets)


def _narrowed(days: Sequence[DayAccount], wanted: Filter) -> dict[date, list[DayPart]]:
    """Returns the parts wanted, by day; of the days after the first each counts only the tasks that began on it."""
    found = {}
    for place, account in enumerate(days):
        parts = [part for part in account.parts if _is_wanted(part, wanted)]
        found[account.day] = [part._replace(task_count=part.begun_count) for part in parts] if place else parts
    return found


def _is_wanted(part: DayPart, wanted: Filter) -> bool:
    if wanted.nodes and part.hostname not in wanted.nodes:
        return False
    return not wanted.users or (part.is_owned and part.username in wanted.users)


def _usage(parts: Sequence[DayPart], tariff: Tariff) -> Usage:
    (usage,) = usages([sums_of_days(parts, tariff)])
    return usage


def _day_row(
    day: date,
    accounts: Sequence[DayAccount],
    kept: Mapping[date, list[DayPart]],
    usage: Callable[[Sequence[DayPart]], Usage],
) -> PeriodDayRow:
    account = next((account for account in accounts if account.day == day), None)
    if account is None:
        return PeriodDayRow(date=str(day), usage=None, sources=None, is_whole=False)
    return PeriodDayRow(date=str(day), usage=usage(kept[day]), sources=account.sources, is_whole=account.is_whole)


def _by_day(
    period: Period, kept: Mapping[date, list[DayPart]], username: str, of: Callable[[DayPart], float]
) -> list[float | None]:
    """Returns a user's GPU-hours of each day."""
    return [
        fsum(of(part) for part in kept[day.first] if part.is_owned and part.username == username) / HOUR
        if day.first in kept
        else None
        for day in period.days()
    ]


def _mean_gpus(days: Sequence[DayAccount], hostname: str) -> float:
    """Returns how many GPUs a host had on the days that it was there."""
    found = [(day.seconds, [part.seconds for part in day.parts if part.hostname == hostname]) for day in days]
    return fsum(fsum(seconds) for _, seconds in found) / fsum(length for length, seconds in found if seconds)


def _task_count(parts: Sequence[DayPart]) -> int | None:
    counts = [part.task_count for part in parts]
    return None if None in counts else sum(count or 0 for count in counts)


def _grouped(parts: Sequence[DayPart], key: Callable[[DayPart], str]) -> dict[str, list[DayPart]]:
    groups: dict[str, list[DayPart]] = {}
    for part in parts:
        groups.setdefault(key(part), []).append(part)
    return groups


def _by_hours(parts: Sequence[DayPart], key: Callable[[DayPart], str]) -> list[tuple[str, list[DayPart]]]:
    """Returns groups, those with the most time held first."""
    groups = _grouped(parts, key).items()
    return sorted(groups, key=lambda group: (-fsum(part.seconds for part in group[1]), group[0]))
