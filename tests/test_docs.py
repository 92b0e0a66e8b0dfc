from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from docs import generate

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/**/*.md")])


def tokens(page: Path) -> list[Token]:
    return MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8"))


def links(page: Path) -> Iterator[str]:
    for token in tokens(page):
        for child in token.children or ():
            link = child.attrs.get("href") or child.attrs.get("src")
            if isinstance(link, str) and "://" not in link:
                yield link


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = [text.content for head, text in pairwise(tokens(page)) if head.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_page_of_metrics_is_up_to_date() -> None:
    assert generate.METRICS.read_text(encoding="utf-8") == generate.metrics()


def test_the_page_of_figures_is_up_to_date() -> None:
    assert generate.FIGURES_PAGE.read_text(encoding="utf-8") == generate.figures()


def test_the_schema_of_the_report_is_up_to_date() -> None:
    assert generate.SCHEMA.read_text(encoding="utf-8") == generate.schema()


def test_the_schema_of_weeks_and_months_is_up_to_date() -> None:
    assert generate.PERIOD_SCHEMA.read_text(encoding="utf-8") == generate.period_schema()


def test_the_schema_of_the_portal_is_up_to_date() -> None:
    assert generate.PORTAL_SCHEMA.read_text(encoding="utf-8") == generate.portal_schema()
