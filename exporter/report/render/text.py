"""The report as text for terminals and mail."""

from __future__ import annotations

from operator import attrgetter
from typing import Final

from exporter.names import by_hostname, visible
from exporter.report.accounting.rows import Comparison, GpuRow, Report
from exporter.report.accounting.timeline import Timeline
from exporter.report.languages import Language, Words, words
from exporter.report.render import blocks, columns, grid, headline
from exporter.report.render.figures import change, gibibytes, marked, number, percent
from exporter.report.render.terminal import Head, Page

_MOST_WASTE: Final = 30
"""Rows of the list of waste."""
_BAR: Final = 40
"""Columns of a bar that stands for all owned time."""


def render(report: Report, timeline: Timeline, language: Language, width: int, *, colour: bool = False) -> str:
    """The report as lines of text.

    Args:
        report: The figures.
        timeline: The same GPUs over the same window.
        language: Of all but the names and the warnings.
        width: Columns of the terminal; below 80, lines are as for 80.
        colour: Whether to colour it, by the escape sequences of terminals.

    Returns:
        The same text for the same arguments.
    """
    speech = words(language)
    page = Page(width, colour=colour)
    _headline(page, report, speech)
    _totals(page, report, speech)
    _split(page, report, speech)
    page.heading(_hours(speech.nodes, speech))
    page.table(columns.nodes(report, speech), report.nodes)
    grid.draw(page, report, timeline, speech)
    page.heading(_hours(speech.users, speech))
    if report.users:
        page.table(columns.users(report, speech), report.users)
    else:
        page.line(blocks.nothing("users", report, speech))
    page.heading(_hours(speech.waste, speech))
    if report.waste:
        page.table(columns.waste(report, speech), report.waste[:_MOST_WASTE])
    else:
        page.line(blocks.nothing("waste", report, speech))
    if (left_out := len(report.waste) - _MOST_WASTE) > 0:
        page.line(f"{left_out} {speech.left_out}", "dim")
    page.heading(_hours(speech.tasks, speech))
    if not report.tasks:
        page.line(blocks.nothing("tasks", report, speech))
    for hostname, rows in by_hostname(report.tasks, attrgetter("hostname")).items():
        page.line()
        page.line(visible(hostname), "bold")
        page.table(columns.tasks(report, speech), rows)
    if language == "zh-TW":
        _familiar(page, report, speech)
    return page.text()


def task_report(report: Report, language: Language) -> str:
    """The tasks alone, each under each of its GPUs; it needs no history."""
    return "\n".join([*blocks.task_report(report, words(language)), ""])


def _headline(page: Page, report: Report, speech: Words) -> None:
    page.line(headline.title(report, speech), "bold")
    page.line(headline.span(report, speech))
    if partial := headline.partial(report, speech):
        page.line(partial, "yellow")
    page.line(headline.sources(report, speech))
    for line in headline.narrowed(report, speech):
        page.line(visible(line))
    if report.warnings:
        page.heading(speech.warnings)
        for warning in report.warnings:
            page.line(f"! {visible(warning)}", "yellow")


def _hours(title: str, speech: Words) -> str:
    return f"{title}{speech.aside.format(speech.gpu_hours)}"


def _totals(page: Page, report: Report, speech: Words) -> None:
    usage = report.totals
    earlier = {row.measure: row for row in report.comparison}
    hours = {
        "capacity_gpu_hours": speech.capacity,
        "owned_gpu_hours": speech.owned,
        "unallocated_gpu_hours": speech.free,
        "unknown_gpu_hours": speech.unknown,
        "observed_gpu_hours": speech.observed,
        "busy_gpu_hours": speech.busy,
        "unallocated_busy_gpu_hours": speech.busy_unowned,
        "idle_gpu_hours": speech.idle_owned,
    }
    ratios = {
        "efficiency_ratio": speech.efficiency,
        "mean_utilization_ratio": speech.mean_utilization,
        "p95_utilization_ratio": speech.p95_utilization,
        "peak_utilization_ratio": speech.peak_utilization,
        "mean_vram_used_ratio": speech.mean_vram,
        "p95_vram_used_ratio": speech.p95_vram,
    }
    energies = {
        "energy_kwh": columns.title("energy", report, speech),
        "facility_energy_kwh": columns.title("facility_energy", report, speech),
        "kwh_per_busy_gpu_hour": speech.energy_per_busy,
    }
    if usage.cost is not None:
        energies["cost"] = columns.title("cost", report, speech)
    rows = [
        [title, number(getattr(usage, measure)), *_before(earlier.get(measure))]
        for measure, title in {**hours, **energies}.items()
    ]
    middle = [
        [title, percent(getattr(usage, measure)), *_ratio_before(earlier.get(measure))]
        for measure, title in ratios.items()
    ]
    middle.append([speech.peak_vram, gibibytes(usage.peak_vram_used_bytes), "", ""])
    middle.append([speech.coverage, marked(usage.coverage_ratio, report.min_coverage_ratio), "", ""])
    page.heading(_hours(speech.totals, speech))
    heads = [
        Head(),
        Head(is_figure=True),
        Head(speech.day_before, is_figure=True),
        Head(speech.median_of_seven, is_figure=True),
    ]
    page.grid(heads, [*rows[: len(hours)], *middle, *rows[len(hours) :]])


def _before(row: Comparison | None) -> list[str]:
    if row is None:
        return ["", ""]
    return [
        f"{number(past)} ({changed})" if (changed := change(row.value, past)) else number(past)
        for past in (row.day_before, row.median_of_seven)
    ]


def _ratio_before(row: Comparison | None) -> list[str]:
    return ["", ""] if row is None else [percent(row.day_before), percent(row.median_of_seven)]


def _split(page: Page, report: Report, speech: Words) -> None:
    usage = report.totals
    idle = {speech.idle_vram_held: usage.idle_vram_held_gpu_hours, speech.idle_empty: usage.idle_empty_gpu_hours}
    if usage.idle_vram_held_gpu_hours is None:
        idle = {speech.idle: usage.idle_gpu_hours}
    parts = {speech.active: usage.active_gpu_hours, **idle, speech.not_observed: usage.owned_unobserved_gpu_hours}
    page.heading(_hours(speech.split_of_owned, speech))
    page.grid(
        [Head(), Head(is_figure=True), Head()],
        [[title, number(hours), _bar(hours, usage.owned_gpu_hours)] for title, hours in parts.items()],
    )


def _bar(hours: float | None, whole: float) -> str:
    return "#" * round(_BAR * hours / whole) if hours and whole else ""


def _familiar(page: Page, report: Report, speech: Words) -> None:
    """The blocks of the script before, in its layout."""
    page.verbatim(["", *blocks.task_summary(report, speech)])
    page.verbatim(["", f"{speech.hardware_map}:"])
    for hostname, rows in by_hostname(report.gpus, attrgetter("hostname")).items():
        page.verbatim([f"{visible(hostname)}:", *blocks.hardware_map(rows, speech)])
    page.verbatim(["", f"{speech.usage_by_gpu}:"])
    for hostname, rows in by_hostname(report.gpus, attrgetter("hostname")).items():
        page.verbatim([f"{visible(hostname)}:", *(_usage_line(row, speech) for row in rows)])
    page.verbatim(["", *blocks.averages(blocks.Means.of(report.totals), speech)])
    page.verbatim(["", *blocks.task_report(report, speech)])


def _usage_line(row: GpuRow, speech: Words) -> str:
    return blocks.usage_line(row.gpu, blocks.Means.of(row.usage), blocks.holders(row, speech), speech)
