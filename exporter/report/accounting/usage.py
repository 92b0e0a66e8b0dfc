"""What the report divides and sums: the parts of GPUs, and when each was held. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import NamedTuple

from exporter.model import Amounts, Ownership, Task
from exporter.report.accounting.prices import Held, Holder, Prices
from exporter.report.observed import Cells, Place

HOUR = 3600.0
JOULES_PER_KWH = 3.6e6
_OWNED = (Ownership.OWNED, Ownership.SHARED)
_NO_PRICES = Prices()


@dataclass(frozen=True, slots=True, eq=False)
class ReportGpu:
    """One GPU of the report."""

    hostname: str
    index: int | None
    uuid: str | None
    gpu_id: str | None
    """The consumption API's cluster-wide number."""
    model: str | None
    card: str | None
    cells: Cells | None
    """None if it was not observed at all."""
    places: tuple[Place, ...] = ()
    """Where it was in and around the window, in the order of time; none if it was not observed there."""

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"GPU {self.uuid} of {self.hostname}"


class Stretch(NamedTuple):
    """When something was held."""

    start: float
    """Unix seconds, within the window."""
    end: float
    holders: int
    """Each holds an equal part."""


class Part(NamedTuple):
    """What of one GPU falls to one task, owner or nobody in the window."""

    gpu: ReportGpu
    username: str
    task_type: str
    ownership: Ownership
    task: Task | None
    """None for nobody's and unknown time, and where labels alone tell the owner."""
    seconds: float
    """GPU-seconds held, observed or not."""
    amounts: Amounts
    held: Sequence[Stretch] | None
    """None where it cannot be told when."""

    @property
    def cells(self) -> Cells | None:
        """The GPU's; None if it was not observed at all."""
        return self.gpu.cells

    @property
    def is_owned(self) -> bool:
        """Whether a user, or several, held it."""
        return self.ownership in _OWNED

    @property
    def holder(self) -> Holder:
        """What its price depends on."""
        project = self.task.project_uuid if self.task else ""
        return Holder(self.username, self.task_type, project, self.gpu.hostname)


@dataclass(frozen=True, slots=True)
class Tariff:
    """What energy and time cost."""

    prices: Prices = _NO_PRICES
    pue: float = 1.0


@dataclass(frozen=True, slots=True)
class Total:
    """Some parts together."""

    seconds: float
    amounts: Amounts

    @classmethod
    def of(cls, parts: Sequence[Held]) -> Total:
        """Returns the sum."""
        if len(parts) == 1:  # as most tasks have one GPU, and a busy day 100,000 tasks
            return cls(parts[0].seconds, parts[0].amounts)
        columns = zip(*(part.amounts for part in parts), strict=True)
        return cls(fsum(part.seconds for part in parts), Amounts(*map(fsum, columns)))


def ratio(numerator: float, denominator: float) -> float | None:
    """Returns one number divided by another; None where there is nothing to divide by."""
    return numerator / denominator if denominator > 0 else None
