"""What held time costs: of several rules the first that fits whoever holds a GPU says the price. Pure.

Money is counted in whole billionths of the currency's unit, so that sums are exact in whatever order: what users pay is
what projects pay is what the days of a month come to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Final, NamedTuple, Protocol

from exporter.model import Amounts

_GRAIN: Final = Decimal("1e-9")
_HOUR: Final = 3600


class Holder(NamedTuple):
    """Who holds, for what, and where: all that a price may depend on."""

    username: str
    task_type: str
    project_uuid: str
    hostname: str


class Held(Protocol):
    """What of some GPUs falls to one holder, or to nobody."""

    @property
    def holder(self) -> Holder:
        """Whose it is; empty names where nobody's."""

    @property
    def is_owned(self) -> bool:
        """Whether a user, or several, held it."""

    @property
    def seconds(self) -> float:
        """GPU-seconds held, observed or not."""

    @property
    def amounts(self) -> Amounts:
        """What accrued."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A price, and for whom: globs, None fits all."""

    per_gpu_hour: Decimal
    idle_per_gpu_hour: Decimal | None = None
    """Of idle hours; None: like the others."""
    user: str | None = None
    task_type: str | None = None
    project: str | None = None
    """Of its name or its UUID."""
    node: str | None = None


class Charge(NamedTuple):
    """Time at one price."""

    seconds: float
    per_gpu_hour: Decimal
    is_idle: bool
    """Whether it is idle time that has a price of its own."""

    @property
    def amount(self) -> Decimal:
        """The price of it, in whole billionths."""
        return (Decimal(self.seconds) * self.per_gpu_hour / _HOUR).quantize(_GRAIN)


class Prices:
    """The rules in force.

    Args:
        rules: The first that fits says the price.
        projects: Names by UUID.
    """

    def __init__(self, rules: Sequence[Rule] = (), projects: Mapping[str, str] | None = None) -> None:
        self.rules = tuple(rules)
        self._projects = projects or {}
        self._found: dict[Holder, Rule | None] = {}

    def rule(self, holder: Holder) -> Rule | None:
        """Returns the first rule that fits a holder."""
        if holder not in self._found:
            self._found[holder] = next((rule for rule in self.rules if self._fits(rule, holder)), None)
        return self._found[holder]

    def charges(self, part: Held) -> list[Charge] | None:
        """Returns what an owned part is charged for; None if no rule fits."""
        rule = self.rule(part.holder)
        if rule is None:
            return None
        if rule.idle_per_gpu_hour is None:
            return [Charge(part.seconds, rule.per_gpu_hour, is_idle=False)]
        idle = min(part.amounts.idle_seconds, part.seconds)
        return [
            Charge(part.seconds - idle, rule.per_gpu_hour, is_idle=False),
            Charge(idle, rule.idle_per_gpu_hour, is_idle=True),
        ]

    def cost(self, parts: Iterable[Held]) -> Decimal | None:
        """Returns what the owned ones of these parts cost; None if no rule fits any of them."""
        if not self.rules:
            return None
        charged = [self.charges(part) for part in parts if part.is_owned]
        if charged and not any(charges is not None for charges in charged):
            return None
        return sum((charge.amount for charges in charged for charge in charges or ()), Decimal())

    def idle_cost(self, parts: Iterable[Held]) -> Decimal | None:
        """Returns what the idle time of owned parts costs; None if no rule fits any of them."""
        found = [(part.amounts.idle_seconds, rule) for part in parts if (rule := self.rule(part.holder))]
        if not found:
            return None
        return sum((_idle_charge(seconds, rule).amount for seconds, rule in found), Decimal())

    def unpriced_seconds(self, parts: Iterable[Held]) -> float:
        """Returns the owned GPU-seconds that no rule fits."""
        return sum(part.seconds for part in parts if part.is_owned and self.rule(part.holder) is None)

    def unused(self, parts: Iterable[Held]) -> list[int]:
        """Returns the places of the rules, from 1, that price none of these parts."""
        used = {id(self.rule(part.holder)) for part in parts if part.is_owned}
        return [place for place, rule in enumerate(self.rules, 1) if id(rule) not in used]

    def _fits(self, rule: Rule, holder: Holder) -> bool:
        pairs = ((rule.user, holder.username), (rule.task_type, holder.task_type), (rule.node, holder.hostname))
        if not all(glob is None or fnmatchcase(name, glob) for glob, name in pairs):
            return False
        names = holder.project_uuid, self._projects.get(holder.project_uuid, "")
        return rule.project is None or any(fnmatchcase(name, rule.project) for name in names if name)


def _idle_charge(seconds: float, rule: Rule) -> Charge:
    price = rule.per_gpu_hour if rule.idle_per_gpu_hour is None else rule.idle_per_gpu_hour
    return Charge(seconds, price, is_idle=True)
