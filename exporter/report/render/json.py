"""The report for programs: JSON that keeps to docs/report.schema.json."""

from __future__ import annotations

from typing import Final

from pydantic import TypeAdapter

from exporter.report.accounting.rows import Report

_REPORT: Final = TypeAdapter(Report)


def render(report: Report) -> str:
    """The whole report, unrounded; null is what cannot be told."""
    return encoded(report).decode()


def encoded(report: Report) -> bytes:
    """The same as UTF-8: of 100,000 tasks it is too large to be in memory twice."""
    return _REPORT.dump_json(report, indent=2) + b"\n"
