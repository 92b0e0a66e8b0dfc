"""A week or month for programs: JSON that keeps to docs/period.schema.json."""

from __future__ import annotations

from exporter.report.accounting.periods import PeriodReport


def render(report: PeriodReport) -> str:
    """The whole report, unrounded; null is what cannot be told."""
    return report.model_dump_json(indent=2) + "\n"
