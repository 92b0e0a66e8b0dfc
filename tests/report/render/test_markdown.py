from __future__ import annotations

import html
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from exporter.names import visible
from exporter.report.accounting.rows import Report
from exporter.report.render import markdown, text
from exporter.report.render.cells import coverage
from exporter.speech import speech
from tests.support.reports import HOSTILE_NAMES, sample

WIKI = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
LINKING = MarkdownIt("gfm-like", {"html": True})


def rendered(report: Report, language: str = "en") -> str:
    return markdown.render(report, sample(8).timeline, language)


def cells(text: str) -> list[list[str]]:
    """Of each row of all tables, what a reader sees, tags and all but those of code."""
    page = WIKI.render(text)
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    return [
        [
            html.unescape(re.sub("</?code>", "", cell))
            for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL)
        ]
        for row in rows
    ]


@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_every_node_user_and_task_has_a_row(language: str) -> None:
    report = sample(8).report
    rows = cells(rendered(report, language))
    there = len(report.nodes) + min(100, len(report.tasks)) + len(report.waste)

    assert sum(report.nodes[0].hostname in row for row in rows) == there
    assert {row[0] for row in rows} >= {row.username for row in report.users}


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, "a|b", "`x`", "[x](http://e.example)", "http://e.example", "*_~\\"])
def test_hostile_names_are_read_as_they_are_written(name: str) -> None:
    report = sample(8, usernames={"itrd": name}).report
    text = rendered(report)

    assert name in [row[0] for row in cells(text)]
    assert "<script" not in WIKI.render(text)
    assert "<img" not in WIKI.render(text)


@given(st.text(max_size=40))
@example("www.example.org")
@example("https://example.org/<b>")
@example("-\n# x")
@example("@a|b\\\\|")
@example("``x`` `y` @z`")
@example("&lt; &#60;")
def test_any_text_is_one_cell_that_reads_the_same(text: str) -> None:
    rows = cells(f"| a | b |\n|--|--|\n| {markdown.escaped(text)} | x |\n")

    assert rows[1] == [visible(text).strip(), "x"]


@given(st.text(max_size=40))
@example("- # x")
@example("12. x")
@example("--- ")
@example("> x")
def test_any_text_is_one_item_of_a_list_that_reads_the_same(text: str) -> None:
    page = WIKI.render(f"- {markdown.escaped('x' + text)}\n- {markdown.escaped(text)}\n")
    items = [html.unescape(re.sub("</?code>", "", item)) for item in re.findall("<li>(.*?)</li>", page, re.DOTALL)]

    assert items == ["x" + visible(text).rstrip(), visible(text).strip()]


@pytest.mark.parametrize(
    "address",
    ["https://example.org", "www.example.org", "see HTTP://example.org/x.", "amy@example.org", "（http://a.tw）"],
)
def test_bare_addresses_are_no_links_to_those_who_make_links_of_them(address: str) -> None:
    assert "<a " in LINKING.render(address)
    assert "<a " not in LINKING.render(markdown.escaped(address))


@pytest.mark.parametrize(
    "name", ["tku_csie", "colab-gpu1", "陳怡君", "<0.01", "-1.5", "US$12.50", "$0.30", "R&D", "08:19:32"]
)
def test_ordinary_names_and_figures_read_in_the_source_as_they_are(name: str) -> None:
    assert markdown.escaped(name) == name


def test_the_source_has_no_character_references() -> None:
    made = sample(16, usernames={"itrd": "CORP\\alice", "admin": "amy+gpu@example.org", "nycubme": "_*`|"})
    page = markdown.render(made.report, made.timeline, "en")

    assert "| CORP\\\\alice |" in page
    assert "| `amy+gpu@example.org` |" in page
    assert not re.search("&#?[a-z0-9]+;", page)


def test_it_says_that_rows_are_left_out() -> None:
    report = sample(8).report
    many = report.model_copy(update={"tasks": [*report.tasks] * 50})

    assert f"{len(many.tasks) - 100:,} smaller entries" in rendered(many)


def test_the_rows_left_out_are_the_smaller_ones() -> None:
    report = sample(8).report
    small, large = (
        row.model_copy(update={"username": name, "usage": row.usage.model_copy(update={"owned_gpu_hours": hours})})
        for row, name, hours in zip(report.tasks, ("small", "large"), (0.1, 99.0), strict=False)
    )
    page = rendered(report.model_copy(update={"tasks": [small] * 200 + [large]})).split("## Tasks")[1]

    assert [row[0] for row in cells(page)].count("large") == 1


def test_it_begins_as_the_text_does() -> None:
    for case in ({}, {"now": "2025-07-22T03:17"}, {"date": "2025-10-26", "zone": "Europe/Berlin"}, {"tasks": "labels"}):
        made = sample(8, **case)  # type: ignore[arg-type]
        head, said = text.render(made.report, made.timeline, "zh-TW", 4000).split("\n\n")[:2]
        begin, bullets = markdown.render(made.report, made.timeline, "zh-TW").split("\n\n##", 1)[0].rsplit("\n\n", 1)

        assert [line.strip("# *") for line in begin.split("\n\n")] == head.splitlines()
        assert [line.strip("-* ") for line in bullets.splitlines()] == [
            line[2:] for line in said.splitlines() if "no scrapes" not in line
        ]


def test_it_says_what_it_leaves_out() -> None:
    report = sample(8).report.model_copy(update={"only_users": ["tku_csie"]})

    assert "僅限使用者：tku_csie\n" in rendered(report, "zh-TW")


@pytest.mark.parametrize(
    ("tasks", "users", "waste", "none"), [("api", "none", "none", "no tasks"), ("none", "N/A", "N/A", "N/A")]
)
def test_empty_lists_are_words_and_no_bare_heads(tasks: str, users: str, waste: str, none: str) -> None:
    report = sample(8, tasks=tasks).report.model_copy(update={"users": [], "waste": [], "tasks": []})  # type: ignore[arg-type]
    page = rendered(report)

    for title, said in {"Users": users, "Owned but idle": waste, "Tasks": none}.items():
        assert f"## {title} (GPU-hours)\n\n{said}\n" in page


def test_low_coverage_of_the_whole_is_marked() -> None:
    report = sample(8).report
    whole = report.model_copy(update={"min_coverage_ratio": 0.5})
    shown = coverage(report.totals.coverage_ratio, speech("en"))

    assert ["Coverage", f"! {shown}"] in cells(rendered(report))
    assert ["Coverage", shown] in cells(rendered(whole))


def test_times_stay_readable_and_no_emoji_comes_of_colons() -> None:
    assert markdown.escaped("07-22 12:06 +08:00") == "07-22 12:06 +08:00"
    outside = re.sub("`[^`]*`", "", markdown.escaped(":100: a1:100:b 11:100:11 :smile: :12:30:"))
    assert not re.search(r":\w+:", outside)
