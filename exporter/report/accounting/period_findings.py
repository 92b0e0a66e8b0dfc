"""What matters most in a week or month, as facts, the most important first. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from exporter.report.accounting.budgets import BudgetRow
from exporter.report.accounting.periods import PeriodReport
from exporter.report.accounting.usage import ratio

_MOST_BUDGETS: Final = 5
"""That are named; a table has all."""


@dataclass(frozen=True, slots=True)
class OwnedShare:
    """How much of the capacity was owned."""

    ratio: float


@dataclass(frozen=True, slots=True)
class IdleShare:
    """How much of the owned time that was observed was idle."""

    ratio: float
    gpu_hours: float


@dataclass(frozen=True, slots=True)
class MostIdle:
    """Of several users the one who left most idle."""

    username: str
    gpu_hours: float


@dataclass(frozen=True, slots=True)
class OverBudget:
    """A budget of which more was used than allowed."""

    budget: BudgetRow
    excess: float


Finding = OwnedShare | IdleShare | MostIdle | OverBudget


def period_findings(report: PeriodReport) -> Iterator[Finding]:
    """Yields what matters in a report."""
    usage = report.totals
    owned = ratio(usage.owned_gpu_hours, usage.capacity_gpu_hours)
    if owned is not None and not report.only_users:
        yield OwnedShare(owned)
    if usage.idle_gpu_hours and (idle := ratio(usage.idle_gpu_hours, usage.owned_observed_gpu_hours)):
        yield IdleShare(idle, usage.idle_gpu_hours)
    hours = {row.username: row.usage.idle_gpu_hours or 0.0 for row in report.users}
    worst = max(hours, key=lambda username: hours[username], default="")
    if len(hours) > 1 and hours[worst]:
        yield MostIdle(worst, hours[worst])
    over = [OverBudget(row, -row.left) for row in report.budgets if row.left < 0]
    yield from over[:_MOST_BUDGETS]
