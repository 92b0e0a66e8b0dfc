"""What `exporter report` prints or writes: each format's files, and their names."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from exporter.report.accounting.rows import Report
from exporter.report.accounting.timeline import Timeline
from exporter.report.options import Format
from exporter.report.render import csv, html, json, legacy, markdown, text
from exporter.report.window import Window

WRITTEN: Final[tuple[Format, ...]] = ("html", "json", "text", "csv")
"""What `--output` writes unless `--format` says otherwise."""
_SUMMARY_WIDTH: Final = 120


def printed(
    report: Report, timeline: Timeline, language: str, wanted: Format, width: int, *, colour: bool = False
) -> str:
    """One format for standard output; of the CSV files gpus.csv, whose rows add up to the totals.

    Raises:
        ValueError: `legacy`, which is many files.
    """
    match wanted:
        case "text":
            return text.render(report, timeline, language, width, colour=colour)
        case "csv":
            return csv.gpus(report)
        case "json":
            return json.render(report)
        case "html":
            return html.render(report, timeline, language)
        case "markdown":
            return markdown.render(report, language)
        case "legacy":
            raise ValueError("legacy is many files: it cannot be printed")


def files(
    report: Report, timeline: Timeline, window: Window, language: str, wanted: Collection[Format]
) -> dict[str, bytes]:
    """The files of some formats.

    Args:
        report: The figures.
        timeline: The same GPUs over the same window.
        window: That window.
        language: Of all but the names, the warnings and the files of `legacy`.
        wanted: The formats.

    Returns:
        Contents by path below the directory of `--output`; the same for the same arguments.
    """
    found: dict[str, bytes] = {}
    if "html" in wanted:
        found["report.html"] = html.render(report, timeline, language).encode()
    if "json" in wanted:
        found["report.json"] = json.encoded(report)
    if "text" in wanted:
        found["summary.txt"] = text.render(report, timeline, language, _SUMMARY_WIDTH).encode()
    if "csv" in wanted:
        found["gpus.csv"] = csv.gpus(report).encode(csv.ENCODING)
        found["users.csv"] = csv.users(report).encode(csv.ENCODING)
        found["tasks.csv"] = csv.tasks(report).encode(csv.ENCODING)
    if "markdown" in wanted:
        found["report.md"] = markdown.render(report, language).encode()
    found = {f"{window.name}/{name}": content for name, content in found.items()}
    if "legacy" in wanted:
        found |= {path: content.encode() for path, content in legacy.files(report, timeline, window).items()}
    return found
