"""The sheet of each project's invoice."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.report.accounting.invoices import Invoice, InvoiceLine
from exporter.report.render.xlsx.book import HOURS, TEXT, Book, Line, Value
from exporter.speech import N_

_HEADS = 5
"""The row of the heads, from 0."""
_PRICE = "#,##0.00####"
_WORDS = TEXT, TEXT, TEXT, TEXT, TEXT, TEXT


def add(book: Book, invoices: Sequence[Invoice], span: str) -> None:
    """Adds a sheet for each project.

    Args:
        book: Gets them.
        invoices: One a project.
        span: The time that they are for.
    """
    for invoice in invoices:
        lines = _lines(book, invoice, span)
        book.page(invoice.project_name or invoice.project_uuid, lines, heads=_HEADS)


def _lines(book: Book, invoice: Invoice, span: str) -> list[Line]:
    gettext = book.speech.gettext
    heads = N_("User"), N_("Task type"), N_("What"), N_("GPU-hours"), N_("Price per GPU-hour"), N_("Amount")
    titles = [gettext(head) for head in heads]
    titles[-2:] = [book.titled_money(word) for word in titles[-2:]]
    lines: list[Line] = [
        ([gettext("Invoice")], [TEXT]),
        ([gettext("Project"), invoice.project_name or invoice.project_uuid], [TEXT, TEXT]),
        ([gettext("Project's UUID"), invoice.project_uuid], [TEXT, TEXT]),
        ([gettext("Time"), span], [TEXT, TEXT]),
        ([], []),
        (titles, _WORDS),
    ]
    forms = TEXT, TEXT, TEXT, HOURS, _PRICE, book.money
    lines += [(_cells(book, line), forms) for line in invoice.lines]
    if invoice.rounding:
        lines.append(([gettext("Rounding"), None, None, None, None, invoice.rounding], forms))
    lines.append(([gettext("Total"), None, None, None, None, invoice.total], forms))
    return lines


def _cells(book: Book, line: InvoiceLine) -> list[Value]:
    gettext = book.speech.gettext
    what = gettext("Idle") if line.is_idle else gettext("Owned") if line.amount is not None else gettext("no price")
    return [line.username, line.task_type, what, line.gpu_hours, line.per_gpu_hour, line.amount]
