from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from exporter import config
from exporter.config import Delivery
from exporter.report.completeness import Fault, TasksMalformed, TimeUnpriced
from exporter.report.delivery import letters
from exporter.report.make import Made
from exporter.report.window import window
from exporter.speech import languages
from tests.support.periods import period_report
from tests.support.reports import sample

DAY = window("2025-07-22", None, "Asia/Taipei", 1_800_000_000.0)
FAULTS: list[Fault] = [TasksMalformed(3), TimeUnpriced(12.5)]


@cache
def made() -> Made:
    day = sample(16)
    return Made(day.report.model_copy(update={"warnings": []}), day.timeline, FAULTS, ())


def target(**changes: object) -> Delivery:
    return Delivery.model_validate({"to": "json://localhost"} | changes)


def test_the_language_is_that_of_the_target_and_else_that_of_reports() -> None:
    settings = config.Report.model_validate({"language": "zh-TW"})

    assert "GPU 使用報告" in letters.of_day(made(), DAY, settings, target()).title
    assert "GPU usage report" in letters.of_day(made(), DAY, settings, target(language="en")).title


@pytest.mark.parametrize("form", ["brief", "html"])
def test_one_account_is_told_in_each_language_with_its_warnings(form: str) -> None:
    bodies = [
        letters.of_day(made(), DAY, config.Report(), target(format=form, language=language)).body
        for language in languages()
    ]

    assert "3 entries of the consumption API" in bodies[0]
    assert "3 entries" not in bodies[1]
    assert "任務 API" in bodies[1]


@pytest.mark.parametrize("form", ["brief", "html"])
def test_a_link_leads_to_where_the_reports_are_served_and_nowhere_without(form: str) -> None:
    served = config.Report.model_validate({"url": "https://reports.example.org/gpu/"})
    month = period_report()

    assert "https://reports.example.org/gpu/2025-07-22/report.html" in (
        letters.of_day(made(), DAY, served, target(format=form)).body
    )
    assert "https://reports.example.org/gpu/2025-07/report.html" in (
        letters.of_period(month, (), served, target(format=form, when="monthly")).body
    )
    assert "http" not in letters.of_day(made(), DAY, config.Report(), target(format=form)).body


def test_attached_are_the_formats_asked_for_named_by_the_report() -> None:
    day = letters.of_day(made(), DAY, config.Report(), target(attach=["html", "text", "markdown", "csv"]))
    month = letters.of_period(period_report(), (), config.Report(), target(when="monthly", attach=["xlsx", "json"]))

    assert [file.name for file in day.attachments] == [
        "2025-07-22-report.html",
        "2025-07-22-summary.txt",
        "2025-07-22-gpus.csv",
        "2025-07-22-users.csv",
        "2025-07-22-tasks.csv",
        "2025-07-22-report.md",
    ]
    assert {file.name for file in month.attachments} == {"2025-07-report.json", "2025-07-report.xlsx"}


def test_a_day_is_faulty_with_a_warning_or_with_a_node_that_lost_something() -> None:
    nothing = sample(0)
    quiet = Made(nothing.report, nothing.timeline, (), ())

    assert letters.is_faulty(replace(made(), faults=()))
    assert not letters.is_faulty(quiet)
    assert letters.is_faulty(replace(quiet, faults=FAULTS))
