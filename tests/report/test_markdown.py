from __future__ import annotations

import html
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from exporter.report.languages import Language
from exporter.report.render import markdown
from exporter.report.render.names import visible
from tests.support.reports import HOSTILE_NAMES, sample

WIKI = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def cells(text: str) -> list[list[str]]:
    """Of each row of all tables, what a reader sees, tags and all."""
    page = WIKI.render(text)
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    return [[html.unescape(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL)] for row in rows]


@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_every_node_user_and_task_has_a_row(language: Language) -> None:
    report = sample(8).report
    first = [row[0] for row in cells(markdown.render(report, language))]

    assert first.count(report.nodes[0].hostname) == len(report.nodes) + min(100, len(report.tasks))
    assert set(first) >= {row.username for row in report.users}


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, "a|b", "`x`", "[x](http://e.example)", "http://e.example", "*_~\\"])
def test_hostile_names_are_read_as_they_are_written(name: str) -> None:
    report = sample(8, usernames={"itrd": name}).report
    text = markdown.render(report, "en")

    assert name in [row[0] for row in cells(text)]
    assert "<script" not in WIKI.render(text)
    assert "<img" not in WIKI.render(text)


@given(st.text(max_size=40))
@example("www.example.org")
@example("https://example.org/<b>")
@example("-\n# x")
def test_any_text_is_one_cell_that_reads_the_same(text: str) -> None:
    rows = cells(f"| a | b |\n|--|--|\n| {markdown.escaped(text)} | x |\n")

    assert rows[1] == [visible(text).strip(), "x"]


def test_bare_addresses_are_no_links_to_those_who_make_links_of_them() -> None:
    assert "://" not in markdown.escaped("https://example.org")
    assert "www." not in markdown.escaped("www.example.org")


def test_it_says_that_rows_are_left_out() -> None:
    report = sample(8).report
    many = report.model_copy(update={"tasks": report.tasks * 50})

    assert f"{len(many.tasks) - 100} smaller rows" in markdown.render(many, "en")
