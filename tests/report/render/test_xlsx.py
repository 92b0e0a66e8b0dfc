from __future__ import annotations

import io
from datetime import datetime
from decimal import Decimal

import openpyxl
import pytest
from openpyxl.workbook import Workbook

from exporter.demo.cluster import USERS
from exporter.report.accounting.figures import FIGURES
from exporter.report.accounting.rows import Report
from exporter.report.render.xlsx import day, period
from exporter.report.render.xlsx.book import TEXT, Book
from exporter.speech import languages, speech
from tests.support.periods import period_report
from tests.support.reports import sample

LIKE_OTHERS = dict(
    zip(USERS, ('=cmd()|"/c calc"!A1', "0856123", "SEPT2", "https://example.org", "+1", "陳怡君"), strict=True)
)


def opened(content: bytes) -> Workbook:
    return openpyxl.load_workbook(io.BytesIO(content))


def report() -> Report:
    return sample(16, usernames=LIKE_OTHERS).report


def test_names_and_ids_are_text_and_nothing_is_a_formula_or_a_link() -> None:
    book = opened(day.render(report(), "en"))
    kinds = {cell.data_type for sheet in book for row in sheet for cell in row}
    users = {row[0].value: row[0].data_type for row in book["Users"].iter_rows(min_row=2)}

    assert kinds <= {"s", "n", "d"}
    assert users == dict.fromkeys(LIKE_OTHERS.values(), "s")
    assert not any(cell.hyperlink for sheet in book for row in sheet for cell in row)
    assert all(row[9].data_type == "s" for row in book["Tasks"].iter_rows(min_row=2))


def test_figures_are_numbers_that_agree_with_the_report() -> None:
    made = report()
    sheet = opened(day.render(made, "en"))["Users"]
    heads = [cell.value for cell in sheet[1]]
    for row, cells in zip(made.users, sheet.iter_rows(min_row=2, values_only=True), strict=True):
        found = dict(zip(heads, cells, strict=True))
        assert found["Owned"] == pytest.approx(row.usage.owned_gpu_hours)
        assert found["Efficiency"] == pytest.approx(row.usage.efficiency_ratio)
        assert found["Cost (USD)"] == pytest.approx(row.usage.cost)
        assert found["Peak VRAM"] == pytest.approx((row.usage.peak_vram_used_bytes or 0) / 2**30)


def test_heads_stay_in_sight_and_numbers_have_formats() -> None:
    book = opened(day.render(report(), "en"))
    sheet = book["Tasks"]
    formats = {head.value: cell.number_format for head, cell in zip(sheet[1], sheet[2], strict=True)}

    assert all(sheet.freeze_panes for sheet in book)
    assert sheet.auto_filter.ref
    assert (formats["Start"], formats["Coverage"], formats["Owned"]) == ("yyyy-mm-dd hh:mm:ss", "0.0%", "#,##0.00")
    assert isinstance(sheet["E2"].value, datetime)


def test_a_spreadsheet_for_one_user_names_nobody_else_and_is_the_same_each_time() -> None:
    made = sample(16, only=frozenset({"easycard"})).report
    cells = {cell.value for sheet in opened(day.render(made, "en")) for row in sheet for cell in row}

    assert cells & set(USERS) == {"easycard"}
    assert day.render(made, "en") == day.render(made, "en")


def test_what_is_absent_is_an_empty_cell() -> None:
    sheet = opened(day.render(sample(8, history=False).report, "en"))["Users"]
    heads = [cell.value for cell in sheet[1]]

    assert {row[heads.index("Busy")] for row in sheet.iter_rows(min_row=2, values_only=True)} == {None}


@pytest.mark.parametrize("language", languages())
def test_each_project_has_an_invoice_whose_lines_make_up_its_total(language: str) -> None:
    made = period_report()
    book = opened(period.render(made, language))
    invoices = book.worksheets[-len(made.invoices) :]
    for invoice, sheet in zip(made.invoices, invoices, strict=True):
        amounts = [Decimal(str(row[5])) for row in sheet.iter_rows(min_row=7, values_only=True)]
        assert sheet["B3"].value == invoice.project_uuid
        assert sum(amounts[:-1]) == amounts[-1] == Decimal(str(invoice.total))


def test_a_month_has_sheets_of_days_users_and_projects_and_none_of_tasks() -> None:
    made = period_report(missing=2, compared=False)
    book = opened(period.render(made, "en"))
    expected = ["Summary", "Days", "Users", "Users by day", "Projects", "Task types", "Nodes", "Budgets of the month"]
    heads = {cell.value for cell in book["Days"][1]}

    assert book.sheetnames[:8] == expected
    assert book["Days"].max_row == 1 + 31
    assert [cell.value for cell in book["Days"][32]][1:] == [None] * (len(heads) - 1)
    assert not any(figure.word in heads for figure in FIGURES.values() if not figure.is_of_days)


def test_no_two_sheets_have_one_name_and_none_has_one_that_spreadsheets_refuse() -> None:
    book = Book(speech("en"), None)
    for name in ("Users", "users", "a/b:c*?[d]\\e", "'", "", "History", "陳" * 60, "陳" * 60, "x\x00y"):
        book.page(name, [(["text"], [TEXT])], heads=0)
    names = opened(book.closed()).sheetnames

    assert len({name.lower() for name in names}) == len(names) == 9
    assert all(0 < len(name) <= 31 and not set(name) & set("[]:*?/\\") for name in names)
    assert "history" not in {name.lower() for name in names}
