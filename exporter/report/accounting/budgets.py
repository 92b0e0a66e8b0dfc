"""What of a month's budgets is used, and what is left. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from exporter.report.accounting.prices import Held, Prices
from exporter.report.accounting.row import Row

Unit = Literal["gpu_hours", "cost"]


@dataclass(frozen=True, slots=True)
class Budget:
    """What a project or a user may use in a month."""

    unit: Unit
    allowed: float


class BudgetRow(Row):
    """One budget, and how much of it is used."""

    name: str
    """Of a project, its UUID if it has none, or of a user."""
    kind: Literal["project", "user"]
    unit: Unit
    """GPU-hours owned, or money in `currency`."""
    allowed: float
    used: float
    left: float
    """Below 0 where more was used than allowed."""
    used_ratio: float | None


def budget_rows(
    budgets: Mapping[str, Budget], parts: Iterable[Held], prices: Prices, names: Mapping[str, str]
) -> tuple[list[BudgetRow], list[str]]:
    """Returns a row for each budget, and the names of those that are nobody's.

    Args:
        budgets: By the name or UUID of a project, or else the name of a user.
        parts: What was held in the month.
        prices: The rules.
        names: Of projects, by UUID.
    """
    owned = [part for part in parts if part.is_owned]
    users = {part.holder.username for part in owned}
    projects = {part.holder.project_uuid for part in owned} | set(names)
    rows, unknown = [], []
    for name, budget in budgets.items():
        uuids = {uuid for uuid in projects if name in (uuid, names.get(uuid))}
        if not uuids and name not in users:
            unknown.append(name)
            continue
        mine = [
            part for part in owned if part.holder.project_uuid in uuids or (not uuids and part.holder.username == name)
        ]
        used = _used(budget.unit, mine, prices)
        rows.append(
            BudgetRow(
                name=names.get(name, name),
                kind="project" if uuids else "user",
                unit=budget.unit,
                allowed=budget.allowed,
                used=used,
                left=budget.allowed - used,
                used_ratio=used / budget.allowed if budget.allowed else None,
            )
        )
    return rows, unknown


def _used(unit: Unit, parts: list[Held], prices: Prices) -> float:
    if unit == "gpu_hours":
        return sum(part.seconds for part in parts) / 3600
    return float(prices.cost(parts) or Decimal())
