"""The formats of a report: which there are, and into which files they go."""

from __future__ import annotations

from collections.abc import Collection

from exporter.report.languages import Language
from exporter.report.make import Made
from exporter.report.render import csv, html, json, legacy, markdown, text
from exporter.report.window import Window

FORMATS = ("text", "csv", "json", "html", "markdown", "legacy")
USUAL = ("text", "csv", "json", "html")
"""What `--output` writes unless formats are named."""
SUMMARY_COLUMNS = 120


def printed(made: Made, kind: str, language: Language, *, columns: int, colour: bool) -> str:
    """One format for stdout; of the CSV files the one of GPUs.

    Args:
        made: The report.
        kind: One of `FORMATS` but legacy, which is files.
        language: Of the words in it.
        columns: How wide the terminal is.
        colour: Whether it is one.
    """
    match kind:
        case "text":
            return text.render(made.report, made.timeline, language, columns, colour=colour)
        case "csv":
            return csv.gpus(made.report)
        case "json":
            return json.render(made.report)
        case "markdown":
            return markdown.render(made.report, language)
        case _:
            return html.render(made.report, made.timeline, language)


def files(made: Made, kinds: Collection[str], language: Language, window: Window) -> dict[str, bytes]:
    """Every file of the formats, by its path under the output directory."""
    report, timeline = made.report, made.timeline
    own: dict[str, str] = {}
    if "html" in kinds:
        own["report.html"] = html.render(report, timeline, language)
    if "json" in kinds:
        own["report.json"] = json.render(report)
    if "text" in kinds:
        own["summary.txt"] = text.render(report, timeline, language, SUMMARY_COLUMNS)
    if "csv" in kinds:
        own |= {"gpus.csv": csv.gpus(report), "users.csv": csv.users(report), "tasks.csv": csv.tasks(report)}
    if "markdown" in kinds:
        own["report.md"] = markdown.render(report, language)
    paths = {f"{window.name}/{name}": content for name, content in own.items()}
    if "legacy" in kinds:
        paths |= legacy.files(report, timeline, window)
    return {path: content.encode() for path, content in paths.items()}
