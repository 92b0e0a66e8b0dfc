"""What each project pays, line by line. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import fsum
from typing import NamedTuple

from exporter.report.accounting.prices import Charge, Held, Prices
from exporter.report.accounting.row import Row

_HOUR = 3600.0


class InvoiceLine(Row):
    """What one user's tasks of one type held at one price."""

    username: str
    task_type: str
    is_idle: bool
    """Whether it is idle time that has a price of its own."""
    gpu_hours: float
    per_gpu_hour: float | None
    """Null: no price fits."""
    amount: float | None
    """In the digits that a bill has."""


class Invoice(Row):
    """What one project pays."""

    project_uuid: str
    project_name: str | None
    lines: list[InvoiceLine]
    rounding: float
    """What the rounded lines lack to the rounded total."""
    total: float
    """The project's cost, in the digits that a bill has."""


class _Item(NamedTuple):
    """What makes a line its own."""

    username: str
    task_type: str
    per_gpu_hour: Decimal | None
    is_idle: bool


def invoices(parts: Iterable[Held], prices: Prices, names: Mapping[str, str], digits: int) -> list[Invoice]:
    """Returns an invoice for each project that held anything, by name.

    Args:
        parts: What was held, by whom.
        prices: The rules; none: there are no invoices.
        names: Of projects, by UUID.
        digits: Decimals of amounts on a bill.
    """
    if not prices.rules:
        return []
    by_project: dict[str, list[Held]] = {}
    for part in parts:
        if part.is_owned and part.holder.project_uuid:
            by_project.setdefault(part.holder.project_uuid, []).append(part)
    found = [_invoice(uuid, names.get(uuid), held, prices, digits) for uuid, held in by_project.items()]
    return sorted(found, key=lambda invoice: (invoice.project_name or invoice.project_uuid, invoice.project_uuid))


def _invoice(uuid: str, name: str | None, parts: Iterable[Held], prices: Prices, digits: int) -> Invoice:
    items: dict[_Item, list[Charge]] = {}
    unpriced: dict[_Item, list[float]] = {}
    for part in parts:
        username, task_type = part.holder.username, part.holder.task_type
        charges = prices.charges(part)
        if charges is None:
            unpriced.setdefault(_Item(username, task_type, None, is_idle=False), []).append(part.seconds)
        for charge in charges or ():
            items.setdefault(_Item(username, task_type, charge.per_gpu_hour, charge.is_idle), []).append(charge)
    grain = Decimal(1).scaleb(-digits)
    amounts = {item: sum((charge.amount for charge in charges), Decimal()) for item, charges in items.items()}
    rounded = {item: amount.quantize(grain) for item, amount in amounts.items()}
    total = sum(amounts.values(), Decimal()).quantize(grain)
    seconds = {item: fsum(charge.seconds for charge in charges) for item, charges in items.items()}
    seconds |= {item: fsum(some) for item, some in unpriced.items()}
    return Invoice(
        project_uuid=uuid,
        project_name=name,
        lines=[
            InvoiceLine(
                username=item.username,
                task_type=item.task_type,
                is_idle=item.is_idle,
                gpu_hours=seconds[item] / _HOUR,
                per_gpu_hour=None if item.per_gpu_hour is None else float(item.per_gpu_hour),
                amount=float(rounded[item]) if item in rounded else None,
            )
            for item in sorted(seconds, key=lambda item: (*item[:2], item.is_idle, item.per_gpu_hour or Decimal()))
            if seconds[item] > 0
        ],
        rounding=float(total - sum(rounded.values(), Decimal())),
        total=float(total),
    )
