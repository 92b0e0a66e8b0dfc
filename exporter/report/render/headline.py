"""What a report is about, and what it rests on: the lines above the figures of text and Markdown."""

from __future__ import annotations

from exporter.report.accounting.rows import Report
from exporter.report.languages import Words
from exporter.report.render.clock import Clock


def title(report: Report, words: Words) -> str:
    """`GPU usage report 2025-07-22`."""
    return f"{words.title} {dates(report)}"


def dates(report: Report) -> str:
    """`2025-07-22`, or `2025-07-22 – 2025-07-28`."""
    return report.date if report.date == report.to else f"{report.date} – {report.to}"


def span(report: Report, words: Words) -> str:
    """`2025-07-22 00:00 – 2025-07-23 00:00 (Asia/Taipei)`."""
    clock = Clock.of(report)
    return f"{clock.full(report.start)} – {clock.full(report.end)}{words.aside.format(report.timezone)}"


def partial(report: Report, words: Words) -> str | None:
    """Up to when the figures reach, if the last day is not over."""
    return None if report.is_over else f"{words.partial} {Clock.of(report).full(report.end)}"


def sources(report: Report, words: Words) -> str:
    """`Scrape history: Prometheus; Ownership: consumption API`."""
    history = {"prometheus": words.history_prometheus, "none": words.history_none}[report.sources.history]
    tasks = {"api": words.tasks_api, "labels": words.tasks_labels, "none": words.tasks_none}[report.sources.tasks]
    return f"{words.history}{words.colon}{history}{words.semicolon}{words.ownership}{words.colon}{tasks}"


def narrowed(report: Report, words: Words) -> list[str]:
    """`Only users: itrd`: what the report leaves out, lest its totals be taken for the cluster's."""
    parts = {words.only_users: report.only_users, words.only_nodes: report.only_nodes}
    return [f"{what}{words.colon}{words.comma.join(names)}" for what, names in parts.items() if names]
