from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from exporter.demo.cluster import USERS
from exporter.report.accounting.split import Kind, by_user, capacity
from exporter.report.render.html.charts import bars, stacked
from exporter.report.render.html.heat import USER_COLOURS
from exporter.report.render.html.page import render
from tests.support.reports import HOSTILE_NAMES, Sample, enlarged, sample

MEGABYTE = 1_000_000


@cache
def made(**case: Any) -> Sample:
    return sample(16, **case)


@cache
def hostile() -> Sample:
    return sample(16, usernames=dict(zip(USERS, HOSTILE_NAMES, strict=False)))


CASES: dict[str, dict[str, Any]] = {
    "whole day": {},
    "partial day": {"now": "2025-07-22T03:12"},
    "25 hours": {"date": "2025-10-26", "zone": "Europe/Berlin"},
    "23 hours": {"date": "2025-03-30", "zone": "Europe/Berlin"},
    "week": {"to": "2025-07-28"},
    "labels": {"tasks": "labels"},
    "no ownership": {"tasks": "none"},
    "no history": {"history": False},
    "no price": {"price": None},
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def page(result: Sample, language: str = "en") -> str:
    return render(result.report, result.timeline, language)


class Elements(HTMLParser):
    """All elements with their attributes, and all text outside of style and script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.raw: dict[str, list[str]] = {"style": [], "script": []}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        tag = self.found[-1][0] if self.found else ""
        if tag in self.raw and data.strip():
            self.raw[tag].append(data)
        self.texts.append(data.strip())


def heat(html: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Elements(html).raw["script"][0])
    return data


@every_case
def test_nothing_is_asked_of_any_server(case: dict[str, Any]) -> None:
    html = page(made(**case))
    elements = Elements(html)
    links = {
        value
        for _, attributes in elements.found
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "action", "data", "poster", "background", "ping"}
    }
    assert links == {"data:,"}
    assert not re.search(r"@import|url\((?!#)", elements.raw["style"][0])
    assert not re.search(r"https?:|\b(fetch|import|XMLHttpRequest|WebSocket|sendBeacon)\b", elements.raw["script"][1])


def test_policy_allows_the_pages_own_style_and_script_only() -> None:
    elements = Elements(page(made()))
    policy = next(a["content"] for _, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy
    hashes = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (elements.raw["style"][0], elements.raw["script"][1])
    ]
    assert policy.startswith(
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:;"
    )
    assert "unsafe" not in policy
    assert not [a for _, a in elements.found if "style" in a or any(name.startswith("on") for name in a)]


def test_hostile_names_are_text_and_nothing_else() -> None:
    html = page(hostile(), "zh-TW")
    elements = Elements(html)
    assert [tag for tag, _ in elements.found].count("script") == 2
    assert "img" not in {tag for tag, _ in elements.found}
    for name in HOSTILE_NAMES:
        assert name in elements.texts
    owners = " + ".join(owner["name"] for owner in heat(html)["owners"])
    assert all(name in owners for name in HOSTILE_NAMES)


def test_what_steers_a_terminal_or_the_order_of_text_is_made_visible() -> None:
    html = page(sample(8, usernames={USERS[0]: "\x1b[2J\0a\u202eb"}), "en")
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e]", html)
    assert "\ufffd[2J\ufffda\ufffdb" in Elements(html).texts


def test_a_report_of_a_thousand_gpus_stays_under_three_megabytes() -> None:
    large = enlarged(sample(64), 16)
    assert len(large.report.gpus) > 1024
    assert len(large.report.tasks) > 5000
    for language in ("en", "zh-TW"):
        assert len(page(large, language).encode()) < 3 * MEGABYTE


def test_rows_left_out_of_a_long_table_are_counted() -> None:
    large = enlarged(made(), 40)
    elements = Elements(page(large))
    left_out = len(large.report.tasks) - 3000
    assert left_out > 0
    assert f"+ {left_out:,} smaller entries are in the JSON report" in elements.texts


def test_the_brief_comes_before_every_figure() -> None:
    texts = [text for text in Elements(page(made())).texts if text]
    lead = next(text for text in texts if "of the owned time was idle" in text)

    assert texts.index(lead) < texts.index("Owned")
    assert "Coverage 98.4%" in texts, "of a node, on its charts"


def test_coverage_that_is_not_low_is_only_told_of_the_whole() -> None:
    report = made().report.model_copy(update={"min_coverage_ratio": 0.0})
    html = page(Sample(report, made().timeline)).split("<main>")[1].split('<section id="meaning"')[0]

    assert report.totals.coverage_ratio
    assert [text for text in Elements(html).texts if re.search(r"[Cc]overage", text)] == ["Coverage"]
    assert "<dt>Coverage</dt>" in html


def test_words_that_are_close_are_explained_where_they_stand() -> None:
    texts = [text for text in Elements(page(made())).texts if text]

    for word, meaning in (("Busy while owned", "is half a GPU-hour."), ("Active", "is a whole GPU-hour.")):
        near = texts[texts.index(word) : texts.index(word) + 12]
        assert any(text.endswith(meaning) for text in near), word


def test_rows_of_the_heat_map_say_what_their_numbers_are() -> None:
    assert {"GPU 3 · id 3", "GPU id 8", "GPU –"} < set(Elements(page(made())).texts)
    assert "GPU 3 · 編號 3" in Elements(page(made(), "zh-TW")).texts


@every_case
def test_same_input_gives_the_same_bytes(case: dict[str, Any]) -> None:
    assert page(sample(16, **case), "zh-TW") == page(made(**case), "zh-TW")


@every_case
def test_parts_of_a_bar_add_up_to_the_capacity(case: dict[str, Any]) -> None:
    report = made(**case).report
    usages = [report.totals, *(node.usage for node in report.nodes), *(user.usage for user in report.users)]
    for usage in usages:
        parts = stacked(capacity(usage), usage.capacity_gpu_hours)
        assert sum(part.hours for part in parts) == pytest.approx(usage.capacity_gpu_hours)
        for part, following in pairwise(parts):
            assert following.start == pytest.approx(part.start + part.width)
    free = capacity(report.totals).get(Kind.UNALLOCATED)
    assert free in (None, report.totals.unallocated_gpu_hours)
    drawn = bars(by_user(report.users, report.totals, 2))
    named = [user.username for user in report.users[:2]]
    assert [bar.group.username for bar in drawn[: len(named)]] == named
    assert len(drawn) <= 4
    assert sum(part.hours for bar in drawn for part in bar.segments) == pytest.approx(report.totals.capacity_gpu_hours)
    assert sum(bar.group.hours for bar in drawn) == pytest.approx(report.totals.capacity_gpu_hours)


def test_what_is_nobodys_by_a_rounding_alone_has_no_coverage() -> None:
    report = made().report
    nothing = {"owned_gpu_hours": report.totals.capacity_gpu_hours, "unknown_gpu_hours": 1e-15}
    *_, nobodys = by_user(report.users, report.totals.model_copy(update=nothing), 2)
    assert nobodys.username is None
    assert nobodys.coverage is None


def test_without_history_figures_are_dashes_and_not_zero() -> None:
    texts = Elements(page(made(history=False))).texts
    for title in ("Busy while owned", "Idle", "Efficiency", "Energy"):
        value = next(text for text in texts[texts.index(title) + 1 :] if text)
        assert value == "–"
    owned = next(text for text in texts[texts.index("Owned") + 1 :] if text)
    assert float(owned.replace(",", "")) > 0


def test_labels_that_tell_no_tasks_do_not_make_their_number_zero() -> None:
    html = page(made(tasks="labels"))
    row = re.search(r"<td>easycard</td>(.*?)</tr>", html.split('<section id="users"')[1])
    assert row
    heads = re.findall(
        r"<th[^>]*><button[^>]*>(.*?)</button>", html.split('<section id="users"')[1].split("</thead>")[0]
    )
    assert re.findall(r"<td[^>]*>(.*?)</td>", row[1])[heads.index("Tasks") - 1] == "–"


def test_lists_that_labels_cannot_tell_are_not_called_empty() -> None:
    labelled = page(made(tasks="labels"))

    for title in ("Owned but idle", "Tasks", "Projects"):
        assert re.search(rf'<h2>{title}</h2>\s*<p class="note">N/A</p>', labelled)
    assert "<h2>Users <small>" in labelled


def test_low_coverage_is_marked_and_never_rounded_up() -> None:
    html = page(made())
    marked = re.findall(r'<tr><td>colab-gpu1</td>(?:<td>[\d.]+</td>){2}<td class="low">98\.4%</td>', html)
    assert len(marked) == 1
    report = made().report
    content = Sample(report.model_copy(update={"min_coverage_ratio": 0.98}), made().timeline)
    assert "98.4%" not in page(content)
    almost = report.model_copy(
        update={"totals": report.totals.model_copy(update={"coverage_ratio": 1 - 1e-5})},
    )
    assert "<dt>Coverage</dt><dd>99.9%</dd>" in page(Sample(almost, made().timeline))


def test_a_report_of_nothing_is_a_page_too() -> None:
    empty = sample(0, history=False, tasks="none")
    assert not empty.report.gpus
    elements = Elements(page(empty))
    assert "none (all unknown)" in elements.texts
    assert not [tag for tag, _ in elements.found if tag in {"table", "canvas"}]


def test_a_day_that_goes_on_says_so() -> None:
    assert "本日尚未結束，統計至" in page(made(now="2025-07-22T03:12"), "zh-TW")
    assert "本日尚未結束" not in page(made(), "zh-TW")


@pytest.mark.parametrize("name", ["whole day", "25 hours", "23 hours", "partial day"])
def test_heat_map_carries_every_gpu_and_cell(name: str) -> None:
    result = made(**CASES[name])
    data = heat(page(result))
    columns = len(result.timeline.edges) - 1
    cells = np.frombuffer(base64.b64decode(data["cells"]), np.uint8).reshape(-1, columns).astype(float)
    expected = np.array([lane.utilization for lane in result.timeline.lanes])
    np.testing.assert_array_equal(cells == 255, np.isnan(expected))
    np.testing.assert_allclose(np.where(cells == 255, np.nan, cells / 200), expected, atol=0.5 / 200 + 1e-9)
    for lane, flat in zip(result.timeline.lanes, data["spells"], strict=True):
        names = [data["owners"][n]["name"] for n in flat[1::2]]
        assert names == [" + ".join(spell.usernames) or "Unallocated" for spell in lane.spells]
        assert flat[-2] == data["seconds"][-1]


def test_users_beyond_the_colours_share_the_last_one() -> None:
    result = made()
    report = result.report
    one_user = report.model_copy(update={"users": report.users[:1]})
    data = heat(page(Sample(one_user, result.timeline)))
    first = report.users[0].username
    assert {number for owner in data["owners"] for number in owner["colours"]} == {0, USER_COLOURS}
    assert next(owner["colours"] for owner in data["owners"] if owner["name"] == first) == [0]
    others = "others"
    assert others in Elements(page(Sample(one_user, result.timeline))).texts
    assert others not in Elements(page(result)).texts


def test_a_report_for_one_user_shows_that_others_had_the_gpu_and_not_who() -> None:
    html = page(sample(16, only=frozenset({"easycard"})))
    owners = {owner["name"]: owner["colours"] for owner in heat(html)["owners"]}
    others = "others"
    assert owners["easycard"] == [0]
    assert owners[others] == [USER_COLOURS]
    assert set(owners) <= {"easycard", others, f"easycard + {others}", "Unallocated", "Unknown"}
    assert others in Elements(html).texts


def test_hours_that_occur_twice_are_told_apart() -> None:
    data = heat(page(made(**CASES["25 hours"])))
    assert len(data["times"]) == 151
    assert [time for time in data["times"] if time.startswith("02:30")] == ["02:30 +02:00", "02:30 +01:00"]


def test_times_of_tasks_on_a_day_when_clocks_change_carry_their_offset() -> None:
    html = page(made(**CASES["25 hours"]))
    starts = re.findall(r'<td class="t">(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)([^<]*)</td>', html)
    assert {offset for _, offset in starts} == {" +01:00", " +02:00"}
    assert {"2025-10-26 00:00 +02:00", "2025-10-27 00:00 +01:00"} < set(Elements(html).texts)
    assert {"2025-07-22 00:00", "2025-07-23 00:00"} < set(Elements(page(made())).texts)


def test_what_the_report_leaves_out_is_said() -> None:
    report = made().report.model_copy(update={"only_users": ["<script>", "itrd"]})
    texts = Elements(page(Sample(report, made().timeline), "zh-TW")).texts
    assert "僅限使用者：<script>、itrd" in texts
    assert "僅限使用者" not in page(made(), "zh-TW")


def test_longer_windows_are_drawn_in_columns_that_fit_a_screen() -> None:
    data = heat(page(made(**CASES["week"])))
    assert len(data["seconds"]) - 1 <= 288
    assert data["seconds"][-1] == 7 * 86400


def test_lines_have_a_gap_where_nothing_was_observed() -> None:
    html = page(sample(24))
    plot = html.split('aria-label="Utilization and VRAM over time: colab-gpu2"')[1]
    line = re.search(r'class="utilization" d="([^"]*)"', plot)
    assert line
    assert line[1].count("M") == 2
    assert "H500M625 " in line[1]
