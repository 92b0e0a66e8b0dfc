#!/usr/bin/env python3
"""Makes the daily reports that `report.directory` lacks, oldest first; mi300x-report.service runs it every night.

Of the last days it takes those after the first report there is, and yesterday in any case. A day is missing until
its report.json says that Prometheus and the consumption API, if one is configured, both answered, and that the day
was over: one made without them, or too early, is made again.

Exit code: 0 all are made; 3 one of them is incomplete, as `exporter report` explains on stderr; otherwise that of
the first report that failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from exporter import config
from exporter.errors import ConfigError

INCOMPLETE = 3


def main() -> int:
    """The exit code."""
    options = _options()
    try:
        settings = config.load(options.config)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    today = datetime.now(ZoneInfo(settings.report.timezone)).date()
    wanted = {"history": "prometheus", "tasks": "api" if settings.tasks.url else "labels"}
    reports = settings.report.directory
    days = missing(reports, today, options.days, wanted)
    command = [options.exporter, "report", "--config", options.config, "--output", reports]
    codes = [subprocess.run([*command, "--date", day.isoformat()], check=False).returncode for day in days]  # noqa: S603  our own program
    failures = [code for code in codes if code not in {0, INCOMPLETE}]
    return failures[0] if failures else max(codes, default=0)


def missing(reports: Path, today: date, days: int, sources: Mapping[str, str]) -> list[date]:
    """Those of the days before today, oldest first, that want a report from these sources.

    None are from before the first report there is.
    """
    last = [today - timedelta(days=age) for age in range(days, 0, -1)]
    first = next((day for day in last if (reports / day.isoformat()).exists()), last[-1])
    return [
        day for day in last if day >= first and not _is_made(day, sources, reports / day.isoformat() / "report.json")
    ]


def _is_made(day: date, sources: Mapping[str, str], path: Path) -> bool:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        is_whole = report["only_users"] == report["only_nodes"] == []
        return is_whole and report["sources"] == sources and datetime.fromisoformat(report["end"]).date() > day
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Makes the daily reports that are missing.")
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
