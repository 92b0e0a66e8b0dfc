"""What a report is about, and what it rests on: the lines above the figures."""

from __future__ import annotations

from datetime import date
from typing import Final

from exporter.report.accounting.rows import Report
from exporter.report.render.clock import Clock
from exporter.speech import N_, Speech

HISTORY: Final = {"prometheus": N_("Prometheus"), "none": N_("none (owned hours alone)")}
TASKS: Final = {
    "api": N_("consumption API"),
    "history": N_("tasks in the history"),
    "labels": N_("labels of the history"),
    "none": N_("none (all unknown)"),
}


def title(report: Report, speech: Speech) -> str:
    """Returns `GPU usage report 2025-07-22 (Tuesday)`; of a range there is no day of the week."""
    title = " ".join((speech.gettext("GPU usage report"), dates(report)))
    day = weekday(report, speech)
    return speech.aside(title, day) if day else title


def dates(report: Report) -> str:
    """Returns `2025-07-22`, or `2025-07-22 – 2025-07-28`."""
    return report.date if report.date == report.to else f"{report.date} – {report.to}"


def weekday(report: Report, speech: Speech) -> str:
    """Returns `Tuesday`; nothing of a range."""
    return speech.weekday(date.fromisoformat(report.date)) if report.date == report.to else ""


def span(report: Report, speech: Speech) -> str:
    """Returns `2025-07-22 00:00 – 2025-07-23 00:00 (Asia/Taipei)`."""
    clock = Clock.of(report)
    return speech.aside(f"{clock.full(report.start)} – {clock.full(report.end)}", report.timezone)


def partial(report: Report, speech: Speech) -> str | None:
    """Returns up to when the figures reach, if the last day is not over."""
    if report.is_over:
        return None
    return speech.gettext("The day is not over: figures reach up to {time}").format(
        time=Clock.of(report).full(report.end)
    )


def sources(report: Report, speech: Speech) -> dict[str, str]:
    """Returns `consumption API` and the like by what each source is for."""
    return {
        speech.gettext("Scrape history"): speech.gettext(HISTORY[report.sources.history]),
        speech.gettext("Ownership"): speech.gettext(TASKS[report.sources.tasks]),
    }


def narrowed(report: Report, speech: Speech) -> dict[str, str]:
    """Returns the only users and nodes there are, lest the totals be taken for the cluster's."""
    parts = {speech.gettext("Only users"): report.only_users, speech.gettext("Only nodes"): report.only_nodes}
    return {what: speech.listed(names) for what, names in parts.items() if names}


def lines(report: Report, speech: Speech) -> list[str]:
    """Returns what sources and narrowing say, a line each."""
    told = speech.gettext("; ").join(speech.named(*pair) for pair in sources(report, speech).items())
    return [told, *(speech.named(*pair) for pair in narrowed(report, speech).items())]


def exceptions(report: Report, speech: Speech) -> list[str]:
    """Returns of `lines` what is not as usual: a source that is missing, and what the report is narrowed to."""
    is_usual = report.sources.history == "prometheus" and report.sources.tasks == "api"
    return lines(report, speech)[is_usual:]
