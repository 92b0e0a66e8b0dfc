from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser

import pytest

from exporter.report.render import mail
from exporter.report.render.cells import Cells
from exporter.report.render.sentences import sentences
from exporter.speech import languages, speech
from exporter.table import width_of
from tests.support.periods import period_report
from tests.support.reports import HOSTILE_NAMES, Sample, sample

LANGUAGES = languages()
LINK = "https://reports.example.org/2025-07-22/report.html"
HOSTILE = dict(zip(("itrd", "admin", "nycubme", "easycard"), HOSTILE_NAMES, strict=True))
LONG = "陳" * 256
TAGS = {"html", "head", "meta", "title", "body", "table", "tr", "td", "th", "h1", "h2", "p", "a", "br", "span"}


@cache
def day(*, hostile: bool = False) -> Sample:
    return sample(16, usernames=HOSTILE if hostile else None)


def mails(language: str, *, hostile: bool = False) -> list[str]:
    made = day(hostile=hostile)
    month = period_report(16, names=HOSTILE if hostile else None)
    return [mail.day(made.report, made.timeline, language, LINK), mail.period(month, language, LINK)]


class Tags(HTMLParser):
    """What a page is made of, and whether every tag is closed."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("hostile", [False, True])
def test_a_mail_is_tables_with_inline_styles_and_loads_nothing(language: str, *, hostile: bool) -> None:
    for page in mails(language, hostile=hostile):
        tags = Tags(page).tags
        names = {tag for tag, _ in tags}
        styles = " ".join(attributes.get("style") or "" for _, attributes in tags)

        assert names <= TAGS
        assert [attributes["href"] for _, attributes in tags if "href" in attributes] == [LINK]
        assert not {"src", "class", "id", "background", "onclick", "onerror"} & {
            name for _, attributes in tags for name in attributes
        }
        assert not re.search(r"url\(|var\(|@|grid|flex|position", styles)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_mail_begins_with_every_sentence_of_the_brief_and_then_has_the_users(language: str) -> None:
    made = day()
    text = "".join(Tags(mail.day(made.report, made.timeline, language, None)).text)
    told = [one.text for one in sentences(Cells(made.report, speech(language)), made.timeline)]
    places = [text.index(part) for part in (*told, *made.report.warnings, speech(language).gettext("Would free"))]

    assert len(told) > 3
    assert places == sorted(places)
    assert "http" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_of_a_large_cluster_with_long_names_a_mail_stays_below_100_kb(language: str) -> None:
    made = day()
    users = [made.report.users[0].model_copy(update={"username": f"{n} {LONG}"}) for n in range(500)]
    report = made.report.model_copy(update={"users": users, "warnings": [f"{n} {LONG * 4}" for n in range(100)]})
    month = period_report(16)
    longest = month.model_copy(
        update={
            "users": [month.users[0].model_copy(update={"username": f"{n} {LONG}"}) for n in range(500)],
            "budgets": [month.budgets[0].model_copy(update={"name": f"{n} {LONG}"}) for n in range(500)],
            "warnings": report.warnings,
        }
    )

    for page in (mail.day(report, made.timeline, language, LINK), mail.period(longest, language, LINK)):
        assert len(page.encode()) < 100_000
        text = Tags(page).text
        assert max(map(width_of, text)) <= 402  # a warning and its mark
        assert any("480" in line for line in text)  # rows that are left out


def test_same_inputs_same_mail() -> None:
    assert mails("zh-TW") == mails("zh-TW")
