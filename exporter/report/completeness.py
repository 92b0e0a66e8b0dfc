"""What a report lacks, and whether that makes it incomplete: exit code 3. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from exporter.errors import HistoryError, TasksError
from exporter.report.accounting.accounts import GpuAccount
from exporter.report.accounting.prices import Prices
from exporter.report.accounting.rows import NodeRow, is_low
from exporter.report.accounting.usage import HOUR

if TYPE_CHECKING:
    from exporter.report.accounting.periods import Doubts, PeriodNodeRow, PeriodReport


@dataclass(frozen=True, slots=True)
class TasksUnset:
    """No `tasks.url`: there is nobody to ask who held what."""

    has_shown: bool = False
    """Whether the tasks that exporters showed tell it instead; else their owner series do."""


@dataclass(frozen=True, slots=True)
class TasksMissing:
    """Who held what was asked, and not answered."""

    error: TasksError
    has_shown: bool = False
    """As above."""


@dataclass(frozen=True, slots=True)
class TasksUntold:
    """Exporters were not scraped, or knew no tasks, for longer than they show what ended."""

    gpu_hours: float
    """In which somebody else may have held GPUs, or held them for longer."""


@dataclass(frozen=True, slots=True)
class TasksMalformed:
    """Some entries of the answer cannot be accounted in full."""

    count: int


@dataclass(frozen=True, slots=True)
class HistoryMissing:
    """The scrape history was asked, and did not answer."""

    error: HistoryError


@dataclass(frozen=True, slots=True)
class HistoryRemark:
    """The scrape history's server remarked something on its answers."""

    text: str
    lacks_data: bool


@dataclass(frozen=True, slots=True)
class SamplesImpossible:
    """Values of the scrape history are infinite, negative or absurdly large, and were left out."""

    query: str


@dataclass(frozen=True, slots=True)
class SamplesTwice:
    """The scrape history told some samples twice; each was counted once."""

    query: str


@dataclass(frozen=True, slots=True)
class GpusUnlisted:
    """On a host there are more GPUs than `report.nodes` lists."""

    hostname: str
    seen: int
    listed: int


@dataclass(frozen=True, slots=True)
class CoverageLow:
    """Less of a host's GPU time was observed than `report.min_coverage` expects."""

    hostname: str
    ratio: float
    expected: float


@dataclass(frozen=True, slots=True)
class TimeUnpriced:
    """Some GPU-hours were owned that no price fits; what they cost is not told."""

    gpu_hours: float


@dataclass(frozen=True, slots=True)
class Days:
    """Days in a row, both ends inclusive."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class DaysMissing:
    """Days of a week or month could not be had."""

    days: Days
    reason: str
    """Of the first of them."""


@dataclass(frozen=True, slots=True)
class DaysPartial:
    """Days of a week or month were made while a source did not answer, or not in full."""

    days: tuple[Days, ...]


@dataclass(frozen=True, slots=True)
class BudgetUnknown:
    """A budget is of no project and no user of the month."""

    name: str


@dataclass(frozen=True, slots=True)
class RuleUnused:
    """Nothing was charged by a rule of `report.prices`."""

    place: int
    """From 1."""


Fault = (
    TasksUnset
    | TasksMissing
    | TasksUntold
    | TasksMalformed
    | HistoryMissing
    | HistoryRemark
    | SamplesImpossible
    | SamplesTwice
    | GpusUnlisted
    | CoverageLow
    | TimeUnpriced
    | DaysMissing
    | DaysPartial
    | BudgetUnknown
    | RuleUnused
)
"""A warning as a value: `report/warnings.py` puts it into words, in whatever language it is read."""


def is_complete(faults: Iterable[Fault]) -> bool:
    """Returns whether a report with these faults is all that it should be; if not, `exporter report` exits with 3."""
    return not any(_is_grave(fault) for fault in faults)


def lacks_source(faults: Iterable[Fault]) -> bool:
    """Returns whether a source that was asked did not answer, or not in full: asked again, it may tell more."""
    return any(
        fault.lacks_data if isinstance(fault, HistoryRemark) else isinstance(fault, TasksMissing | HistoryMissing)
        for fault in faults
    )


def _is_grave(fault: Fault) -> bool:
    match fault:
        case TasksMissing() | HistoryMissing() | SamplesImpossible() | CoverageLow() | DaysMissing() | DaysPartial():
            return True
        case HistoryRemark():
            return fault.lacks_data
        case TasksUnset() | TasksUntold() | TasksMalformed() | SamplesTwice() | GpusUnlisted():
            return False
        case TimeUnpriced() | BudgetUnknown() | RuleUnused():
            return False


def time_unpriced(prices: Prices, accounts: Iterable[GpuAccount]) -> Iterator[TimeUnpriced]:
    """Yields the owned time that has no price, where anything has one."""
    seconds = prices.unpriced_seconds(part for account in accounts for part in account.parts)
    if prices.rules and seconds:
        yield TimeUnpriced(seconds / HOUR)


def low_coverage(nodes: Iterable[NodeRow | PeriodNodeRow], expected: float) -> Iterator[CoverageLow]:
    """Yields the hosts of which too little was observed.

    Args:
        nodes: The report's rows.
        expected: The least coverage, 0 to 1.
    """
    for row in nodes:
        ratio = row.usage.coverage_ratio
        if is_low(ratio, expected):
            yield CoverageLow(row.hostname, ratio, expected)


def period_faults(report: PeriodReport, failures: Mapping[date, str], doubts: Doubts) -> Iterator[Fault]:
    """Yields what is wrong with a week's or month's report.

    Args:
        report: The figures.
        failures: Why a day could not be had.
        doubts: What of the settings matches nothing.
    """
    for run in _runs(failures):
        yield DaysMissing(run, failures[run.first])
    lacking = [date.fromisoformat(row.date) for row in report.days if row.usage and not row.is_whole]
    if lacking:
        yield DaysPartial(tuple(_runs(lacking)))
    yield from map(BudgetUnknown, doubts.unknown_budgets)
    yield from map(RuleUnused, doubts.unused_rules)
    if doubts.unpriced_gpu_hours:
        yield TimeUnpriced(doubts.unpriced_gpu_hours)
    yield from low_coverage(report.nodes, report.min_coverage_ratio)


def _runs(days: Iterable[date]) -> list[Days]:
    """Returns days in a row together."""
    runs: list[Days] = []
    for day in sorted(days):
        if runs and runs[-1].last == day - timedelta(days=1):
            runs[-1] = Days(runs[-1].first, day)
        else:
            runs.append(Days(day, day))
    return runs
