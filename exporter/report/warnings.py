"""A report's faults in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from exporter.report.accounting.rows import Report
from exporter.report.completeness import (
    BudgetUnknown,
    CoverageLow,
    Days,
    DaysMissing,
    DaysPartial,
    Fault,
    GpusUnlisted,
    HistoryMissing,
    HistoryRemark,
    RuleUnused,
    SamplesImpossible,
    SamplesTwice,
    TasksMalformed,
    TasksMissing,
    TasksUnset,
    TasksUntold,
    TimeUnpriced,
)
from exporter.report.render.cells import coverage
from exporter.speech import Speech, speech

if TYPE_CHECKING:
    from exporter.report.accounting.periods import PeriodReport

AnyReport = TypeVar("AnyReport", Report, "PeriodReport")


def worded(report: AnyReport, faults: Iterable[Fault], language: str) -> AnyReport:
    """Returns the report with its warnings in a language: one account is read in several."""
    words = speech(language)
    return report.model_copy(update={"warnings": [warning(fault, words) for fault in faults]})


def warning(fault: Fault, speech: Speech) -> str:  # noqa: C901, PLR0912  one case for each fault
    """Returns the sentence that tells readers of a fault."""
    _ = speech.gettext
    match fault:
        case TasksUnset():
            sentence = (
                _("tasks.url is not set: owners come from the tasks in the scrape history")
                if fault.has_shown
                else _("tasks.url is not set: owners come from the history's labels")
            )
        case TasksMissing():
            sentence = (
                _("{error}; owners come from the tasks in the scrape history")
                if fault.has_shown
                else _("{error}; owners come from the history's labels")
            ).format(error=fault.error)
        case TasksUntold():
            sentence = _(
                "the scrape history does not tell who held GPUs for {hours} GPU-hours: "
                "these are unknown where no other task holds them"
            ).format(hours=speech.number(fault.gpu_hours))
        case TasksMalformed():
            sentence = speech.ngettext(
                "{count} entry of the consumption API cannot be accounted in full: "
                "the GPUs it names are unknown where no other task holds them",
                "{count} entries of the consumption API cannot be accounted in full: "
                "the GPUs they name are unknown where no other task holds them",
                fault.count,
            ).format(count=fault.count)
        case HistoryMissing():
            sentence = _("{error}; only owned time can be told").format(error=fault.error)
        case HistoryRemark():
            sentence = _("the scrape history's server says: {said}").format(said=fault.text)
        case SamplesImpossible():
            sentence = _("the scrape history's {query}: values that cannot be were left out").format(query=fault.query)
        case SamplesTwice():
            sentence = _("the scrape history's {query}: told twice, counted once").format(query=fault.query)
        case GpusUnlisted():
            sentence = _("{hostname}: {seen} GPUs were seen, report.nodes lists {listed}").format(
                hostname=fault.hostname, seen=fault.seen, listed=fault.listed
            )
        case CoverageLow():
            sentence = _("{hostname}: {coverage} of its GPU time was observed, expected {expected} or more").format(
                hostname=fault.hostname,
                coverage=coverage(fault.ratio, speech),
                expected=coverage(fault.expected, speech),
            )
        case TimeUnpriced():
            sentence = _("{hours} GPU-hours that were owned have no price: no rule of report.prices fits them").format(
                hours=speech.number(fault.gpu_hours)
            )
        case DaysMissing():
            sentence = _("{days} could not be had: {reason}").format(days=_named(fault.days), reason=fault.reason)
        case DaysPartial():
            sentence = _("{days}: made while a source did not answer, or not in full").format(
                days=speech.listed(tuple(map(_named, fault.days)))
            )
        case BudgetUnknown():
            sentence = _("report.budgets: {name} is no project and no user of this month").format(name=fault.name)
        case RuleUnused():
            sentence = _("report.prices: nothing was charged by rule {place}").format(place=fault.place)
    return sentence


def _named(days: Days) -> str:
    """Returns `2026-11-01 – 2026-11-09`, or `2026-11-12`."""
    return str(days.first) if days.first == days.last else f"{days.first} – {days.last}"
