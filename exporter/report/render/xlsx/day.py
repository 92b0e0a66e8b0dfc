"""A day, or several, as a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Final

from exporter.report.accounting.figures import FIGURES, Figure
from exporter.report.accounting.rows import Report
from exporter.report.render import headline
from exporter.report.render.xlsx import invoices
from exporter.report.render.xlsx.book import HOURS, TEXT, TIME, Book, Line, SheetColumn, Value
from exporter.speech import N_, Speech, speech

_FIRST_YEAR: Final = 1900


def render(report: Report, language: str) -> bytes:
    """Returns the report as an xlsx file; the same bytes for the same arguments.

    Args:
        report: The figures.
        language: Of all but the names and the warnings.
    """
    words = speech(language)
    book, _ = Book(words, report.currency), words.gettext
    told = {name: figure for name, figure in FIGURES.items() if figure.is_told(report.totals)}
    figures, tasks, gpus = (
        book.figures(told),
        book.count(N_("Tasks"), "task_count"),
        book.count(N_("GPUs"), "gpu_count"),
    )
    node, user, task_type = (
        book.text(N_("Node"), "hostname"),
        book.text(N_("User"), "username"),
        book.text(N_("Task type"), "task_type"),
    )
    book.page(_("Summary"), [*_head(report, words), *book.totals(told, report.totals)], heads=0)
    book.table(_("Nodes"), [node, gpus, *figures], report.nodes)
    book.table(_("GPUs"), [node, *_gpu(book), *figures], report.gpus)
    book.table(_("Users"), [user, tasks, gpus, *figures], report.users)
    book.table(_("Task types"), [task_type, tasks, *figures], report.task_types)
    book.table(_("Projects"), [*project(book), tasks, *figures], report.projects)
    names = {row.project_uuid: row.project_name for row in report.projects}
    book.table(_("Tasks"), [user, task_type, node, *_task(book, names), *figures], report.tasks)
    book.table(_("Owned but idle"), [user, task_type, node, *_waste(book, told)], report.waste)
    invoices.add(book, report.invoices, headline.span(report, words))
    return book.closed()


def project(book: Book) -> list[SheetColumn]:
    """Returns the columns that say which project a row is, and whose."""
    return [
        book.column(N_("Project"), lambda row: row.project_name or row.project_uuid),
        book.text(N_("Project's UUID"), "project_uuid"),
        book.joined(N_("Users"), "usernames"),
    ]


def _head(report: Report, words: Speech) -> Iterator[Line]:
    yield [headline.title(report, words)], [TEXT]
    for line in (headline.span(report, words), headline.partial(report, words), *headline.lines(report, words)):
        yield [line], [TEXT]
    for warning in report.warnings:
        yield [warning], [TEXT]
    yield [], []


def _gpu(book: Book) -> list[SheetColumn]:
    return [
        book.count(N_("GPU"), "gpu"),
        book.text(N_("GPU id"), "gpu_id"),
        book.joined(N_("Users"), "users"),
        book.text(N_("Model"), "model"),
        book.text(N_("Card"), "card"),
        book.text(N_("Unique id"), "gpu_uuid"),
    ]


def _task(book: Book, projects: Mapping[str, str | None]) -> list[SheetColumn]:
    return [
        book.joined(N_("GPU id"), "gpu_ids"),
        book.column(N_("Start"), lambda row: _clock(row.start), TIME),
        book.column(N_("End"), lambda row: _clock(row.end), TIME),
        book.column(N_("Hours in window"), lambda row: row.seconds_in_window / 3600, HOURS),
        book.column(N_("Project"), lambda row: projects.get(row.project_uuid) or row.project_uuid),
        book.text(N_("Image"), "image"),
        book.text(N_("Task"), "task_id"),
    ]


def _waste(book: Book, told: Mapping[str, Figure]) -> list[SheetColumn]:
    costs = [SheetColumn(book.titled(told["cost"]), attrgetter("cost"), book.money)] if "cost" in told else []
    return [
        book.joined(N_("GPU id"), "gpu_ids"),
        book.column(N_("Idle"), attrgetter("idle_gpu_hours"), HOURS),
        book.column(N_("Idle with VRAM held"), attrgetter("idle_vram_held_gpu_hours"), HOURS),
        book.column(N_("Longest idle"), attrgetter("longest_idle_hours"), HOURS),
        book.column(N_("Would free"), attrgetter("freed_gpus"), HOURS),
        *costs,
        book.text(N_("Task"), "task_id"),
    ]


def _clock(iso: str | None) -> Value:
    """Returns the time that clocks showed: a spreadsheet has no time zones, and nothing before 1900."""
    if iso is None:
        return None
    local = datetime.fromisoformat(iso).replace(tzinfo=None)
    return local if local.year >= _FIRST_YEAR else iso
