from __future__ import annotations

import html
import re
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config import parse
from exporter.model import UNALLOCATED, UNKNOWN, GpuState, Owner, Ownership, Process, Snapshot, SourceState
from exporter.speech import Speech, languages, speech
from exporter.standing import Standing
from exporter.web import page
from exporter.web.page import Surroundings
from tests.support import snapshots
from tests.support.snapshots import node, owned, served_from, shared, state, used_by

ALICE = Owner("alice", "LAB", Ownership.OWNED)
ENGLISH, CHINESE = speech("en"), speech("zh-TW")
ALONE = Surroundings()
BOTH = Owner("alice+bob", "LAB", Ownership.SHARED)


def render(*states: GpuState, words: Speech = ENGLISH) -> str:
    return text_of(node(*states), words)


def text_of(snapshot: Snapshot, words: Speech = ENGLISH, around: Surroundings = ALONE) -> str:
    """What a reader sees, on one line."""
    markup = page.render(snapshot, words, around)
    body = re.sub(r"<(style|script|svg|title)\b.*?</\1>|<(?!/?bdi>)[^>]*>", " ", markup, flags=re.DOTALL)
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


def test_a_gpu_that_was_idle_before_its_holder_came_is_in_use() -> None:
    idle = replace(owned(0, "alice", 0.0, 20), idle_seconds=7200.0)
    (task,) = idle.tasks
    for ago, word in ((300.0, "in use"), (900.0, "held, idle")):
        came = replace(idle, tasks=(replace(task, start=snapshots.NOW - ago),))
        assert f"id 24 {word} AMD Instinct MI300X alice" in render(came)


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


def test_a_busy_gpu_without_a_task_names_who_runs_there_most_vram_first() -> None:
    games, root, unseen = (
        Process(1, 40 << 30, "python3", "", "games"),
        Process(2, 9, "x", "3f2a", "root"),
        Process(3, 1),
    )
    running = used_by(state(0, UNALLOCATED, 0.83, 64.0), games, games, root, unseen)
    assert "held by nobody used by games, root (3f2a) Utilization 83%" in render(running)


@pytest.mark.parametrize(("owner", "utilization"), [(UNALLOCATED, 0.0), (ALICE, 0.83), (UNKNOWN, 0.83)])
def test_nobody_is_named_as_user_of_a_gpu_that_is_free_held_or_of_unknown_owner(
    owner: Owner, utilization: float
) -> None:
    assert "used by" not in render(used_by(state(0, owner, utilization, 64.0), Process(1, 1, "python3", "", "games")))


def test_processes_that_hold_vram_stand_with_command_user_and_container() -> None:
    holder = Process(4711, 12 << 30, "python3", "3f2a9c81d2e4", "root")
    shown = render(used_by(state(0, ALICE, 0.5, 20), holder))
    assert "Processes that hold VRAM python3 root (3f2a9c81d2e4) 12.0 GiB" in shown


def test_a_process_of_which_nothing_more_is_known_goes_by_its_number() -> None:
    shown = render(used_by(state(0, ALICE, 0.5, 20), Process(4711, 12 << 30)))
    assert "Processes that hold VRAM process 4711 12.0 GiB" in shown


def test_beyond_four_processes_the_rest_is_summed() -> None:
    holders = [Process(number, 1 << 30, f"rank{number}") for number in range(7)]
    assert "rank3 1.0 GiB 3 more 3.0 GiB" in render(used_by(state(0, ALICE, 0.5, 20), *holders))


def test_no_process_is_told_apart_from_processes_that_are_not_told() -> None:
    assert "Processes that hold VRAM none" in render(used_by(state(0, ALICE, 0.5, 20)))
    assert "Processes that hold VRAM" not in render(state(0, ALICE, 0.5, 20))


def test_processes_of_a_gpu_that_cannot_be_read_are_shown() -> None:
    assert "python3 games" in render(used_by(snapshots.HUNG, Process(1, 1 << 30, "python3", "", "games")))


def test_each_gpu_tells_where_its_figures_come_from() -> None:
    shown = text_of(snapshots.EIGHT)
    origins = re.findall(r"from (amdsmi 26\.0\.2 and the kernel's files|amdsmi 26\.0\.2|the kernel's files)", shown)
    ours = "amdsmi 26.0.2"
    assert origins == [*5 * [ours], f"{ours} and the kernel's files", "the kernel's files"]


def test_why_the_kernels_files_stand_in_is_told_once_for_all_gpus_of_which_it_is_true() -> None:
    gpus = [served_from(owned(index, "alice", 0.5, 20), "sysfs", "amdsmi does not begin") for index in range(3)]
    shown = render(*gpus, owned(3, "alice", 0.5, 20))
    assert "The kernel's files stand in on GPU 0, 1, 2: amdsmi does not begin Task ownership" in shown
    assert shown.count("does not begin") == 1


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
    everywhere = Surroundings(portal="https://gpu.example.org")

    def render(name: str) -> str:
        process = Process(1, 1, name or "-", name or "-", name or "-")
        booked = used_by(owned(0, name, 0.5, 1, name), process)
        unbooked = served_from(used_by(state(1, UNALLOCATED, 0.5, 1), process), "both", name or "-")
        return page.render(node(booked, unbooked, hostname=name), ENGLISH, everywhere)

    plain, named = render("alice"), render(name)
    assert re.findall(r"<[^>]*>", named) == re.findall(r"<[^>]*>", plain)


def test_the_page_asks_for_nothing_elsewhere() -> None:
    markup = page.render(snapshots.EIGHT, ENGLISH, ALONE)
    assert re.findall(r'(?:href|src)="(?!data:)([^"]*)"', markup) == ["metrics", "-/healthy", "-/ready"]
    assert markup.count("<script") == 1
    assert " style=" not in markup


def test_without_a_script_times_are_by_the_clock_of_the_reports() -> None:
    shown = text_of(snapshots.EIGHT, around=Surroundings(ZoneInfo("Asia/Kolkata")))
    assert "as of 2025-07-22 13:49:32 UTC+05:30" in shown


def test_portal_and_grafana_are_linked_where_they_are_known() -> None:
    around = Surroundings.of(
        parse({"portal": {"url": "https://gpu.example.org", "grafana_url": "https://grafana.example.org/g"}}, where="")
    )
    for words, suffix in ((ENGLISH, ""), (CHINESE, "-zh-tw")):
        markup = page.render(node(hostname="a&b"), words, around)
        assert re.findall(r'<a href="(.*?)"', markup) == [
            "https://gpu.example.org/",
            f"https://grafana.example.org/g/d/mi300x-node{suffix}?var-host=a%26b",
            "metrics",
            "-/healthy",
            "-/ready",
        ]


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
        used_by(state(2, UNALLOCATED, 0.83, 64.0), *(Process(number, 1, "", "", "王小明") for number in range(9))),
        served_from(used_by(state(3, UNKNOWN, None, None, readable=False)), "sysfs", "驅動程式"),
        served_from(state(5, UNKNOWN, 0.5, 1), "both", "驅動程式"),
        replace(state(4, UNALLOCATED, 0.0, 0.3), gpu=replace(snapshots.gpu(4), model="")),
        devices=SourceState(snapshots.NOW - 4000),
        tasks=SourceState(None),
        expected_gpus=8,
        unmatched_gpus=1,
        hostname_mismatches=2,
        malformed_tasks=3,
        hostname="節點",
    )
    names = r"GPU|VRAM|amdsmi|GiB|UTC|W|°C|Prometheus|mi300x-exporter|AMD Instinct MI300X|LAB|WEBAPP"
    for snapshot in (odd, node(hostname="節點")):
        markup = page.render(snapshot, CHINESE, ALONE)
        labels = [label or title for label, title in re.findall('aria-label="(.*?)"|<title>(.*?)<', markup)]
        shown = " ".join((*labels, text_of(snapshot, CHINESE)))
        assert re.findall("[A-Za-z]+", re.sub(rf"(?<![A-Za-z])({names})(?![A-Za-z])", "", shown)) == []


@pytest.mark.parametrize("language", languages())
def test_the_page_names_its_language_and_that_of_what_logs_say(language: str) -> None:
    markup = page.render(snapshots.EIGHT, speech(language), ALONE)
    assert f'<html lang="{speech(language).tag}">' in markup
    assert '<p class="problem" lang="en">A read did not come back' in markup


def test_the_page_is_made_once_a_second_in_each_language() -> None:
    asked: list[float] = []
    now = [100.0]

    def snapshot() -> Snapshot:
        asked.append(now[0])
        return snapshots.EIGHT

    shown = page.Page(snapshot, ALONE, lambda: now[0])
    english = shown(ENGLISH)
    now[0] = 100.9
    assert shown(ENGLISH) is english
    assert shown(CHINESE) != english
    now[0] = 101.0
    shown(ENGLISH)
    assert asked == [100.0, 100.9, 101.0]
