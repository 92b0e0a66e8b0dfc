from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from exporter.names import visible
from exporter.table import Head, Painted, layout, stacked, table, width_of

NAMES = st.text(st.sampled_from("ab陳怡ｱ–…é"), min_size=1, max_size=30)
NAME, FIGURE, FIXED = Head("name"), Head("figure", is_figure=True), Head("fixed", is_fixed=True)


@given(st.lists(st.tuples(NAMES, NAMES, NAMES), min_size=1, max_size=5))
def test_columns_start_and_end_at_the_same_place_beside_wide_characters(rows: list[tuple[str, str, str]]) -> None:
    lines = list(layout((NAME, FIXED, FIGURE), rows))[1:]

    assert len({width_of(line) for line in lines}) == 1


@given(st.lists(st.tuples(NAMES, st.text("0123456789", max_size=9)), min_size=1, max_size=5), st.integers(24, 60))
def test_names_give_way_and_figures_never_do(rows: list[tuple[str, str]], room: int) -> None:
    lines = list(layout((NAME, FIGURE), rows, room))

    assert all(width_of(line) <= room for line in lines)
    for line, (name, figure) in zip(lines[2:], rows, strict=True):
        shown = line[: len(line) - len(figure)].rstrip()
        assert line.endswith(figure)
        assert shown == name.rstrip() or (shown.endswith("…") and name.startswith(shown[:-1].rstrip()))


def test_a_table_wider_than_the_room_still_has_the_start_of_each_name() -> None:
    (*_, line) = layout((NAME, FIXED), [("陳怡君陳怡君", "x" * 80)], 40)

    assert line == "陳… " + "  " + "x" * 80


def test_colour_takes_no_room() -> None:
    plain, painted = (
        list(layout((FIXED, NAME), [(cell, "a"), ("wider", "b")]))
        for cell in ("12", Painted("12", "\x1b[32m12\x1b[0m"))
    )

    assert [re.sub(r"\x1b\[\d*m", "", line) for line in painted] == plain


def test_rows_without_titles_have_no_rule() -> None:
    assert list(layout((Head(), Head(is_figure=True)), [("a", "1"), ("bb", "22")])) == ["a    1", "bb  22"]


def test_no_rows_are_heads_alone() -> None:
    assert list(layout((NAME, FIGURE), [])) == ["name  figure", "------------"]
    assert list(layout((), [])) == []


@given(st.lists(st.lists(st.text(max_size=8), min_size=2, max_size=2), max_size=4))
def test_a_commands_table_is_one_line_a_row_whatever_the_names(rows: list[list[str]]) -> None:
    lines = table(("A", "B"), rows).split("\n")

    assert len(lines) == len(rows) + 1
    for line, row in zip(lines[1:], rows, strict=True):
        assert f"{line}{' ' * 8}".startswith(visible(row[0]))


def test_long_heads_are_cut_near_their_middle() -> None:
    assert stacked("Idle with VRAM held") == "Idle with\nVRAM held"
    assert stacked("資料涵蓋率") == "資料\n涵蓋率"
    assert stacked("耗電量（kWh）") == "耗電量\n（kWh）"
    assert stacked("閒置") == "閒置"
    assert stacked("Efficiency") == "Efficiency"
