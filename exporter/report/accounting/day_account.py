"""A day as weeks and months remember it: what each user had, by type, project and host, and what was nobody's. Pure.

What does not add up over days, such as a percentile, is not kept. Nor are prices: what a day cost is computed when it
is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from math import fsum
from typing import NamedTuple

import numpy as np

from exporter.model import Amounts, Ownership
from exporter.report.accounting.accounts import GpuAccount
from exporter.report.accounting.figures import usages
from exporter.report.accounting.prices import Holder
from exporter.report.accounting.row import Row
from exporter.report.accounting.rows import Sources
from exporter.report.accounting.sums import Sums, Totals
from exporter.report.accounting.usage import Part, Tariff, Total
from exporter.report.window import Window


class DayPart(NamedTuple):
    """What of one host fell on one day to one user, type and project, or to nobody."""

    username: str
    task_type: str
    project_uuid: str
    hostname: str
    ownership: Ownership
    """`owned` (shared time included), `unallocated` or `unknown`."""
    task_count: int | None
    """Tasks that held it; None where labels alone tell whose it was."""
    begun_count: int | None
    """Of these, those that began on that day: over days in a row each task counts once."""
    is_timed: bool
    """Whether it is known when it was held."""
    seconds: float
    """GPU-seconds held, observed or not."""
    observed_seconds: float
    busy_seconds: float
    idle_seconds: float
    idle_vram_held_seconds: float
    vram_used_byte_seconds: float
    energy_joules: float
    sized_vram_used_byte_seconds: float
    """On GPUs whose VRAM is known."""
    vram_total_byte_seconds: float
    """What there was of it, over observed time."""

    @property
    def amounts(self) -> Amounts:
        """What accrued."""
        return Amounts(
            self.observed_seconds,
            self.busy_seconds,
            self.idle_seconds,
            self.idle_vram_held_seconds,
            self.vram_used_byte_seconds,
            self.energy_joules,
        )

    @property
    def holder(self) -> Holder:
        """What its price depends on."""
        return Holder(self.username, self.task_type, self.project_uuid, self.hostname)

    @property
    def is_owned(self) -> bool:
        """Whether a user, or several, held it."""
        return self.ownership is Ownership.OWNED


class Shares(Row):
    """A day's GPU-hours, for those who look at many days."""

    capacity_gpu_hours: float
    owned_gpu_hours: float
    owned_busy_gpu_hours: float | None
    """Null, as idle, where nothing was observed."""
    idle_gpu_hours: float | None

    @classmethod
    def of(cls, parts: Sequence[DayPart]) -> Shares:
        """Returns those of all parts of a day."""
        (usage,) = usages([sums_of_days(parts, Tariff())])
        return cls.model_validate({name: getattr(usage, name) for name in cls.model_fields})


@dataclass(frozen=True, slots=True)
class DayAccount:
    """One day that is over."""

    day: date
    timezone: str
    seconds: float
    """Its length: a day has 23, 24 or 25 hours."""
    sources: Sources
    is_whole: bool
    """False if a source that was asked did not answer, or not in full."""
    parts: tuple[DayPart, ...]


def day_account(day: Window, accounts: Iterable[GpuAccount], sources: Sources, *, is_whole: bool) -> DayAccount:
    """Returns what is kept of a day.

    Args:
        day: A single day that is over.
        accounts: All its GPUs.
        sources: Where its figures come from.
        is_whole: False if a source that was asked did not answer, or not in full.
    """
    groups: dict[tuple[Holder, Ownership], list[Part]] = {}
    for account in accounts:
        for part in account.parts:
            kind = Ownership.OWNED if part.is_owned else part.ownership
            groups.setdefault((part.holder, kind), []).append(part)
    counted: set[str] = set()
    parts = tuple(_day_part(day, *key, groups[key], counted) for key in sorted(groups))
    return DayAccount(day.first, day.zone.key, day.seconds, sources, is_whole, parts)


def sums_of_days(parts: Sequence[DayPart], tariff: Tariff) -> Sums:
    """Returns what the figures of the one row of these parts are computed from, as far as days tell it."""
    owned = [part for part in parts if part.is_owned]
    untold, cost = np.array([np.nan]), tariff.prices.cost(parts)
    return Sums(
        whole=Totals.of([Total.of(parts)]),
        owned=Totals.of([Total.of(owned)]),
        free=Totals.of([Total.of([part for part in parts if part.ownership is Ownership.UNALLOCATED])]),
        unknown_seconds=np.array([fsum(part.seconds for part in parts if part.ownership is Ownership.UNKNOWN)]),
        vram_used_byte_seconds=np.array([fsum(part.sized_vram_used_byte_seconds for part in parts)]),
        vram_total_byte_seconds=np.array([fsum(part.vram_total_byte_seconds for part in parts)]),
        p95_utilization=untold,
        peak_utilization=untold,
        p95_vram_used=untold,
        peak_vram_bytes=untold,
        is_timed=np.array([all(part.is_timed for part in owned)]),
        cost=untold if cost is None else np.array([float(cost)]),
        tariff=tariff,
    )


def _day_part(day: Window, holder: Holder, ownership: Ownership, parts: Sequence[Part], counted: set[str]) -> DayPart:
    """Returns the sum of some parts; of the tasks it counts those that are not counted yet, and adds them."""
    total = Total.of(parts)
    tasks = {part.task.task_id: part.task for part in parts if part.task and part.task.task_id not in counted}
    counted |= tasks.keys()
    is_by_label = any(part.is_owned and part.task is None for part in parts)
    sized = [
        (part.amounts, part.cells.vram_total_bytes) for part in parts if part.cells and part.cells.vram_total_bytes
    ]
    return DayPart(
        *holder,
        ownership,
        None if is_by_label else len(tasks),
        None if is_by_label else sum(task.start >= day.start for task in tasks.values()),
        all(part.held is not None for part in parts),
        total.seconds,
        *total.amounts,
        fsum(amounts.vram_used_byte_seconds for amounts, _ in sized),
        fsum(amounts.observed_seconds * total_bytes for amounts, total_bytes in sized),
    )
