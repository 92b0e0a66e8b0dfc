"""What LibreOffice makes of the spreadsheets. `make spreadsheets` runs it: for `make test` LibreOffice is too large."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import pytest

from exporter.report.render.xlsx import day, period
from tests.report.render.test_xlsx import LIKE_OTHERS, report
from tests.support.periods import period_report

AS_CSV = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"
"""Every sheet, in UTF-8, each cell as it is stored."""


def opened(content: bytes, directory: Path) -> dict[str, list[list[str]]]:
    """The cells of each sheet, as LibreOffice reads them."""
    file = directory / "book.xlsx"
    file.write_bytes(content)
    profile = f"-env:UserInstallation={(directory / 'profile').as_uri()}"
    command = ["soffice", profile, "--headless", "--convert-to", AS_CSV, "--outdir", str(directory), str(file)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return {
        path.stem.removeprefix("book-"): list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        for path in directory.glob("book-*.csv")
    }


def test_names_stay_as_they_are_and_figures_are_numbers(tmp_path: Path) -> None:
    made = report()
    heads, *rows = opened(day.render(made, "en"), tmp_path)["Users"]

    assert {row[0] for row in rows} == set(LIKE_OTHERS.values())
    assert [float(row[heads.index("Owned")]) for row in rows] == pytest.approx(
        [row.usage.owned_gpu_hours for row in made.users]
    )


def test_an_invoice_adds_up_in_chinese(tmp_path: Path) -> None:
    made = period_report()
    sheets = opened(period.render(made, "zh-TW"), tmp_path)
    invoices = {sheet[2][1]: sheet for sheet in sheets.values() if sheet[0][0] == "請款單"}
    assert invoices.keys() == {invoice.project_uuid for invoice in made.invoices}
    for invoice in made.invoices:
        amounts = [float(row[5]) for row in invoices[invoice.project_uuid][6:]]
        assert round(sum(amounts[:-1]), 2) == amounts[-1] == invoice.total
