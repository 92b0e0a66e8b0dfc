"""`exporter report`, from its options to its output."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import time
from pathlib import Path

import click

from exporter import config
from exporter.config import Config
from exporter.errors import UsageError
from exporter.names import visible
from exporter.report import days
from exporter.report.accounting.aggregate import Filter
from exporter.report.accounting.day_account import DayAccount, day_account
from exporter.report.answers import Wanted
from exporter.report.make import Made, make
from exporter.report.options import Format, Options
from exporter.report.output import WRITTEN, files, printed
from exporter.report.progress import telling
from exporter.report.window import Window, window
from exporter.tasks.source import task_source


def run(settings: Config, options: Options) -> bool:
    """Makes the report and prints or writes it.

    Returns:
        Whether it is complete.

    Raises:
        UsageError: The options do not go together, or name a date, user or node that is not there.
        ReportError: There is nothing to report, or it cannot be written.
        TasksError: As `make` does.
    """
    _check(settings, options)
    now = time.time()
    span = window(options.date, options.to, settings.report.timezone, now)
    if options.deliver and not _is_a_whole_day(span, options):
        raise UsageError("--deliver sends one whole day that is over: without --user, --node and the like")
    wanted = Wanted(
        span,
        Filter(frozenset(options.users), frozenset(options.nodes)),
        with_tasks=not options.skip_task_info,
        with_history=not options.user_report,
        use_cache=not options.no_cache,
    )
    with telling() as tell:
        made = asyncio.run(make(settings, wanted, now, tell))
        if options.output is None:
            output = _printed(settings, options, made)
        else:
            tell("writing")
            output = _written(settings, options, options.output, made, span)
    click.echo(output, nl=not output.endswith("\n"))
    for warning in made.report.warnings:
        click.echo(f"exporter: {visible(warning)}", err=True)
    failures = _delivered(settings.report, options.output, span, made) if options.deliver and options.output else []
    for failure in failures:
        click.echo(f"exporter: {failure}", err=True)
    return made.is_complete and not failures


def _check(settings: Config, options: Options) -> None:
    if options.deliver and options.output is None:
        raise UsageError("--deliver sends what is written: name a directory with --output")
    if options.user_report and options.skip_task_info:
        raise UsageError("--user-report and --skip-task-info leave nothing to report")
    if options.user_report:
        source = task_source(settings.tasks)
        if source is None:
            raise UsageError("--user-report: tasks.url is not set, so there is nobody to ask")
        if not source.has_past:
            raise UsageError(f"--user-report: {source.name} does not tell of days that are over")
    if options.output is None and (len(options.formats) > 1 or {"legacy", "xlsx"}.intersection(options.formats)):
        raise UsageError("several formats, legacy or xlsx are files: name a directory with --output")


def _is_a_whole_day(span: Window, options: Options) -> bool:
    """Returns whether the report is of all that there was on a day that is over."""
    is_narrowed = options.users or options.nodes or options.user_report or options.skip_task_info
    return span.first == span.last and span.is_over and not is_narrowed


def _account(made: Made, span: Window) -> DayAccount:
    return day_account(span, made.accounts, made.report.sources, is_whole=made.has_sources)


def _written(settings: Config, options: Options, directory: Path, made: Made, span: Window) -> str:
    """Writes the report, and returns where."""
    from exporter.report import past
    from exporter.report.write import write

    language, wanted = settings.report.language, options.formats or WRITTEN
    content = files(made.report, made.timeline, span, language, wanted, headings=options.language)
    if _is_a_whole_day(span, options):
        content[f"{span.name}/{days.FILE}"] = days.dumped(_account(made, span))
    return "\n".join(map(str, write(directory, content, past.links(language))))


def _delivered(settings: config.Report, directory: Path, day: Window, made: Made) -> list[str]:
    """Delivers the report, and returns what did not arrive."""
    from exporter.report.delivery import letters
    from exporter.report.delivery.deliver import deliver

    return deliver(
        settings.deliver,
        directory,
        day.name,
        "day",
        lambda target: letters.of_day(made, day, settings, target),
        is_faulty=letters.is_faulty(made),
    )


def _printed(settings: Config, options: Options, made: Made) -> str:
    from exporter.table import terminal_width

    language = settings.report.language
    if options.user_report and not options.formats:
        from exporter.report.render import text

        return text.task_report(made.report, language)
    kind: Format = options.formats[0] if options.formats else "text"
    if kind != "text" and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # whatever the locale: programs read it
    columns = terminal_width()
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return printed(made.report, made.timeline, language, kind, columns, colour=colour, headings=options.language)
