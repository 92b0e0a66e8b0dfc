from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from exporter.demo.cluster import USERS
from exporter.report.completeness import low_coverage
from exporter.report.render import brief, text
from exporter.report.warnings import warning
from exporter.speech import languages, speech
from exporter.table import width_of, wrapped
from tests.support.reports import HOSTILE_NAMES, Sample, enlarged, sample

LANGUAGES = languages()
LONG = "名" * 300


@cache
def large() -> Sample:
    """A thousand GPUs, with names, warnings and restrictions as long as they come."""
    made = enlarged(sample(64, usernames=dict(zip(USERS, (*HOSTILE_NAMES, LONG, "\x1b[31mred"), strict=False))), 16)
    usage = made.report.users[0].usage
    users = [made.report.users[0].model_copy(update={"username": f"{LONG}{n}", "usage": usage}) for n in range(500)]
    update = {
        "users": users,
        "warnings": [f"{LONG} {n}" for n in range(100)],
        "only_nodes": [row.hostname for row in made.report.nodes],
        "is_over": False,
        "waste": [
            row.model_copy(update={"username": f"{LONG}{n}", "task_type": LONG, "hostname": LONG})
            for n, row in enumerate(made.report.waste)
        ],
    }
    return Sample(made.report.model_copy(update=update), made.timeline)


@cache
def made(gpus: int, case: str) -> Sample:
    return sample(gpus, **CASES[case])


CASES: dict[str, dict[str, Any]] = {
    "whole day": {},
    "partial day": {"now": "2025-07-22T03:12"},
    "25 hours": {"date": "2025-10-26", "zone": "Europe/Berlin"},
    "week": {"to": "2025-07-28"},
    "labels": {"tasks": "labels"},
    "no ownership": {"tasks": "none"},
    "no history": {"history": False},
    "neither": {"tasks": "none", "history": False},
    "one user": {"only": frozenset({"easycard"})},
}


def rendered(made: Sample, language: str = "en", width: int = 80) -> str:
    return brief.render(made.report, made.timeline, language, width)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("gpus", [8, 24])
def test_no_brief_is_longer_than_forty_lines_of_eighty_columns(language: str, case: str, gpus: int) -> None:
    lines = rendered(made(gpus, case), language).splitlines()

    assert len(lines) <= 40
    assert max(map(width_of, lines)) <= 80


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_thousand_gpus_and_hostile_names_fit_as_well(language: str) -> None:
    lines = rendered(large(), language).splitlines()

    assert len(lines) <= 40
    assert max(map(width_of, lines)) <= 80
    assert not re.search(r"[\x00-\x1f]", "".join(lines))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_report_of_nothing_is_one_sentence(language: str) -> None:
    empty = sample(0, history=False, tasks="none")

    assert [line[:2] for line in rendered(empty, language).splitlines()].count("- ") == 1


def test_it_leads_with_the_idle_time_and_who_left_it_idle() -> None:
    lead, most = [line for line in rendered(sample(32), width=1000).splitlines() if line.startswith("- ")][:2]

    assert re.fullmatch(
        r"- \d+% of the owned time was idle: [\d.]+ GPU-hours \(coverage [\d.]+%\), "
        r"as much as [\d.]+ GPUs that did nothing at all\.",
        lead,
    )
    assert re.match(r"- The most idle: nycubme's LAB on colab-gpu3, [\d.]+ GPU-hours, would free [\d.]+ GPUs; ", most)


def test_the_text_begins_with_it() -> None:
    for language in LANGUAGES:
        for width in (80, 120):
            day = made(8, "whole day")
            assert text.render(day.report, day.timeline, language, width).startswith(rendered(day, language, width))


def test_same_inputs_same_words() -> None:
    assert rendered(sample(16), "zh-TW") == rendered(sample(16), "zh-TW")


@pytest.mark.parametrize("language", LANGUAGES)
def test_low_coverage_of_a_node_is_said_once(language: str) -> None:
    day = sample(16)
    words = speech(language)
    warned = [warning(fault, words) for fault in low_coverage(day.report.nodes, 0.99)]
    report = day.report.model_copy(update={"warnings": [*warned, "something else"]})
    faults = [line for line in rendered(Sample(report, day.timeline), language).splitlines() if line[:2] == "! "]

    assert warned
    assert [line for line in faults if "colab-gpu1" in line and "98.4%" in line] == [
        line for line in faults if "colab-gpu1" in line
    ]
    assert len([line for line in faults if "colab-gpu1" in line]) == 1
    assert "! something else" in faults


def test_without_a_history_every_warning_is_told_and_no_node_is_blamed() -> None:
    day = sample(16, history=False)
    warned = [warning(fault, speech("en")) for fault in low_coverage(day.report.nodes, 0.99)]
    report = day.report.model_copy(update={"warnings": ["no history", *warned[:1]]})
    page = rendered(Sample(report, day.timeline))

    assert "! no history\n" in page
    assert f"! {warned[0]}"[:60] in page
    assert "was not observed" not in page


def test_warnings_that_are_cut_stand_in_full_in_the_text() -> None:
    day = sample(8)
    many = [f"warning {n} {'long ' * 60}end{n}" for n in range(5)]
    report = day.report.model_copy(update={"warnings": many})
    page = text.render(report, day.timeline, "en", 80)

    assert "and 2 more warnings" in rendered(Sample(report, day.timeline))
    assert all(f"end{n}" in page.split("== Warnings ==")[1] for n in range(5))
    assert "== Warnings ==" not in text.render(day.report, day.timeline, "en", 80)


def test_users_that_there_is_no_room_for_are_counted() -> None:
    assert re.search(r"\nand \d+ more users\n", rendered(large()))


@pytest.mark.parametrize("width", [20, 33, 80])
def test_wrapped_chinese_fills_its_lines_and_begins_none_with_a_stop(width: int) -> None:
    sentence = "- 已分配的時間有 48% 閒置：共 295.9 GPU 小時（資料涵蓋率 93.3%），相當於 12.3 張 GPU 始終閒置。" * 4
    lines = list(wrapped(sentence, width, "  "))

    assert all(width_of(line) <= width for line in lines)
    assert not [line for line in lines if line.strip()[0] in "，。：；、）"]
    assert "".join(lines).replace(" ", "") == sentence.replace(" ", "")


def test_a_word_longer_than_a_line_is_cut_and_nothing_of_it_lost() -> None:
    lines = list(wrapped("a " + "x" * 100 + " b", 30, "  "))

    assert all(len(line) <= 30 for line in lines)
    assert "".join("".join(lines).split()) == "a" + "x" * 100 + "b"
