"""What the settings say of money, as the accounting takes it."""

from __future__ import annotations

from decimal import Decimal

from exporter import config
from exporter.report.accounting.aggregate import Costs
from exporter.report.accounting.budgets import Budget
from exporter.report.accounting.prices import Prices, Rule
from exporter.report.accounting.usage import Tariff
from exporter.speech import bill_digits


def costs(settings: config.Report) -> Costs:
    """Returns what is charged: `prices` in their order, then `price_per_gpu_hour`."""
    rules = [
        Rule(
            per_gpu_hour=_exact(price.per_gpu_hour),
            idle_per_gpu_hour=None if price.idle_per_gpu_hour is None else _exact(price.idle_per_gpu_hour),
            user=price.user,
            task_type=price.task_type,
            project=price.project,
            node=price.node,
        )
        for price in settings.prices
    ]
    if settings.price_per_gpu_hour is not None:
        rules.append(Rule(_exact(settings.price_per_gpu_hour)))
    return Costs(
        Tariff(Prices(rules, settings.projects), settings.pue),
        settings.currency,
        bill_digits(settings.currency) if rules else 0,
        settings.projects,
    )


def budgets(settings: config.Report) -> dict[str, Budget]:
    """Returns the budgets of a month."""
    found = {}
    for name, budget in settings.budgets.items():
        if budget.gpu_hours is not None:
            found[name] = Budget("gpu_hours", budget.gpu_hours)
        elif budget.cost is not None:
            found[name] = Budget("cost", budget.cost)
    return found


def _exact(price: float) -> Decimal:
    """Returns what was typed: 0.1, not its nearest binary fraction."""
    return Decimal(str(price))
