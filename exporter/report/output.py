"""What `exporter report` prints or writes: each format's files, and their names."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from exporter.report.accounting.rows import Report
from exporter.report.accounting.timeline import Timeline
from exporter.report.options import Format
from exporter.report.window import Window
from exporter.report.write import Content

WRITTEN: Final[tuple[Format, ...]] = ("html", "json", "text", "csv")
"""What `--output` writes unless `--format` says otherwise."""
_SUMMARY_WIDTH: Final = 120


def printed(
    report: Report,
    timeline: Timeline,
    language: str,
    wanted: Format,
    width: int,
    *,
    colour: bool = False,
    headings: str | None = None,
) -> str:
    """One format for standard output; of the CSV files gpus.csv, whose rows add up to the totals.

    Args:
        report: The figures.
        timeline: The same GPUs over the same window.
        language: Of all but the names, the warnings and the headings of CSV.
        wanted: The format.
        width: Columns of the terminal.
        colour: Whether it shows colours.
        headings: The language of those of CSV; None: they are the names of fields.

    Raises:
        ValueError: `legacy`, which is many files, or `xlsx`, which is no text.
    """
    match wanted:
        case "brief":
            from exporter.report.render import brief

            shown = brief.render(report, timeline, language, width, colour=colour)
        case "text":
            from exporter.report.render import text

            shown = text.render(report, timeline, language, width, colour=colour)
        case "text-full":
            from exporter.report.render import text

            shown = text.full(report, timeline, language, width, colour=colour)
        case "csv":
            from exporter.report.render import csv

            shown = csv.gpus(report, headings)
        case "json":
            from exporter.report.render import json

            shown = json.render(report)
        case "html":
            from exporter.report.render import html

            shown = html.render(report, timeline, language)
        case "markdown":
            from exporter.report.render import markdown

            shown = markdown.render(report, timeline, language)
        case _:
            raise ValueError(f"{wanted} cannot be printed")
    return shown


def files(
    report: Report,
    timeline: Timeline,
    window: Window,
    language: str,
    wanted: Collection[Format],
    *,
    headings: str | None = None,
) -> dict[str, Content]:
    """The files of some formats.

    Args:
        report: The figures.
        timeline: The same GPUs over the same window.
        window: That window.
        language: Of all but the names, the warnings, the headings of CSV and the files of `legacy`.
        wanted: The formats.
        headings: The language of those of CSV; None: they are the names of fields.

    Returns:
        Contents by path below the directory of `--output`; the same for the same arguments.
    """
    found: dict[str, Content] = {}
    if "brief" in wanted:
        from exporter.report.render import brief
        from exporter.table import LEAST_WIDTH

        found["brief.txt"] = brief.render(report, timeline, language, LEAST_WIDTH).encode()
    if "html" in wanted:
        from exporter.report.render import html

        found["report.html"] = html.render(report, timeline, language).encode()
    if "json" in wanted:
        from exporter.report.render import json

        found["report.json"] = json.pieces(report)
    if "text" in wanted:
        from exporter.report.render import text

        found["summary.txt"] = text.render(report, timeline, language, _SUMMARY_WIDTH).encode()
    if "text-full" in wanted:
        from exporter.report.render import text

        found["summary-full.txt"] = text.full(report, timeline, language, _SUMMARY_WIDTH).encode()
    if "csv" in wanted:
        from exporter.report.render import csv

        found["gpus.csv"] = csv.gpus(report, headings).encode(csv.ENCODING)
        found["users.csv"] = csv.users(report, headings).encode(csv.ENCODING)
        found["tasks.csv"] = csv.tasks(report, headings).encode(csv.ENCODING)
    if "xlsx" in wanted:
        from exporter.report.render.xlsx import day as xlsx

        found["report.xlsx"] = xlsx.render(report, language)
    if "markdown" in wanted:
        from exporter.report.render import markdown

        found["report.md"] = markdown.render(report, timeline, language).encode()
    found = {f"{window.name}/{name}": content for name, content in found.items()}
    if "legacy" in wanted:
        from exporter.report.render import legacy

        found |= {path: content.encode() for path, content in legacy.files(report, timeline, window).items()}
    return found
