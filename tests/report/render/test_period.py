from __future__ import annotations

import gettext
import json as json_format
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from markdown_it import MarkdownIt

from exporter.demo.cluster import USERS
from exporter.report.accounting.periods import PeriodReport
from exporter.report.render.period import html, json, markdown, text
from exporter.report.render.xlsx import period as xlsx
from exporter.speech import SOURCE, languages, speech
from exporter.table import width_of
from tests.support.browser import browser_page
from tests.support.periods import month, period_report
from tests.support.reports import HOSTILE_NAMES

ROOT = Path(__file__).parents[3]
UNFINISHED = month(now=datetime(2025, 7, 20, 5, tzinfo=UTC))
HOSTILE = dict(zip(USERS, HOSTILE_NAMES, strict=False))


def rendered(report: PeriodReport, language: str) -> dict[str, str]:
    return {
        "text": text.render(report, language, 80),
        "markdown": markdown.render(report, language),
        "html": html.render(report, language),
        "json": json.render(report),
    }


@pytest.mark.parametrize("language", languages())
def test_text_fits_the_terminal_and_has_no_list_of_tasks(language: str) -> None:
    page = text.render(period_report(32), language, 100)

    assert max(map(width_of, page.splitlines())) <= 100
    assert len(page.splitlines()) < 150
    assert max(map(width_of, text.render(period_report(8, names=HOSTILE), language, 80).splitlines())) <= 80


@pytest.mark.parametrize("language", languages())
def test_the_same_figures_give_the_same_text(language: str) -> None:
    assert rendered(period_report(), language) == rendered(period_report(), language)
    assert xlsx.render(period_report(), language) == xlsx.render(period_report(), language)


def test_every_format_has_a_row_for_each_day_and_user_and_the_month_before() -> None:
    report = period_report()
    for page in rendered(report, "en").values():
        assert "2025-06" in page
        for row in report.days:
            assert row.date[5:] in page
        for user in report.users:
            assert user.username.replace("_", "") in page.replace("&#95;", "").replace("_", "").replace("\\", "")


def test_json_keeps_to_its_published_schema() -> None:
    schema = json_format.loads((ROOT / "docs" / "period.schema.json").read_text(encoding="utf-8"))
    for report in (period_report(), period_report(missing=2, price=None, compared=False)):
        jsonschema.validate(json_format.loads(json.render(report)), schema)


def test_markdown_is_tables_and_no_markup_of_names() -> None:
    tokens = MarkdownIt().enable("table").parse(markdown.render(period_report(names=HOSTILE), "en"))

    assert sum(token.type == "table_open" for token in tokens) == 6
    assert not any(token.type == "html_block" for token in tokens)
    assert not any(child.type == "html_inline" for token in tokens for child in token.children or ())


def test_an_unfinished_month_says_how_far_it_reaches() -> None:
    page = text.render(period_report(span=UNFINISHED), "en", 80)

    assert "It is not over: figures reach up to the end of 2025-07-19." in page
    assert "month before: 2025-06-01 – 2025-06-19" in page


def test_a_day_that_could_not_be_had_shows_as_absent() -> None:
    page = text.render(period_report(missing=1, compared=False), "en", 80)
    (line,) = (line for line in page.splitlines() if line.startswith("07-31"))

    assert set(line.removeprefix("07-31 Thursday")) <= {" ", "–"}
    assert "Not compared: days are missing here, or not all before are stored." in page


def test_a_budget_that_is_overdrawn_is_among_the_first_sentences() -> None:
    head = text.render(period_report(), "en", 80).split("==")[0]

    assert "itrd is over the budget by" in head
    assert "easycard" not in head


class Missing(gettext.NullTranslations):
    """What a catalogue falls back to: here it must never come to that."""

    def gettext(self, message: str) -> str:
        raise AssertionError(f"not translated: {message}")

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        raise AssertionError(f"not translated: {msgid1}, {msgid2} of {n}")


@pytest.mark.parametrize("language", [language for language in languages() if language != SOURCE])
@pytest.mark.parametrize("case", [{}, {"span": UNFINISHED}, {"missing": 3, "price": None, "compared": False}])
def test_no_word_of_any_format_falls_back_to_english(
    language: str, case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech(language).catalogue, "_fallback", Missing())
    report = period_report(**case)
    narrowed = report.model_copy(update={"only_users": ["itrd"], "only_nodes": ["colab-gpu1"]})
    for one in (report, narrowed):
        assert rendered(one, language)
        assert xlsx.render(one, language)


async def test_the_page_works_in_a_browser_whatever_users_are_called(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(html.render(period_report(names=HOSTILE), "zh-TW"), encoding="utf-8")
    async with browser_page() as browser:
        for width in (390, 1280):
            await browser.show(width, 900, dark=width == 390)
            await browser.goto(path.as_uri())
            assert await browser.evaluate("document.documentElement.scrollWidth") == width
        shades = "document.querySelectorAll('#heat tbody td').length"
        assert await browser.evaluate(shades) == 31 * len(USERS)
        assert await browser.evaluate("document.querySelectorAll('.columns g').length") == 31
        assert browser.complaints == []
