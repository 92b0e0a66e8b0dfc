"""Asks both sources about the days before the one reported, which it is compared with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

from exporter import config
from exporter.errors import HistoryError, TasksError
from exporter.report.accounting.comparison import DAYS, Measures, observed_measures, owned_measures
from exporter.report.accounting.rows import Report
from exporter.report.answers import Answers
from exporter.report.history.client import PrometheusClient
from exporter.report.history.concurrency import both
from exporter.report.history.earlier_days import earlier_days
from exporter.report.window import Window

_SHOWN_GPUS = 128
"""Up to so many, owned hours of the days before are told by the history where nobody else tells."""


async def days_before(
    prometheus: config.Prometheus, answers: Answers, window: Window, report: Report, users: Collection[str]
) -> list[Measures]:
    """Returns what is known of the seven days before a single day that is over, the latest first; else nothing.

    Whatever fails leaves a blank.

    Args:
        prometheus: Where the scrape history is; it is not asked if it did not answer before.
        answers: What is known of the day reported, and who can be asked about others.
        window: The day reported.
        report: Of that day: the same GPUs are looked at.
        users: The only ones to look at, by their tasks alone, as counters tell no user's share; empty: all.
    """
    if window.first != window.last or not window.is_over:
        return []
    uuids = {row.gpu_uuid for row in report.gpus if row.gpu_uuid}
    days = window.days_before(DAYS)
    observed, owned = await both(
        _observed(prometheus, answers, days, uuids if answers.read and not users else ()),
        _owned(answers, days, uuids, users),
    )
    return [one | other for one, other in zip(observed, owned, strict=True)]


async def _observed(
    prometheus: config.Prometheus, answers: Answers, days: Sequence[Window], uuids: Collection[str]
) -> list[Measures]:
    """Returns what counters of some GPUs tell of days."""
    told_of = {name for uuid in uuids for name in answers.names.gpus.known_as(uuid)}
    if told_of:
        with suppress(HistoryError):
            async with PrometheusClient(prometheus) as client:
                return [observed_measures(day) for day in await earlier_days(client, days, told_of)]
    return [{} for _ in days]


async def _owned(
    answers: Answers, days: Sequence[Window], uuids: Collection[str], users: Collection[str]
) -> list[Measures]:
    """Returns what tasks held of some GPUs on days, until nobody answers."""
    measures: list[Measures] = [{} for _ in days]
    # The history's tasks cost as much for each day as for the day reported.
    is_dear = answers.held is not None and answers.held.source == "history" and len(uuids) > _SHOWN_GPUS
    if (holders := answers.holders) and not is_dear:
        with suppress(TasksError, HistoryError):
            for measured, day in zip(measures, days, strict=True):
                held = (await holders.held(day)).called(answers.names)
                if not held.untold_gpu_seconds:
                    measured.update(owned_measures(held.holdings, day, uuids, users))
    return measures
