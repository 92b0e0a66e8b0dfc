"""The calendar of past reports as one HTML file, and the links from each report to those beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

from markupsafe import Markup

from exporter.pages import Page
from exporter.report.accounting.day_account import Shares
from exporter.report.accounting.figures import FIGURES
from exporter.report.period import period_name
from exporter.report.render.pages import environment
from exporter.speech import Speech, speech

What = Literal["day", "week", "month"]

_ENVIRONMENT: Final = environment(__package__)
_PAGE: Final = Page((("exporter.report.render", "index.css"),))
_BARS: Final = {"owned": "owned_gpu_hours", "busy": "owned_busy_gpu_hours", "idle": "idle_gpu_hours"}
"""The field of each bar of a day, by its class in the style sheet."""
_LINKS: Final = re.compile(rb'<nav class="past">.*?</nav>', re.DOTALL)
"""Where a report has its links. Names in it are escaped, so none can look like this."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One folder of reports."""

    what: What
    name: str
    """`2026-11-03`, `2026-W45` or `2026-11`."""
    first: date
    has_page: bool
    """Whether there is a report.html."""
    shares: Shares | None
    """Of a stored day."""


@dataclass(frozen=True, slots=True)
class _Bar:
    style: str
    word: str
    width: float
    """Percent of the capacity."""
    text: str


@dataclass(frozen=True, slots=True)
class _Day:
    """A place of the calendar."""

    number: int
    entry: Entry | None
    bars: tuple[_Bar, ...]
    is_of_month: bool


@dataclass(frozen=True, slots=True)
class _Week:
    name: str
    has_page: bool
    days: tuple[_Day, ...]


@dataclass(frozen=True, slots=True)
class _Month:
    name: str
    has_page: bool
    weeks: tuple[_Week, ...]


def render(entries: Sequence[Entry], language: str) -> str:
    """Returns the calendar, the latest month first; the same text for the same arguments."""
    words = speech(language)
    monday = date(2024, 1, 1)
    return _ENVIRONMENT.get_template("index.html").render(
        gettext=words.gettext,
        words=words,
        page=_PAGE,
        months=list(_months({entry.name: entry for entry in entries}, words)),
        weekdays=[words.weekday(monday + timedelta(days=n)) for n in range(7)],
        bars={style: words.gettext(FIGURES[field].word) for style, field in _BARS.items()},
    )


def linked(page: bytes, entry: Entry, before: Entry | None, after: Entry | None, language: str) -> bytes:
    """Returns a report's page with links to those beside it and to the calendar."""
    words = speech(language)
    parts = [Markup('<nav class="past">')]
    if before:
        parts.append(Markup('<a rel="prev" href="../{0}/report.html">← {0}</a>').format(before.name))
    up = Markup('<a href="../index.html#{}">{}</a>')
    parts.append(up.format(period_name("month", entry.first), words.gettext("All reports")))
    if after:
        parts.append(Markup('<a rel="next" href="../{0}/report.html">{0} →</a>').format(after.name))
    parts.append(Markup("</nav>"))
    link = Markup("").join(parts).encode()
    return _LINKS.sub(lambda _: link, page, count=1)


def _months(entries: Mapping[str, Entry], words: Speech) -> Iterator[_Month]:
    firsts = {entry.first.replace(day=1) for entry in entries.values()}
    for first in sorted(firsts, reverse=True):
        name = period_name("month", first)
        yield _Month(name, _has_page(entries, name), tuple(_weeks(first, entries, words)))


def _weeks(first: date, entries: Mapping[str, Entry], words: Speech) -> Iterator[_Week]:
    """Yields the weeks that a month has days of."""
    monday = first - timedelta(days=first.weekday())
    while (monday.year, monday.month) <= (first.year, first.month):
        name = period_name("week", monday)
        dates = [monday + timedelta(days=n) for n in range(7)]
        days = tuple(_day(day, entries, words, is_of_month=day.month == first.month) for day in dates)
        yield _Week(name, _has_page(entries, name), days)
        monday += timedelta(days=7)


def _day(day: date, entries: Mapping[str, Entry], words: Speech, *, is_of_month: bool) -> _Day:
    entry = entries.get(str(day)) if is_of_month else None
    return _Day(day.day, entry, tuple(_bars(entry.shares, words)) if entry and entry.shares else (), is_of_month)


def _bars(shares: Shares, words: Speech) -> Iterator[_Bar]:
    for style, field in _BARS.items():
        hours: float | None = getattr(shares, field)
        if hours is not None and shares.capacity_gpu_hours:
            part = hours / shares.capacity_gpu_hours
            yield _Bar(style, words.gettext(FIGURES[field].word), 100 * part, words.percent(part, 0))


def _has_page(entries: Mapping[str, Entry], name: str) -> bool:
    return name in entries and entries[name].has_page
