from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import pytest

from exporter.report.accounting.timeline import Timeline
from exporter.report.render import text
from exporter.report.window import Window, window
from exporter.speech import languages, speech
from exporter.table import width_of
from tests.support.reports import HOSTILE_NAMES, Sample, sample

LANGUAGES = languages()
NAMES = dict(
    zip(("itrd", "admin", "nycubme", "easycard", "tku_csie"), (*HOSTILE_NAMES, "\x1b[31mred\u202e"), strict=True)
)


@cache
def hostile() -> Sample:
    return sample(16, usernames=NAMES)


def rendered(made: Sample, language: str = "en", width: int = 80, *, colour: bool = False) -> str:
    return text.render(made.report, made.timeline, language, width, colour=colour)


def test_a_narrower_terminal_gets_lines_of_eighty_columns() -> None:
    assert rendered(hostile(), width=40) == rendered(hostile(), width=80)


def section(page: str, title: str) -> list[str]:
    """The lines below a heading."""
    after = page.split(f"\n== {title}", 1)[1].split("\n== ", 1)[0]
    return after.splitlines()[1:]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [80, 100, 120, 240])
def test_no_table_is_wider_than_the_terminal_whatever_the_names(language: str, width: int) -> None:
    page = rendered(hostile(), language, width)

    assert max(width_of(line) for line in page.splitlines()) <= width


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [80, 120, 160])
def test_columns_end_at_the_same_place_beside_wide_characters(language: str, width: int) -> None:
    made = hostile()
    gettext = speech(language).gettext
    lines = [line for line in section(rendered(made, language, width), gettext("Users")) if line]
    below = [line for line in lines[lines.index(next(line for line in lines if line.startswith("---"))) + 1 :] if line]

    assert len(below) == len(made.report.users)
    assert len({width_of(line) for line in below}) == 1
    assert all(line.endswith("%") for line in below)


@pytest.mark.parametrize("language", LANGUAGES)
def test_figures_are_never_cut(language: str) -> None:
    page = rendered(sample(16, usernames={"itrd": "陳" * 200, "admin": "a" * 200}), language)

    assert "…" in page
    assert not re.search(r"(^|\s)[\d,.]+…", page, re.MULTILINE)


def test_a_name_is_cut_where_its_last_letter_ends() -> None:
    for width in (120, 121):
        users = "\n".join(section(rendered(hostile(), width=width), "Users"))

        assert "陳…" in users
        assert " …" not in users


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_name_steers_the_terminal(language: str) -> None:
    page = rendered(sample(8, usernames=NAMES), language)

    assert "�[31mred�" in page
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", page)


def test_colour_changes_nothing_but_colour() -> None:
    plain, coloured = rendered(sample(8)), rendered(sample(8), colour=True)
    stripped = "".join(f"{line.rstrip()}\n" for line in re.sub(r"\x1b\[[0-9;]*m", "", coloured).splitlines())

    assert "\x1b[" in coloured
    assert stripped == plain


def test_nothing_is_blue_which_is_unreadable_on_black() -> None:
    codes = set(re.findall(r"\x1b\[([0-9;]*)m", rendered(sample(8), colour=True)))

    assert {"36", "32", "1"} <= codes
    assert not any(code.endswith("34") for code in codes)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("case", [{}, {"tasks": "labels"}, {"history": False}, {"to": "2025-07-28"}])
def test_four_nodes_are_told_in_less_than_two_hundred_lines(language: str, width: int, case: dict[str, Any]) -> None:
    assert len(rendered(sample(32, **case), language, width).splitlines()) < 200


def test_many_users_and_projects_do_not_make_it_long_and_are_counted() -> None:
    made = sample(32)
    users, projects = (
        [row.model_copy(update={field: f"{n:03d}"}) for n in range(200) for row in rows[:1]]
        for rows, field in ((made.report.users, "username"), (made.report.projects, "project_uuid"))
    )
    many = Sample(made.report.model_copy(update={"users": users, "projects": projects}), made.timeline)

    assert len(rendered(many).splitlines()) < 200
    assert rendered(many).count("\n185 smaller entries are in the JSON report\n") == 2
    assert "199" in text.full(many.report, many.timeline, "en", 80)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_full_text_has_all_of_the_short_one_and_every_task(language: str) -> None:
    made = sample(8)
    short, full = (write(made.report, made.timeline, language, 160).splitlines() for write in (text.render, text.full))

    assert Counter(short[:-1]) <= Counter(full), "but for the last line, which says what it leaves out"
    assert {row.task_id for row in made.report.tasks} <= set("\n".join(full).split())
    assert len(full) > 2 * len(short)


def test_the_surroundings_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = rendered(sample(8))
    for name, value in {"COLUMNS": "55", "FORCE_COLOR": "1", "TERM": "dumb", "TTY_INTERACTIVE": "1"}.items():
        monkeypatch.setenv(name, value)

    assert rendered(sample(8)) == plain


def test_chinese_has_every_figure_that_english_has() -> None:
    made = sample(16)
    figures = re.compile(r"\d[\d,]*\.\d+")
    english = Counter(figures.findall(rendered(made, "en", 240)))
    chinese = Counter(figures.findall(rendered(made, "zh-TW", 240)))

    assert english
    assert english <= chinese


def grid(made: Sample, width: int = 80) -> dict[str, str]:
    """The strips of the first node, by index."""
    title = "Utilization by hour" if made.report.date == made.report.to else "Utilization by day"
    lines = section(rendered(made, width=width), title)
    rows = [re.match(r"\s*(\d+|–)\s+\d+\s+([0-9–]+)\s", line) for line in lines]
    return {row[1]: row[2] for row in rows if row}


def test_the_grid_has_a_digit_an_hour_and_a_dash_where_nothing_was_observed() -> None:
    strips = grid(sample(8))

    assert {len(strip) for strip in strips.values()} == {24}
    assert strips["1"][2:5] == "–––"
    assert "–" not in strips["2"]
    assert strips["–"] == "–" * 24


@pytest.mark.parametrize(
    ("now", "labels"), [("2025-07-22T11:00", "00 03 06 09 12 15"), ("2026-01-01", "00 03 06 09 12 15 18 21")]
)
def test_hours_on_the_axis_of_the_grid_are_whole(now: str, labels: str) -> None:
    heads = section(rendered(sample(8, now=now)), "Utilization by hour")

    assert re.findall(r"00[ \d]*", "\n".join(heads[:6]))[0].rstrip() == labels


def test_long_heads_leave_the_room_in_the_grid_to_names() -> None:
    lines = section(rendered(sample(8), "zh-TW"), "每小時使用率")

    assert "涵蓋率" in "\n".join(lines)
    assert "資料涵蓋率" not in "\n".join(lines)


@pytest.mark.parametrize(("date", "hours"), [("2025-10-26", 25), ("2025-03-30", 23)])
def test_the_grid_has_every_hour_of_a_day_on_which_clocks_change(date: str, hours: int) -> None:
    assert len(grid(sample(8, date=date, zone="Europe/Berlin"))["1"]) == hours


def test_the_grid_of_a_range_has_a_digit_a_day() -> None:
    assert len(grid(sample(8, to="2025-07-24"))["1"]) == 3


def test_a_range_over_a_month_is_drawn_in_parts() -> None:
    made = sample(8)
    days = span("2025-07-01", "2025-08-02").days()
    edges = np.array([day.start for day in days] + [days[-1].end])
    cells = np.full(len(days), 0.5)
    lanes = tuple(
        replace(lane, observed_seconds=cells, utilization=cells, vram_used=cells) for lane in made.timeline.lanes
    )
    report = made.report.model_copy(update={"date": "2025-07-01", "to": "2025-08-02"})
    page = text.render(report, Timeline(edges, lanes), "en", 80)

    assert "2025-07-01 – 2025-07-31" in page
    assert "2025-08-01 – 2025-08-02" in page
    assert set(re.findall(r"\b5+\b", "\n".join(section(page, "Utilization by day")))) == {"5" * 31, "5" * 2, "5"}


def span(first: str, last: str) -> Window:
    return window(first, last, "Asia/Taipei", datetime(2026, 1, 1, tzinfo=UTC).timestamp())


def test_idle_time_is_shown_also_where_labels_cannot_tell_what_vram_it_held() -> None:
    made = sample(8, tasks="labels")
    lines = section(rendered(made), "Split of the owned time")

    assert [line.split()[:2] for line in lines if line][1] == [
        "Idle",
        speech("en").number(made.report.totals.idle_gpu_hours),
    ]


@pytest.mark.parametrize(("least", "mark"), [(0.99, "! "), (0.98, "")])
def test_coverage_is_marked_where_it_is_less_than_the_report_expects(least: float, mark: str) -> None:
    made = sample(16)
    page = rendered(Sample(made.report.model_copy(update={"min_coverage_ratio": least}), made.timeline))
    line = next(line for line in section(page, "Nodes") if line.startswith("colab-gpu1"))

    assert line.endswith(f"  {mark}98.4%")


def test_what_is_absent_is_a_dash_and_never_nought() -> None:
    page = rendered(sample(8, history=False))
    line = next(line for line in section(page, "Nodes") if line.startswith("colab-gpu1"))

    assert re.split(r"\s{2,}", line)[4:] == ["–", "–", "–", "! 0.0%"]


def test_it_says_what_it_rests_on() -> None:
    partial = rendered(sample(8, now="2025-07-22T03:17", tasks="labels"))

    assert "\n2025-07-22 00:00 – 2025-07-22 11:17 (Asia/Taipei)\n" in partial
    assert "\nThe day is not over: figures reach up to 2025-07-22 11:17\n" in partial
    assert "Ownership: labels of the history" in partial
    assert "! colab-gpu2: no scrapes from 12:00 to 15:00 <is the exporter running?>" in partial


def test_times_on_a_day_when_clocks_change_cannot_be_mistaken() -> None:
    made = sample(8, date="2025-10-26", zone="Europe/Berlin")
    page = text.full(made.report, made.timeline, "en", 80)
    times = re.findall(r"\d\d-\d\d \d\d:\d\d(\S*)", "\n".join(section(page, "Tasks")))

    assert "\n2025-10-26 00:00 +02:00 – 2025-10-27 00:00 +01:00 (Europe/Berlin)\n" in page
    assert set(times) == {"+01", "+02"}


def test_it_says_what_it_leaves_out() -> None:
    made = sample(8)
    report = made.report.model_copy(update={"only_users": ["itrd", "\x1b[31mred"], "only_nodes": ["colab-gpu1"]})

    assert "\nOnly users: itrd, �[31mred\nOnly nodes: colab-gpu1\n" in text.render(report, made.timeline, "en", 80)
    assert "\n僅限使用者：itrd、�[31mred\n僅限節點：colab-gpu1\n" in text.render(report, made.timeline, "zh-TW", 80)
    assert "Only" not in rendered(made)


@pytest.mark.parametrize("history", [True, False])
@pytest.mark.parametrize("tasks", ["api", "labels", "none"])
def test_our_own_lines_in_chinese_have_chinese_punctuation(tasks: str, *, history: bool) -> None:
    page = rendered(sample(8, tasks=tasks, history=history, now="2025-07-22T03:17"), "zh-TW")  # type: ignore[arg-type]

    assert ("；GPU 歸屬：" in page) is (tasks != "api" or not history)
    assert not re.search(r"[\u4e00-\u9fff][:;,!?]|[(,;:] ?[\u4e00-\u9fff]|[\u4e00-\u9fff]\)|\(GPU", page)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("tasks", ["api", "labels", "none"])
def test_a_report_of_nothing_but_nodes_is_still_a_report(language: str, tasks: str) -> None:
    made = sample(8, tasks=tasks, history=False)  # type: ignore[arg-type]
    bare = made.report.model_copy(update={"users": [], "tasks": [], "waste": [], "comparison": [], "warnings": []})
    page = text.render(bare, made.timeline, language, 80)

    gettext = speech(language).gettext
    assert gettext("Nodes") in page
    assert section(page, gettext("Users"))[0] == ("N/A" if tasks == "none" else gettext("none"))


@pytest.mark.parametrize("tasks", ["labels", "none"])
def test_lists_that_only_the_api_can_tell_are_not_called_empty(tasks: str) -> None:
    made = sample(8, tasks=tasks)  # type: ignore[arg-type]
    page = text.full(made.report, made.timeline, "en", 80)

    assert section(page, "Tasks")[-1] == "N/A"
    assert section(page, "Owned but idle")[-1] == "N/A"
