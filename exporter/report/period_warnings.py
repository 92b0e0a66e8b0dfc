"""What is wrong with a week's or month's report, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta

from exporter.report.accounting.periods import Doubts, PeriodReport
from exporter.report.completeness import TimeUnpriced
from exporter.report.warnings import warning
from exporter.speech import Speech


def period_warnings(
    report: PeriodReport, failures: Mapping[date, str], doubts: Doubts, speech: Speech
) -> Iterator[str]:
    """Yields a sentence for each thing that readers have to know.

    Args:
        report: The figures.
        failures: Why a day could not be had.
        doubts: What of the settings matches nothing.
        speech: The language.
    """
    _ = speech.gettext
    for run in _runs(failures):
        yield _("{days} could not be had: {reason}").format(days=_named(run), reason=failures[run[0]])
    lacking = [date.fromisoformat(row.date) for row in report.days if row.usage and not row.is_whole]
    if lacking:
        days = ", ".join(map(_named, _runs(lacking)))
        yield _("{days}: made while a source did not answer, or not in full").format(days=days)
    for name in doubts.unknown_budgets:
        yield _("report.budgets: {name} is no project and no user of this month").format(name=name)
    for place in doubts.unused_rules:
        yield _("report.prices: nothing was charged by rule {place}").format(place=place)
    if doubts.unpriced_gpu_hours:
        yield warning(TimeUnpriced(doubts.unpriced_gpu_hours), speech)


def _runs(days: Iterable[date]) -> list[list[date]]:
    """Returns days in a row together."""
    runs: list[list[date]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def _named(run: list[date]) -> str:
    """Returns `2026-11-01 – 2026-11-09`, or `2026-11-12`."""
    return f"{run[0]} – {run[-1]}" if len(run) > 1 else str(run[0])
