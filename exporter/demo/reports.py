"""The reports of the demo's past: each day's, made from both its sources, and those of weeks and months from these."""

from __future__ import annotations

import asyncio
import io
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from typing import Final

from exporter.config import Config
from exporter.demo.progress import step
from exporter.demo.run import Demo
from exporter.demo.workers import spread
from exporter.report import days, past, period_command
from exporter.report.accounting.day_account import day_account
from exporter.report.answers import Wanted
from exporter.report.make import make
from exporter.report.options import Format, Options
from exporter.report.output import WRITTEN, files
from exporter.report.period import Period
from exporter.report.window import Window
from exporter.report.write import whole, write
from exporter.speech import Speech

_OF_OLD_DAYS: Final[tuple[Format, ...]] = ("html",)


async def report_past(demo: Demo, words: Speech) -> None:
    """Writes the reports of all days, weeks and months that the demo remembers.

    Raises:
        ExporterError: One cannot be made or written.
    """
    _, settings, all_days = words.gettext, demo.settings, demo.past.days
    formats = dict.fromkeys(all_days, _OF_OLD_DAYS) | {all_days[-1]: WRITTEN}
    with step(_("reporting {count} days").format(count=len(all_days)), len(all_days)) as done:
        jobs = [partial(_day, settings, day, formats[day]) for day in all_days]
        found = await spread(demo.pool, jobs, done)
    content = {path: one for files_of_day in found for path, one in files_of_day.items()}
    write(settings.report.directory, content, past.links(settings.report.language))
    periods = demo.past.periods()
    with step(_("adding up {count} weeks and months").format(count=len(periods)), len(periods)) as done:
        await spread(demo.pool, [partial(_period, settings, one) for one in periods], done)


def _day(settings: Config, day: Window, formats: tuple[Format, ...]) -> dict[str, bytes]:
    """Returns a day's files, what weeks are added up from among them; contents by path."""
    made = asyncio.run(make(settings, Wanted(day, is_compared=formats == WRITTEN), day.end, lambda _words: None))
    content = files(made.report, made.timeline, day, settings.report.language, formats)
    account = day_account(day, made.accounts, made.report.sources, is_whole=made.has_sources)
    return {**whole(content), f"{day.name}/{days.FILE}": days.dumped(account)}


def _period(settings: Config, one: Period) -> None:
    """Writes a week or month, as `exporter report --output` does."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        week, month = (one.name, None) if one.kind == "week" else (None, one.name)
        period_command.run(settings, Options(week=week, month=month, output=settings.report.directory))
