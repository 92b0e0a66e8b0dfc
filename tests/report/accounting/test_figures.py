from __future__ import annotations

import csv as csv_format
import io
import json as json_format

import pytest

from exporter.report.accounting.figures import FIGURES, PAGE, Form, Usage
from exporter.report.accounting.row import meanings
from exporter.report.render import csv, html, json, markdown, text
from exporter.speech import speech
from tests.support.reports import sample

TABLES = ("nodes", "gpus", "shares", "tasks")


def shown(name: str, language: str) -> str:
    return speech(language).gettext(FIGURES[name].word)


def test_every_field_of_the_usage_is_in_the_catalogue_with_its_meaning() -> None:
    assert list(FIGURES) == list(Usage.model_fields)
    assert list(meanings(Usage)) == list(Usage.model_fields)


@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_no_two_figures_go_by_one_word(language: str) -> None:
    assert len({shown(name, language) for name in FIGURES}) == len(FIGURES)


def test_programs_get_every_figure() -> None:
    report = sample(8).report
    (header, *_) = csv_format.reader(io.StringIO(csv.gpus(report)))

    assert set(header) >= set(FIGURES)
    assert list(json_format.loads(json.render(report))["totals"]) == list(FIGURES)


@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_people_get_a_figure_where_the_catalogue_says(language: str) -> None:
    made = sample(8)
    pages = {
        80: text.render(made.report, made.timeline, language, 80),
        120: text.render(made.report, made.timeline, language, 120),
        160: text.render(made.report, made.timeline, language, 160),
        PAGE: html.render(made.report, made.timeline, language),
    }
    pages = {width: "".join(page.split()) for width, page in pages.items()}
    written = "".join(markdown.render(made.report, made.timeline, language).split())
    for name, figure in FIGURES.items():
        word = "".join(shown(name, language).split())
        assert not figure.in_totals or (word in pages[80] and word in written), name
        for least in (figure.least_width(table) for table in TABLES):  # type: ignore[arg-type]
            assert least is None or f">{word}" in pages[PAGE], name


def test_a_table_shows_a_figure_from_its_width_on() -> None:
    made = sample(8)

    def nodes(width: int) -> str:
        page = text.render(made.report, made.timeline, "en", width)
        return " ".join(page.split("== Nodes (GPU-hours) ==")[1].split("\n==")[0].split())

    assert "Idle with" not in nodes(120)
    assert "Idle with" in nodes(160)
    assert "Energy" not in nodes(80)
    assert "Energy" in nodes(120)


def test_there_is_no_cost_without_a_price_and_no_facility_without_a_factor() -> None:
    free = sample(8, price=None)
    usage = free.report.totals
    plain = free.report.model_copy(
        update={"totals": usage.model_copy(update={"facility_energy_kwh": usage.energy_kwh})}
    )
    page = html.render(plain, free.timeline, "en") + markdown.render(plain, free.timeline, "en")

    assert "Cost" not in page
    assert "Energy of the facility" not in page
    assert "Energy of the facility" in markdown.render(free.report, free.timeline, "en")


def test_energy_and_money_bear_their_units_and_hours_do_not() -> None:
    made = sample(8)
    page = markdown.render(made.report, made.timeline, "en")

    assert "| Energy (kWh) |" in page
    assert "| Cost | $" in page
    assert FIGURES["busy_gpu_hours"].form is Form.HOURS
    assert "| Busy |" in page
