from __future__ import annotations

import csv as csv_format
import io
import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.names import visible
from exporter.report.accounting.figures import Usage
from exporter.report.render import csv
from tests.support.reports import HOSTILE_NAMES, sample

STARTERS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are full-width."""


def read(text: str) -> list[dict[str, str]]:
    return list(csv_format.DictReader(io.StringIO(text, newline="")))


def test_one_header_line_names_the_fields_of_the_json() -> None:
    report = sample(8).report
    row = report.gpus[0].model_dump()
    usage = row.pop("usage")

    assert csv.gpus(report).splitlines()[0] == ",".join([*row, *usage])
    assert len(read(csv.gpus(report))) == len(report.gpus)
    assert len(read(csv.users(report))) == len(report.users)
    assert len(read(csv.tasks(report))) == len(report.tasks)


def test_figures_have_at_most_six_decimals_and_null_is_empty() -> None:
    report = sample(8).report

    for row, printed in zip(report.gpus, read(csv.gpus(report)), strict=True):
        for name in Usage.model_fields:
            value = getattr(row.usage, name)
            if value is None:
                assert printed[name] == ""
            else:
                assert re.fullmatch(r"-?\d+(\.\d{1,6})?", printed[name])
                assert float(printed[name]) == pytest.approx(value, abs=5.1e-7)
    assert read(csv.gpus(report))[-1]["gpu_uuid"] == ""


def test_the_gpus_add_up_to_the_totals() -> None:
    report = sample(8).report

    owned = sum(float(row["owned_gpu_hours"]) for row in read(csv.gpus(report)))
    assert owned == pytest.approx(report.totals.owned_gpu_hours)


def test_several_users_are_joined() -> None:
    report = sample(8).report
    shared = next(row for row in report.gpus if len(row.users) > 1)

    assert read(csv.gpus(report))[report.gpus.index(shared)]["users"] == "+".join(shared.users)


@given(st.text(st.characters(codec="utf-8"), max_size=8), st.sampled_from(STARTERS))
def test_no_text_starts_a_formula_and_none_is_lost(rest: str, starter: str) -> None:
    ((cell,),) = csv_format.reader(io.StringIO(csv.lines([[starter + rest]]), newline=""))

    assert cell == "'" + visible(starter + rest)


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=4))
def test_any_text_comes_back_from_its_cell_as_it_can_be_seen(cells: list[str]) -> None:
    (found,) = csv_format.reader(io.StringIO(csv.lines([[*cells, 1]]), newline=""))

    assert [cell.removeprefix("'") for cell in found[:-1]] == [visible(cell).removeprefix("'") for cell in cells]


def test_what_steers_a_terminal_or_ends_a_field_is_made_visible() -> None:
    assert csv.lines([["\x1b[2J\0amy\u202eyma"]]) == "\ufffd[2J\ufffdamy\ufffdyma\n"


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_numbers_are_written_in_digits_alone(number: float) -> None:
    cell = csv.lines([[number, "x"]]).partition(",")[0]

    assert re.fullmatch(r"-?\d+(\.\d{0,5}[1-9])?", cell)
    assert float(cell) == pytest.approx(number, abs=5.1e-7)
    assert cell != "-0"


def test_who_asks_for_a_language_gets_its_words_over_the_same_columns() -> None:
    report = sample(8).report

    for table in (csv.gpus, csv.users, csv.tasks):
        names, *rows = csv_format.reader(io.StringIO(table(report)))
        words, *same = csv_format.reader(io.StringIO(table(report, "zh-TW")))
        assert rows == same
        assert len(set(words)) == len(words) == len(names)
        assert not set(words) & set(names)
    assert "閒置（GPU 小時）" in csv.users(report, "zh-TW").splitlines()[0]
    assert "Idle (GPU-hours)" in csv.users(report, "en").splitlines()[0]


@pytest.mark.parametrize(
    ("date", "zone", "form"),
    [
        ("2025-07-22", "Asia/Taipei", "%Y-%m-%d %H:%M:%S"),
        ("2025-10-26", "Europe/Berlin", "%Y-%m-%d %H:%M:%S %z"),
    ],
)
def test_times_are_a_spreadsheets_with_the_offset_only_where_clocks_change(date: str, zone: str, form: str) -> None:
    report = sample(8, date=date, zone=zone).report

    for row, printed in zip(report.tasks, read(csv.tasks(report)), strict=True):
        start = datetime.fromisoformat(row.start)
        read_back = datetime.strptime(printed["start"], form)  # noqa: DTZ007  that is the point
        assert read_back == (start if read_back.tzinfo else start.replace(tzinfo=None, microsecond=0))
        assert (printed["end"] == "") == (row.end is None)


def test_negative_numbers_stay_numbers() -> None:
    assert csv.lines([[-1.5, "-1.5", None]]) == "-1.5,'-1.5,\n"


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_stay_one_cell(name: str) -> None:
    report = sample(8, usernames={"itrd": name}).report

    printed = [row["username"] for row in read(csv.users(report))]
    assert [user.removeprefix("'") for user in printed] == [row.username for row in report.users]
    assert not any(user.startswith("=") for user in printed)


def test_files_carry_the_mark_that_excel_needs() -> None:
    assert csv.users(sample(8).report).encode(csv.ENCODING).startswith(b"\xef\xbb\xbfusername,")
