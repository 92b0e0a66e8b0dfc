"""The report as one HTML file that asks nothing of any server and runs no script but its own.

Every value is escaped by the template engine, and what steers a terminal or the order of text is made visible.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from exporter.names import visible
from exporter.pages import Page
from exporter.report.accounting.figures import Figure, Form
from exporter.report.accounting.rows import Comparison, Report
from exporter.report.accounting.split import Kind, by_user, capacity
from exporter.report.accounting.timeline import Timeline, condensed
from exporter.report.render import brief, headline
from exporter.report.render.cells import NOT_AVAILABLE, Cells, coverage
from exporter.report.render.clock import Clock
from exporter.report.render.columns import TITLES
from exporter.report.render.html.charts import bars, kinds, panels, stacked, style, ticks
from exporter.report.render.html.heat import USER_COLOURS, heat_data, heat_nodes, user_colours
from exporter.report.render.html.meanings import ACTIVE, BUSY, MEANINGS
from exporter.report.render.html.tables import tables
from exporter.report.render.pages import TABLES, environment
from exporter.report.render.sentences import sentences
from exporter.speech import N_, speech

_MOST_COLUMNS: Final = 288
"""Of what is drawn over time: what a wide screen can show."""
_DECIMALS: Final = 1
"""Of the figures on cards."""
_CARD_NOTES: Final = {"owned_busy_gpu_hours": BUSY}
_MOST_BARS: Final = 12
"""Users with a bar of their own; the table has them all."""
_MOST_PRINTED: Final = 6
"""Nodes whose every GPU has a line of its own on the printed page of charts; of more it shows the outline."""

_PACKAGE: Final = "exporter.report.render.html"
_ENVIRONMENT: Final = environment(
    _PACKAGE,
    lambda value: visible(value) if type(value) is str else value,  # markup is a subclass of it
)
_PAGE: Final = Page(((_PACKAGE, "report.css"),), (TABLES, (_PACKAGE, "report.js")))


@dataclass(frozen=True, slots=True)
class Card:
    """One figure of the whole, with what it was before."""

    title: str
    value: str
    unit: str
    note: str
    """What it means, where its word alone could be taken for that of another figure."""
    before: tuple[tuple[str, str, str], ...]
    """Of the day before and of the median: what, its value, and how the figure compares."""


def render(report: Report, timeline: Timeline, language: str) -> str:
    """Returns the report as HTML; the same text for the same arguments.

    Args:
        report: The figures.
        timeline: The same GPUs over the same window.
        language: Of all but the names and the warnings.
    """
    cells = Cells(report, speech(language))
    drawn = condensed(timeline, _MOST_COLUMNS)
    by_whom = bars(by_user(report.users, report.totals, _MOST_BARS))
    return _ENVIRONMENT.get_template("report.html").render(
        gettext=cells.speech.gettext,
        ngettext=cells.speech.ngettext,
        words=cells.speech,
        page=_PAGE,
        report=report,
        dates=headline.dates(report),
        weekday=headline.weekday(report, cells.speech),
        span=headline.span(report, cells.speech),
        exceptions=headline.exceptions(report, cells.speech),
        brief=list(sentences(cells, timeline)),
        warnings=brief.other_warnings(cells),
        instant=Clock.of(report).full,
        sources=headline.sources(report, cells.speech),
        partial=headline.partial(report, cells.speech),
        cards=_cards(cells),
        split=stacked(capacity(report.totals), report.totals.capacity_gpu_hours),
        bars=by_whom,
        kinds=[(style(kind), kind.value) for kind in kinds(by_whom)],
        ticks=ticks(report, drawn),
        panels=panels(report, drawn),
        heat_nodes=heat_nodes(cells, drawn),
        heat=heat_data(report, drawn, cells.speech),
        most_printed=_MOST_PRINTED,
        colours=user_colours(report),
        user_colours=USER_COLOURS,
        not_available=NOT_AVAILABLE,
        timed=any(lane.spells for lane in drawn.lanes),
        tables=tables(cells),
        titles=TITLES,
        meanings=MEANINGS,
        notes={Kind.ACTIVE: ACTIVE},
        coverage=partial(coverage, speech=cells.speech),
        is_low=cells.is_low,
    )


def _cards(cells: Cells) -> list[Card]:
    """The figures at the head of the page."""
    report = cells.report
    before = {row.measure: row for row in report.comparison}
    return [
        _card(cells, name, figure, getattr(report.totals, name), before.get(name))
        for name, figure in cells.told().items()
        if figure.on_card
    ]


def _card(cells: Cells, name: str, figure: Figure, value: float | None, before: Comparison | None) -> Card:
    unit = {Form.HOURS: cells.speech.gettext("GPU-hours"), Form.ENERGY: "kWh"}.get(figure.form, "")
    past = {} if before is None else {N_("day before"): before.day_before, N_("7-day median"): before.median_of_seven}
    earlier = tuple(
        (
            cells.speech.gettext(when),
            cells.value(figure.form, was, _DECIMALS),
            cells.change(figure.form, value, was),
        )
        for when, was in past.items()
    )
    return Card(
        cells.speech.gettext(figure.word),
        cells.value(figure.form, value, _DECIMALS),
        unit,
        cells.speech.gettext(_CARD_NOTES.get(name, "")),
        earlier,
    )
