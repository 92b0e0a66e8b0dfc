#!/usr/bin/env python3
"""Makes and delivers the reports that `report.directory` lacks, days before the week and the month they are summed to.

mi300x-report.service runs it every night. Of the last days it takes those after the first report there is, and
yesterday in any case. A day is missing until its report.json says that Prometheus and the consumption API, if one is
configured, both answered, and that the day was over: one made without them, or too early, is made again. The last week
and the last month that are over are made as soon as they are, and again after one of their days was.

Each is delivered to `report.deliver` when it is made. What could not be delivered is tried again every night: of days
as long as they are looked back to, of a week or month as long as it is the last. A report that was delivered to nobody
yet is so only if it is new, or ended yesterday: whoever joins `report.deliver` is not sent the past.

Exit code: 0 all are made; 3 one of them is incomplete or was not delivered, as `exporter report` explains on stderr;
otherwise that of the first report that failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from exporter import config
from exporter.config import Config
from exporter.errors import ConfigError, DeliveryError
from exporter.report.delivery import marks
from exporter.report.delivery.due import Kind, wants
from exporter.report.period import period_name

INCOMPLETE = 3
_OPTIONS: Mapping[Kind, str] = {"day": "--date", "week": "--week", "month": "--month"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A report that there is to be."""

    kind: Kind
    name: str
    """Of its folder, and what its option takes."""
    first: date
    last: date


def main() -> int:
    """The exit code."""
    options = _options()
    try:
        settings = config.load(options.config)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    command = [options.exporter, "report", "--config", options.config, "--output", settings.report.directory]
    today = datetime.now(ZoneInfo(settings.report.timezone)).date()
    codes = [
        subprocess.run([*command, *arguments], check=False).returncode  # noqa: S603  our own program
        for arguments in runs(settings, today, options.days)
    ]
    failures = [code for code in codes if code not in {0, INCOMPLETE}]
    return failures[0] if failures else max(codes, default=0)


def runs(settings: Config, today: date, days: int) -> Iterator[list[str]]:
    """The arguments of each report to make; the periods are looked at after the days before were made."""
    reports = settings.report.directory
    sources = {"history": "prometheus", "tasks": "api" if settings.tasks.url else "labels"}
    to_make = missing(reports, today, days, sources)
    for day in [today - timedelta(days=age) for age in range(days, 0, -1)]:
        wanted = Wanted("day", day.isoformat(), day, day)
        yield from _run(settings, wanted, today, is_made=day not in to_make)
    for wanted in last_periods(today):
        in_it = [wanted.first + timedelta(days=n) for n in range((wanted.last - wanted.first).days + 1)]
        if any((reports / day.isoformat()).exists() for day in in_it):
            is_made = not set(to_make) & set(in_it) and _is_made_period(reports / wanted.name / "report.json")
            yield from _run(settings, wanted, today, is_made=is_made)


def missing(reports: Path, today: date, days: int, sources: Mapping[str, str]) -> list[date]:
    """Those of the days before today, oldest first, that want a report from these sources.

    None are from before the first report there is.
    """
    last = [today - timedelta(days=age) for age in range(days, 0, -1)]
    first = next((day for day in last if (reports / day.isoformat()).exists()), last[-1])
    return [
        day for day in last if day >= first and not _is_made(day, sources, reports / day.isoformat() / "report.json")
    ]


def last_periods(today: date) -> Sequence[Wanted]:
    """The last week and the last month that are over."""
    sunday = today - timedelta(days=today.isoweekday())
    end = today.replace(day=1) - timedelta(days=1)
    return [
        Wanted("week", period_name("week", sunday), sunday - timedelta(days=6), sunday),
        Wanted("month", period_name("month", end), end.replace(day=1), end),
    ]


def _run(settings: Config, wanted: Wanted, today: date, *, is_made: bool) -> Iterator[list[str]]:
    """The arguments of `exporter report`, if it is to make or to deliver this report."""
    targets = [target for target in settings.report.deliver if wants(target, wanted.kind)]
    is_new = not is_made or wanted.last == today - timedelta(days=1)
    try:
        is_open = marks.has_open(settings.report.directory, wanted.name, targets, wanted.kind) if targets else False
    except DeliveryError:
        is_open = not is_made  # `exporter report` says what is wrong with them
    to_deliver = is_new if is_open is None else is_open
    if not is_made or to_deliver:
        yield [_OPTIONS[wanted.kind], wanted.name, *(["--deliver"] if to_deliver else [])]


def _is_made(day: date, sources: Mapping[str, str], path: Path) -> bool:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        is_whole = report["only_users"] == report["only_nodes"] == []
        made_from = report["sources"]
        if sources["tasks"] == "labels" and made_from["tasks"] == "history":  # which tells more
            made_from = {**made_from, "tasks": "labels"}
        return is_whole and made_from == sources and datetime.fromisoformat(report["end"]).date() > day
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _is_made_period(path: Path) -> bool:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        return report["is_over"] is True and report["only_users"] == report["only_nodes"] == []
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Makes and delivers the reports that are missing.")
    parser.add_argument("--config", type=Path, required=True, help="the exporter's config file")
    parser.add_argument("--days", type=int, default=7, help="how many days to look back (default: %(default)s)")
    parser.add_argument(
        "--exporter",
        type=Path,
        default=Path(sys.executable).with_name("exporter"),
        help="the program (default: the one beside this Python)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
