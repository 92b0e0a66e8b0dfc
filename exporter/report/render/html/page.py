"""The report as one HTML file that asks nothing of any server and runs no script but its own.

Every value is escaped by the template engine, and the content security policy names the hashes of the one style sheet
and the one script, so that a hostile name could do nothing even if it got through.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import Final

import jinja2
from markupsafe import Markup

from exporter.report.accounting.rows import Comparison, Report
from exporter.report.accounting.timeline import Timeline, condensed
from exporter.report.languages import Language, Words, words
from exporter.report.render import figures
from exporter.report.render.blocks import NOT_AVAILABLE
from exporter.report.render.clock import Clock
from exporter.report.render.html.charts import kinds, panels, split, ticks, user_bars
from exporter.report.render.html.heat import USER_COLOURS, heat_data, heat_nodes, user_colours
from exporter.report.render.html.tables import tables

_MOST_COLUMNS: Final = 288
"""Of what is drawn over time: what a wide screen can show."""
_MOST_BARS: Final = 12
"""Users with a bar of their own; the table has them all."""

_ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.PackageLoader(__package__),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "number": figures.number,
    "percent": figures.percent,
    "coverage": figures.coverage,
}


def _read(name: str) -> Markup:
    text = (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704  a file of this package


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_STYLE: Final = _read("report.css")
_SCRIPT: Final = _read("report.js")
_POLICY: Final = (
    f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True, slots=True)
class Card:
    """One figure of the whole, with what it was before."""

    title: str
    value: str
    unit: str
    before: tuple[tuple[str, str, str], ...]
    """Of the day before and of the median: what, its value, and how the figure compares."""


def render(report: Report, timeline: Timeline, language: Language) -> str:
    """The report as HTML.

    Args:
        report: The figures.
        timeline: The same GPUs over the same window.
        language: Of all but the names and the warnings.

    Returns:
        The same text for the same arguments.
    """
    speech = words(language)
    drawn = condensed(timeline, _MOST_COLUMNS)
    bars = user_bars(report, _MOST_BARS, speech)
    return _ENVIRONMENT.get_template("report.html").render(
        language=language,
        w=speech,
        policy=_POLICY,
        style=_STYLE,
        script=_SCRIPT,
        report=report,
        instant=Clock.of(report).full,
        cards=_cards(report, speech),
        split=split(report.totals, report.totals.capacity_gpu_hours),
        bars=bars,
        kinds=kinds(bars),
        ticks=ticks(report, drawn),
        panels=panels(report, drawn),
        heat_nodes=heat_nodes(report, drawn),
        heat=heat_data(report, drawn, speech),
        colours=user_colours(report),
        user_colours=USER_COLOURS,
        not_available=NOT_AVAILABLE,
        timed=any(lane.spells for lane in drawn.lanes),
        tables=tables(report, speech),
        is_low=partial(figures.is_low, least=report.min_coverage_ratio),
    )


def _cards(report: Report, speech: Words) -> list[Card]:
    """The totals; the cost only where there is a price."""
    totals = report.totals
    before = {row.measure: row for row in report.comparison}

    def hours(title: str, measure: str) -> Card:
        return _card(title, getattr(totals, measure), speech.gpu_hours, before.get(measure), speech)

    cards = [
        hours(speech.owned, "owned_gpu_hours"),
        hours(speech.busy_owned, "owned_busy_gpu_hours"),
        hours(speech.idle_owned, "idle_gpu_hours"),
        hours(speech.free, "unallocated_gpu_hours"),
        hours(speech.unknown, "unknown_gpu_hours"),
        _ratio_card(speech.efficiency, totals.efficiency_ratio, before.get("efficiency_ratio"), speech),
        _card(speech.energy, totals.energy_kwh, "kWh", before.get("energy_kwh"), speech),
    ]
    if totals.facility_energy_kwh != totals.energy_kwh:
        measure = "facility_energy_kwh"
        cards.append(_card(speech.facility_energy, totals.facility_energy_kwh, "kWh", before.get(measure), speech))
    if totals.cost is not None:
        cards.append(_card(speech.cost, totals.cost, report.currency or "", before.get("cost"), speech))
    return cards


def _card(title: str, value: float | None, unit: str, before: Comparison | None, speech: Words) -> Card:
    earlier = tuple(
        (label, figures.number(past, 1), figures.change(value, past)) for label, past in _earlier(before, speech)
    )
    return Card(title, figures.number(value, 1), unit, earlier)


def _ratio_card(title: str, value: float | None, before: Comparison | None, speech: Words) -> Card:
    earlier = tuple((label, figures.percent(past), "") for label, past in _earlier(before, speech))
    return Card(title, figures.percent(value), "", earlier)


def _earlier(before: Comparison | None, speech: Words) -> list[tuple[str, float | None]]:
    if before is None:
        return []
    return [(speech.day_before, before.day_before), (speech.median_of_seven, before.median_of_seven)]
