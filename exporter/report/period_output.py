"""What `exporter report --week` and `--month` write: each format's files, and their names."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from exporter.report.accounting.periods import PeriodReport
from exporter.report.options import Format

FORMATS: Final[tuple[Format, ...]] = ("text", "json", "html", "markdown", "xlsx")
WRITTEN: Final[tuple[Format, ...]] = ("html", "json", "text", "xlsx")
"""What `--output` writes unless `--format` says otherwise."""
_WIDTH: Final = 120


def files(report: PeriodReport, language: str, wanted: Collection[Format]) -> dict[str, bytes]:
    """Returns contents by name; the same for the same arguments."""
    found: dict[str, bytes] = {}
    if "html" in wanted:
        from exporter.report.render.period import html

        found["report.html"] = html.render(report, language).encode()
    if "json" in wanted:
        from exporter.report.render.period import json

        found["report.json"] = json.render(report).encode()
    if "text" in wanted:
        from exporter.report.render.period import text

        found["summary.txt"] = text.render(report, language, _WIDTH).encode()
    if "markdown" in wanted:
        from exporter.report.render.period import markdown

        found["report.md"] = markdown.render(report, language).encode()
    if "xlsx" in wanted:
        from exporter.report.render.xlsx import period as xlsx

        found["report.xlsx"] = xlsx.render(report, language)
    return found
