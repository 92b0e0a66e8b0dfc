from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import UNALLOCATED, UNKNOWN, GpuState, Owner, Ownership, Snapshot, SourceState
from exporter.web import page, words
from exporter.web.page import Standing
from tests.support import snapshots
from tests.support.snapshots import node, owned, shared, state

ALICE = Owner("alice", "LAB", Ownership.OWNED)
BOTH = Owner("alice+bob", "LAB", Ownership.SHARED)


def render(*states: GpuState) -> str:
    return text_of(node(*states))


def text_of(snapshot: Snapshot) -> str:
    """What a reader sees, on one line."""
    markup = page.render(snapshot, idle_threshold=0.05)
    body = re.sub(r"<(style|svg|title)\b.*?</\1>|<(?!/?bdi>)[^>]*>", " ", markup, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub("</?bdi>", "", body)).replace("\N{NO-BREAK SPACE}", " ").split())


@pytest.mark.parametrize(
    ("owner", "utilization", "standing"),
    [
        (ALICE, 0.05, Standing.IN_USE),
        (ALICE, 0.049, Standing.HELD_IDLE),
        (ALICE, None, Standing.IN_USE),
        (BOTH, 0.9, Standing.IN_USE),
        (BOTH, 0.0, Standing.HELD_IDLE),
        (UNALLOCATED, 0.0, Standing.FREE),
        (UNALLOCATED, 0.05, Standing.UNCLAIMED),
        (UNALLOCATED, None, Standing.FREE),
        (UNKNOWN, 0.0, Standing.UNKNOWN),
        (UNKNOWN, 0.9, Standing.UNKNOWN),
        (UNKNOWN, None, Standing.UNKNOWN),
    ],
)
def test_a_gpu_stands_where_its_owner_and_utilization_put_it(
    owner: Owner, utilization: float | None, standing: Standing
) -> None:
    assert Standing.of(state(0, owner, utilization, 1), 0.05) is standing
    assert Standing.of(state(0, owner, utilization, 1, readable=False), 0.05) is Standing.UNREADABLE


def test_unknown_is_never_shown_as_idle_or_free() -> None:
    shown = render(state(0, UNKNOWN, 0.0, 0))
    assert "0 held, idle" in shown
    assert "0 free" in shown
    assert "1 owner unknown" in shown


def test_totals_count_each_gpu_once() -> None:
    shown = text_of(snapshots.EIGHT)
    totals = "3 in use 1 held, idle 1 busy, no task 1 free 1 owner unknown 1 unreadable"
    assert f"8 GPUs, as of 2025-07-22 08:19:32 UTC {totals} GPU readings" in shown


def test_absent_is_a_dash_and_never_0() -> None:
    shown = render(owned(0, "alice", None, None))
    card = shown[shown.index("GPU 0") :]
    assert "Utilization – VRAM – of 192 GiB Power – Hotspot – Memory –" in card
    assert "0 %" not in card


def test_zero_is_shown_as_zero() -> None:
    assert "Utilization 0 % VRAM 0.0 of 192 GiB Power 138 W Hotspot 41 °C Memory 36 °C" in render(
        state(0, UNALLOCATED, 0, 0)
    )


def test_an_unreadable_gpu_tells_its_problem_and_owner_and_no_figures() -> None:
    shown = text_of(node(snapshots.HUNG))
    assert "GPU 6 id 30 unreadable AMD Instinct MI300X easycard WEBAPP, for 3 d 5 h A read did not come back" in shown
    assert "Utilization" not in shown


def test_a_gpu_without_reading_or_reason_says_so() -> None:
    assert "There is no fresh reading." in render(state(0, ALICE, 0.5, 1, readable=False))


def test_a_shared_gpu_names_each_user() -> None:
    assert "in use AMD Instinct MI300X admin, itrd shared, LAB + WEBAPP, for 3 h 24 min" in render(
        shared(2, ["itrd", "admin"])
    )


def test_a_problem_of_a_readable_gpu_stands_beside_its_figures() -> None:
    shown = render(state(0, ALICE, 0.5, 1, problem="ECC counts cannot be read"))
    assert "ECC counts cannot be read Utilization 50 %" in shown


def test_sources_tell_their_age_and_what_is_wrong() -> None:
    shown = text_of(snapshots.NO_LIBRARY)
    assert "GPU readings no answer yet libamd_smi.so cannot be loaded" in shown
    assert "Task ownership 15 min ago The consumption API refuses the token" in shown
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
    plain = page.render(node(owned(0, "alice", 0.5, 1, "LAB"), hostname="h"), idle_threshold=0.05)
    named = page.render(node(owned(0, name, 0.5, 1, name), hostname=name), idle_threshold=0.05)
    assert re.findall(r"<[^>]*>", named) == re.findall(r"<[^>]*>", plain)


def test_the_page_asks_for_nothing_elsewhere() -> None:
    markup = page.render(snapshots.EIGHT, idle_threshold=0.05)
    assert re.findall(r'(?:href|src)="(?!data:)([^"]*)"', markup) == ["metrics"]
    assert "<script" not in markup
    assert " style=" not in markup


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0 s"),
        (0.4, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (12_000, "3 h 20 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_durations_read_well(seconds: float, shown: str) -> None:
    assert words.duration(seconds).replace("\N{NO-BREAK SPACE}", " ") == shown


@pytest.mark.parametrize(
    ("ratio", "shown"), [(None, "–"), (0, "0 %"), (0.004, "0.4 %"), (0.0996, "10 %"), (0.5, "50 %"), (1, "100 %")]
)
def test_percentages_read_well(ratio: float | None, shown: str) -> None:
    assert words.percent(ratio).replace("\N{NO-BREAK SPACE}", " ") == shown


@pytest.mark.parametrize(
    ("used", "total", "shown"),
    [(None, None, "–"), (None, 2**30, "– of 1 GiB"), (2**29, None, "0.5 GiB"), (2**29, 3 * 2**29, "0.5 of 1.5 GiB")],
)
def test_parts_of_bytes_read_well(used: int | None, total: int | None, shown: str) -> None:
    assert words.part_of_bytes(used, total).replace("\N{NO-BREAK SPACE}", " ") == shown
