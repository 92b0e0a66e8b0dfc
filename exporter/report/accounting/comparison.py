"""A day's totals beside those of the seven days before. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from statistics import median

from exporter.metering.shares import slices
from exporter.ownership import Holdings
from exporter.report.accounting.figures import Usage
from exporter.report.accounting.rows import Comparison
from exporter.report.accounting.usage import HOUR, JOULES_PER_KWH
from exporter.report.observed import ObservedDay
from exporter.report.window import Window

DAYS = 7

Measures = dict[str, float]
"""Of one day, by the name of a field of Usage."""


def observed_measures(day: ObservedDay) -> Measures:
    """Returns what the counters tell of a day; nothing where the history does not reach."""
    seen, busy = day.whole.observed_seconds, day.whole.busy_seconds
    if not seen:
        return {}
    owned_seen = seen - day.unowned.observed_seconds
    owned_busy = busy - day.unowned.busy_seconds
    measures = {
        "owned_busy_gpu_hours": owned_busy / HOUR,
        "idle_gpu_hours": (day.whole.idle_seconds - day.unowned.idle_seconds) / HOUR,
        "mean_utilization_ratio": busy / seen,
        "energy_kwh": day.whole.energy_joules / JOULES_PER_KWH,
    }
    return measures | ({"efficiency_ratio": owned_busy / owned_seen} if owned_seen > 0 else {})


def owned_measures(holdings: Holdings, day: Window, uuids: Collection[str], users: Collection[str]) -> Measures:
    """Returns what tasks held of these GPUs on a day, of these users if any are named."""
    seconds = 0.0
    for uuid in sorted(uuids):
        for piece in slices(holdings.holds({uuid}), day.start, day.end):
            if piece.tasks:
                mine = sum(not users or task.username in users for task in piece.tasks)
                seconds += (piece.end - piece.start) * mine / len(piece.tasks)
    return {"owned_gpu_hours": seconds / HOUR}


def compared(totals: Usage, before: Sequence[Measures]) -> list[Comparison]:
    """Returns a row for each measure that the day before, or all seven days, have.

    Args:
        totals: Of the day reported.
        before: Of the seven days before, the latest first.
    """
    names = dict.fromkeys(name for measures in before for name in measures)
    rows = []
    for name in names:
        values = [measures[name] for measures in before if name in measures]
        rows.append(
            Comparison(
                measure=name,
                value=getattr(totals, name),
                day_before=before[0].get(name),
                median_of_seven=median(values) if len(values) == DAYS else None,
            )
        )
    return [row for row in rows if row.day_before is not None or row.median_of_seven is not None]
