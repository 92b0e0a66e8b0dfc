"""Past reports: what lies in the folder of reports, its calendar, and the links from each report to its neighbours."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Final

from exporter.report import days
from exporter.report.render import index
from exporter.report.render.index import Entry
from exporter.report.write import Links

_PAGE: Final = "report.html"
_NAMES: Final[Mapping[index.What, re.Pattern[str]]] = {
    "day": re.compile(r"\d{4}-\d\d-\d\d", re.ASCII),
    "week": re.compile(r"\d{4}-W\d\d", re.ASCII),
    "month": re.compile(r"\d{4}-\d\d", re.ASCII),
}


def links(language: str) -> Links:
    """Returns what makes index.html and the links between reports, in a language."""

    def made(folders: Mapping[str, Path], new: Collection[str]) -> dict[str, bytes]:
        entries = [entry for name, path in folders.items() if (entry := _entry(name, path))]
        files = {"index.html": index.render(entries, language).encode()}
        for entry, before, after in _to_link(entries, new):
            page = (folders[entry.name] / _PAGE).read_bytes()
            files[f"{entry.name}/{_PAGE}"] = index.linked(page, entry, before, after, language)
        return files

    return made


def _entry(name: str, path: Path) -> Entry | None:
    """Returns what a folder is; None if it is no report of a day, week or month."""
    what = next((what for what, pattern in _NAMES.items() if pattern.fullmatch(name)), None)
    first = _first_day(what, name) if what else None
    if what is None or first is None:
        return None
    head = days.read_head(path / days.FILE) if what == "day" else None
    return Entry(what, name, first, (path / _PAGE).exists(), head.shares if head else None)


def _first_day(what: index.What, name: str) -> date | None:
    try:
        if what == "week":
            return date.fromisocalendar(int(name[:4]), int(name[-2:]), 1)
        return date.fromisoformat(name if what == "day" else f"{name}-01")
    except ValueError:
        return None


def _to_link(entries: list[Entry], new: Collection[str]) -> Iterator[tuple[Entry, Entry | None, Entry | None]]:
    """Yields the pages that are new, and those beside them, each with the ones before and after it."""
    for what in _NAMES:
        pages = sorted((entry for entry in entries if entry.what == what and entry.has_page), key=lambda one: one.first)
        around = zip([None, *pages], pages, [*pages[1:], None], strict=False)
        for before, page, after in around:
            if any(one and one.name in new for one in (before, page, after)):
                yield page, before, after
