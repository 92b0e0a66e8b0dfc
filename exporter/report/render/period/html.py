"""A week or month as one HTML file that asks nothing of any server and runs no script but its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from exporter.pages import Page
from exporter.report.accounting.figures import FIGURES, Form
from exporter.report.accounting.periods import PeriodReport
from exporter.report.accounting.split import Kind, capacity
from exporter.report.render.pages import TABLES, environment
from exporter.report.render.period.cells import PeriodCells
from exporter.report.render.period.heat import heat
from exporter.speech import ABSENT, speech

_ENVIRONMENT: Final = environment(__package__)
_PAGE: Final = Page((("exporter.report.render.html", "report.css"), (__package__ or "", "period.css")), (TABLES,))
_DECIMALS: Final = 0
"""Of the figures on cards."""
_DAY_WIDTH: Final = 10
_COLUMN_WIDTH: Final = 8
_HEIGHT: Final = 100


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a day's column."""

    style: str
    x: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class DayColumn:
    """A day of the chart."""

    label: str
    x: int
    hint: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One figure of the whole, with what it was before."""

    title: str
    value: str
    unit: str
    before: str
    change: str


def render(report: PeriodReport, language: str) -> str:
    """Returns the report as HTML; the same text for the same arguments.

    Args:
        report: The figures.
        language: Of all but the names and the warnings.
    """
    cells = PeriodCells(report, speech(language))
    tables = {table.name: table for table in cells.tables()}
    return _ENVIRONMENT.get_template("period.html").render(
        gettext=cells.speech.gettext,
        words=cells.speech,
        page=_PAGE,
        report=report,
        cells=cells,
        cards=list(_cards(cells)),
        chart=list(_chart(cells)),
        width=_DAY_WIDTH * len(report.days),
        kinds=_kinds(report),
        tables=tables,
        heat=heat(cells),
        absent=ABSENT,
    )


def _cards(cells: PeriodCells) -> Iterator[Card]:
    report, words = cells.report, cells.speech
    for name, figure in FIGURES.items():
        if not (figure.on_card and figure.is_of_days and figure.is_told(report.totals)):
            continue
        value = getattr(report.totals, name)
        past = getattr(report.before.totals, name) if report.before else None
        yield Card(
            words.gettext(figure.word),
            cells.value(figure, value, _DECIMALS),
            {Form.HOURS: words.gettext("GPU-hours"), Form.ENERGY: "kWh"}.get(figure.form, ""),
            cells.value(figure, past, _DECIMALS) if report.before else "",
            "" if figure.form is Form.RATIO else words.change(value, past),
        )


def _chart(cells: PeriodCells) -> Iterator[DayColumn]:
    """Yields a column for each day, as high as its capacity; all on one scale."""
    full = max((row.usage.capacity_gpu_hours for row in cells.report.days if row.usage), default=0.0)
    for place, row in enumerate(cells.report.days):
        x = place * _DAY_WIDTH
        blocks, told, top = [], [cells.day(row)], float(_HEIGHT)
        for kind, hours in capacity(row.usage).items() if row.usage and full else ():
            if hours and hours > 0:
                height = hours / full * _HEIGHT
                top -= height
                blocks.append(Block(kind.name.lower(), x + (_DAY_WIDTH - _COLUMN_WIDTH) // 2, top, height))
                told.append(cells.speech.named(cells.speech.gettext(kind.value), cells.speech.number(hours, 1)))
        yield DayColumn(row.date[8:], x, "\n".join(told), tuple(blocks))


def _kinds(report: PeriodReport) -> list[tuple[str, str]]:
    """Returns the style and the word of each kind of GPU-hours in the chart."""
    found = {kind for row in report.days if row.usage for kind, hours in capacity(row.usage).items() if hours}
    return [(kind.name.lower(), kind.value) for kind in Kind if kind in found]
