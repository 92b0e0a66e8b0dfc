"""Weeks and months to render: the simulated cluster's days, accounted and summed by the project's own arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

from exporter.demo.cluster import Cluster
from exporter.model import Answer
from exporter.ownership import Holdings
from exporter.report import period
from exporter.report.accounting.accounts import accounts
from exporter.report.accounting.aggregate import Costs, Filter
from exporter.report.accounting.budgets import Budget
from exporter.report.accounting.day_account import DayAccount, DayPart, day_account
from exporter.report.accounting.periods import PeriodReport, build_period
from exporter.report.accounting.rows import Sources
from exporter.report.accounting.usage import Tariff
from exporter.report.period import Period
from exporter.report.window import Window
from tests.support.reports import NODE_GPUS, flat, observed

SOURCES = Sources(history="prometheus", tasks="api")


def month(name: str = "2025-07", zone: str = "Asia/Taipei", now: datetime | None = None) -> Period:
    """A month; over unless `now` lies in it."""
    return period.month(name, zone, (now or datetime(2026, 1, 1, tzinfo=UTC)).timestamp())


def account(day: Window, gpus: int = 8) -> DayAccount:
    """A day of the simulated cluster."""
    cluster = Cluster(gpus // NODE_GPUS)
    known = cluster.tasks(day.start, day.end)
    found = accounts(day, list(observed(day, cluster, None)), Holdings(Answer(known, (), as_of=0.0)), known)
    return day_account(day, found, SOURCES, is_whole=True)


@cache
def week_of_accounts(gpus: int = 8) -> tuple[DayAccount, ...]:
    """The first seven days of July 2025, Taipei's time."""
    return tuple(account(day, gpus) for day in month().days()[:7])


def repeated(accounts: tuple[DayAccount, ...], span: Period) -> list[DayAccount]:
    """These days over and over, as the days of a month."""
    return [replace(accounts[n % len(accounts)], day=day.first) for n, day in enumerate(span.days())]


def renamed(accounts: list[DayAccount], names: Mapping[str, str]) -> list[DayAccount]:
    """The same with other users."""

    def part(old: DayPart) -> DayPart:
        return old._replace(username=names.get(old.username, old.username))

    return [replace(one, parts=tuple(map(part, one.parts))) for one in accounts]


def period_report(
    gpus: int = 8,
    *,
    span: Period | None = None,
    missing: int = 0,
    price: float | None = 2.5,
    names: Mapping[str, str] | None = None,
    compared: bool = True,
) -> PeriodReport:
    """A month's report.

    Args:
        gpus: How many, a multiple of eight.
        span: The month.
        missing: Of its last days so many could not be had.
        price: Of a GPU-hour; None: nothing is charged.
        names: Other names of users.
        compared: Whether the month before is known.
    """
    span = span or month()
    days = renamed(repeated(week_of_accounts(gpus), span), names or {})
    report, _ = build_period(
        span,
        days[: len(days) - missing],
        repeated(week_of_accounts(gpus), span.before()) if compared else [],
        wanted=Filter(),
        costs=Costs(Tariff(flat(price), pue=1.3), "USD" if price else None, 2, {}),
        budgets={"itrd": Budget("gpu_hours", 100.0), "easycard": Budget("gpu_hours", 1e6)},
        min_coverage_ratio=0.99,
    )
    return report.model_copy(update={"warnings": ["report.budgets: <nobody> is no project and no user of this month"]})
