"""A week or month as a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from operator import attrgetter

from exporter.report.accounting.budgets import BudgetRow
from exporter.report.accounting.figures import FIGURES
from exporter.report.accounting.periods import PeriodReport, PeriodUserRow
from exporter.report.render.period.cells import PeriodCells
from exporter.report.render.xlsx import invoices
from exporter.report.render.xlsx.book import COUNT, DATE, HOURS, PERCENT, TEXT, Book, Line, SheetColumn
from exporter.report.render.xlsx.day import project
from exporter.speech import N_, speech


def render(report: PeriodReport, language: str) -> bytes:
    """Returns the report as an xlsx file; the same bytes for the same arguments.

    Args:
        report: The figures.
        language: Of all but the names and the warnings.
    """
    cells = PeriodCells(report, speech(language))
    book, _ = Book(cells.speech, report.currency), cells.speech.gettext
    told = {name: figure for name, figure in FIGURES.items() if figure.is_of_days and figure.is_told(report.totals)}
    figures, tasks = book.figures(told), book.count(N_("Tasks"), "task_count")
    user, task_type = book.text(N_("User"), "username"), book.text(N_("Task type"), "task_type")
    before = report.before.totals if report.before else None
    book.page(_("Summary"), [*_head(cells), *book.totals(told, report.totals, before)], heads=0)
    book.table(
        _("Days"), [book.column(N_("Day"), lambda row: date.fromisoformat(row.date), DATE), *figures], report.days
    )
    book.table(_("Users"), [user, tasks, *figures], report.users)
    book.table(_("Users by day"), [user, *_days(report)], report.users)
    book.shade(len(report.users), len(report.days) + 1)
    book.table(_("Projects"), [*project(book), tasks, *figures], report.projects)
    book.table(_("Task types"), [task_type, tasks, *figures], report.task_types)
    gpus = book.column(N_("GPUs"), attrgetter("mean_gpu_count"), COUNT)
    book.table(_("Nodes"), [book.text(N_("Node"), "hostname"), gpus, *figures], report.nodes)
    if report.budgets:
        book.table(_("Budgets of the month"), _budgets(book), report.budgets)
    invoices.add(book, report.invoices, cells.span)
    return book.closed()


def _head(cells: PeriodCells) -> Iterator[Line]:
    lines = cells.title, cells.span, *cells.notes(), *cells.sentences(), *cells.report.warnings
    yield from (([line], [TEXT]) for line in lines)
    yield [], []
    if cells.report.before:
        yield [None, cells.report.period, cells.before], [TEXT, TEXT, TEXT]


def _days(report: PeriodReport) -> list[SheetColumn]:
    """Returns a column of each day's owned GPU-hours."""

    def column(place: int, day: str) -> SheetColumn:
        return SheetColumn(day, lambda row: _owned(row, place), HOURS)

    return [column(place, row.date) for place, row in enumerate(report.days)]


def _owned(row: PeriodUserRow, place: int) -> float | None:
    return row.owned_gpu_hours_by_day[place]


def _budgets(book: Book) -> list[SheetColumn]:
    def unit(row: BudgetRow) -> str:
        cost = FIGURES["cost"]
        return book.titled(cost) if row.unit == "cost" else book.speech.gettext("GPU-hours")

    return [
        book.text(N_("Name"), "name"),
        book.column(N_("Unit"), unit),
        book.column(N_("Allowed"), attrgetter("allowed"), HOURS),
        book.column(N_("Used"), attrgetter("used"), HOURS),
        book.column(N_("Left"), attrgetter("left"), HOURS),
        book.column(N_("Used of it"), attrgetter("used_ratio"), PERCENT),
    ]
