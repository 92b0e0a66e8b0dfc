from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pytest

from exporter.demo.cluster import USERS
from exporter.report.languages import Language
from exporter.report.options import Format
from exporter.report.output import WRITTEN, files, printed
from exporter.report.window import Window, window
from tests.support.reports import sample

EVERYTHING: Final[tuple[Format, ...]] = (*WRITTEN, "markdown", "legacy")


def span(to: str | None = None) -> Window:
    return window("2025-07-22", to, "Asia/Taipei", datetime(2026, 1, 1, tzinfo=UTC).timestamp())


def test_a_day_is_written_to_a_folder_of_its_date() -> None:
    made = sample(8)

    assert set(files(made.report, made.timeline, span(), "en", WRITTEN)) == {
        f"2025-07-22/{name}"
        for name in ("report.html", "report.json", "summary.txt", "gpus.csv", "users.csv", "tasks.csv")
    }


def test_a_range_is_written_to_a_folder_of_both_dates() -> None:
    made = sample(8, to="2025-07-23")

    assert set(files(made.report, made.timeline, span("2025-07-23"), "zh-TW", ["markdown"])) == {
        "2025-07-22_2025-07-23/report.md"
    }


@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_the_same_figures_give_the_same_bytes(language: Language) -> None:
    once, again = sample(8), sample(8)

    assert files(once.report, once.timeline, span(), language, EVERYTHING) == files(
        again.report, again.timeline, span(), language, EVERYTHING
    )


def test_a_report_for_one_user_names_nobody_else_in_any_file() -> None:
    made = sample(16, only=frozenset({"easycard"}))
    found = files(made.report, made.timeline, span(), "en", EVERYTHING)
    names = {path: {user for user in USERS if user in content.decode("utf-8-sig")} for path, content in found.items()}

    assert any(spell.has_others for lane in made.timeline.lanes for spell in lane.spells)
    assert set().union(*names.values()) == {"easycard"}


@pytest.mark.parametrize("wanted", ["text", "csv", "json", "html", "markdown"])
def test_standard_output_gets_what_a_file_would(wanted: Format) -> None:
    made = sample(8)
    written = files(made.report, made.timeline, span(), "en", [wanted]).values()

    assert printed(made.report, made.timeline, "en", wanted, 120) in {text.decode("utf-8-sig") for text in written}
