"""The report for programs: JSON that keeps to docs/report.schema.json."""

from __future__ import annotations

from exporter.report.accounting.rows import Report


def render(report: Report) -> str:
    """The whole report, unrounded; null is what cannot be told."""
    return report.model_dump_json(indent=2) + "\n"
