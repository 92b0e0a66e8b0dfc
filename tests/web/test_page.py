from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import UNALLOCATED, UNKNOWN, GpuState, Owner, Ownership, Snapshot, SourceState
from exporter.speech import Speech, languages, speech
from exporter.standing import Standing
from exporter.web import page
from tests.support import snapshots
from tests.support.snapshots import node, owned, shared, state

ALICE = Owner("alice", "LAB", Ownership.OWNED)
ENGLISH, CHINESE = speech("en"), speech("zh-TW")
BOTH = Owner("alice+bob", "LAB", Ownership.SHARED)


def render(*states: GpuState, words: Speech = ENGLISH) -> str:
    return text_of(node(*states), words)


def text_of(snapshot: Snapshot, words: Speech = ENGLISH) -> str:
    """What a reader sees, on one line."""
    markup = page.render(snapshot, words)
    body = re.sub(r"<(style|svg|title)\b.*?</\1>|<(?!/?bdi>)[^>]*>", " ", markup, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub("</?bdi>", "", body)).replace("\N{NO-BREAK SPACE}", " ").split())


def test_unknown_is_never_shown_as_idle_or_free() -> None:
    shown = render(state(0, UNKNOWN, 0.0, 0))
    assert "0 held, idle" in shown
    assert "0 free" in shown
    assert "1 owner unknown" in shown


def test_totals_count_each_gpu_once() -> None:
    shown = text_of(snapshots.EIGHT)
    totals = "1 free 3 in use 1 held, idle 1 busy, no task 1 owner unknown 1 unreadable"
    assert f"8 GPUs · as of 2025-07-22 08:19:32 UTC {totals} GPU readings" in shown


def test_absent_is_a_dash_and_never_0() -> None:
    shown = render(owned(0, "alice", None, None))
    card = shown[shown.index("GPU 0") :]
    assert "Utilization – VRAM – of 192 GiB Socket power – Hotspot – Memory –" in card
    assert "0%" not in card


def test_zero_is_shown_as_zero() -> None:
    assert "Utilization 0% VRAM 0.0 of 192 GiB Socket power 138 W Hotspot 41 °C Memory 36 °C" in render(
        state(0, UNALLOCATED, 0, 0)
    )


def test_an_unreadable_gpu_tells_its_problem_and_owner_and_no_figures() -> None:
    shown = text_of(node(snapshots.HUNG))
    assert (
        "GPU 6 id 30 unreadable AMD Instinct MI300X easycard WEBAPP · for 3 days 5 hr A read did not come back" in shown
    )
    assert "Utilization" not in shown


def test_a_gpu_without_reading_or_reason_says_so() -> None:
    assert "There is no fresh reading." in render(state(0, ALICE, 0.5, 1, readable=False))


def test_a_shared_gpu_names_each_user() -> None:
    assert "in use AMD Instinct MI300X admin, itrd shared · LAB + WEBAPP · for 3 hr 24 min" in render(
        shared(2, ["itrd", "admin"])
    )


def test_how_long_a_gpu_is_held_is_told_by_the_clock_that_says_since_when() -> None:
    an_hour_behind = replace(node(shared(2, ["itrd", "admin"])), api_clock_offset=-3600.0)
    assert "for 2 hr 24 min" in text_of(an_hour_behind)


def test_a_problem_of_a_readable_gpu_stands_beside_its_figures() -> None:
    shown = render(state(0, ALICE, 0.5, 1, problem="ECC counts cannot be read"))
    assert "ECC counts cannot be read Utilization 50%" in shown


def test_sources_tell_their_age_and_what_is_wrong() -> None:
    shown = text_of(snapshots.NO_LIBRARY)
    assert "GPU readings no answer yet libamd_smi.so cannot be loaded" in shown
    assert "Task ownership 15 minutes ago The consumption API refuses the token" in shown
    assert "8 GPUs expected, 0 found." in shown
    assert "No GPU has been found on this node." in shown


def test_a_success_in_the_future_is_just_now() -> None:
    assert "GPU readings just now" in text_of(node(devices=SourceState(snapshots.NOW + 100)))


def test_oddities_of_the_node_are_listed() -> None:
    shown = text_of(snapshots.HOSTILE_NODE)
    assert "Tasks of this node name 1 GPU that it does not have." in shown
    assert "2 tasks on these GPUs named with another host." in shown
    assert "3 tasks could not be read in full." in shown


@given(st.text())
def test_no_name_becomes_markup(name: str) -> None:
    plain = page.render(node(owned(0, "alice", 0.5, 1, "LAB"), hostname="h"), ENGLISH)
    named = page.render(node(owned(0, name, 0.5, 1, name), hostname=name), ENGLISH)
    assert re.findall(r"<[^>]*>", named) == re.findall(r"<[^>]*>", plain)


def test_the_page_asks_for_nothing_elsewhere() -> None:
    markup = page.render(snapshots.EIGHT, ENGLISH)
    assert re.findall(r'(?:href|src)="(?!data:)([^"]*)"', markup) == ["metrics"]
    assert "<script" not in markup
    assert " style=" not in markup


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [(None, "–"), (0, "0%"), (0.0001, "<0.1%"), (0.004, "0.4%"), (0.0996, "10%"), (0.5, "50%"), (1, "100%")],
)
def test_percentages_read_well(ratio: float | None, shown: str) -> None:
    assert f"Utilization {shown} VRAM" in render(state(0, ALICE, ratio, 1))


@pytest.mark.parametrize(
    ("used", "total", "shown"),
    [(None, None, "–"), (None, 1, "– of 1 GiB"), (0.5, None, "0.5 GiB"), (0.5, 1.5, "0.5 of 1.5 GiB")],
)
def test_parts_of_bytes_read_well(used: float | None, total: float | None, shown: str) -> None:
    one = state(0, ALICE, 0.5, used)
    size = None if total is None else int(total * snapshots.GIB)
    assert f"VRAM {shown} Socket power" in render(replace(one, gpu=replace(one.gpu, vram_total_bytes=size)))


def test_each_state_has_its_one_word_in_chinese() -> None:
    assert [CHINESE.gettext(standing.label) for standing in Standing if standing is not Standing.SILENT] == [
        "未分配",
        "使用中",
        "已分配但閒置",
        "無人使用卻在運算",
        "歸屬不明",
        "無法讀取",
    ]


def test_in_chinese_nothing_but_names_and_units_is_english() -> None:
    odd = node(
        owned(0, "王小明", 0.974, 168.3, ""),
        shared(1, ["王小明", "陳怡君"]),
        state(2, UNALLOCATED, 0.83, 64.0),
        state(3, UNKNOWN, None, None, readable=False),
        replace(state(4, UNALLOCATED, 0.0, 0.3), gpu=replace(snapshots.gpu(4), model="")),
        devices=SourceState(snapshots.NOW - 4000),
        tasks=SourceState(None),
        expected_gpus=8,
        unmatched_gpus=1,
        hostname_mismatches=2,
        malformed_tasks=3,
        hostname="節點",
    )
    names = r"GPU|VRAM|GiB|UTC|W|°C|Prometheus|mi300x-exporter|AMD Instinct MI300X|LAB|WEBAPP"
    for snapshot in (odd, node(hostname="節點")):
        markup = page.render(snapshot, CHINESE)
        labels = [label or title for label, title in re.findall('aria-label="(.*?)"|<title>(.*?)<', markup)]
        shown = " ".join((*labels, text_of(snapshot, CHINESE)))
        assert re.findall("[A-Za-z]+", re.sub(rf"(?<![A-Za-z])({names})(?![A-Za-z])", "", shown)) == []


@pytest.mark.parametrize("language", languages())
def test_the_page_names_its_language_and_that_of_what_logs_say(language: str) -> None:
    markup = page.render(snapshots.EIGHT, speech(language))
    assert f'<html lang="{speech(language).tag}">' in markup
    assert '<p class="problem" lang="en">A read did not come back' in markup


def test_the_page_is_made_once_a_second_in_each_language() -> None:
    asked: list[float] = []
    now = [100.0]

    def snapshot() -> Snapshot:
        asked.append(now[0])
        return snapshots.EIGHT

    shown = page.Page(snapshot, lambda: now[0])
    english = shown(ENGLISH)
    now[0] = 100.9
    assert shown(ENGLISH) is english
    assert shown(CHINESE) != english
    now[0] = 101.0
    shown(ENGLISH)
    assert asked == [100.0, 100.9, 101.0]
