"""`exporter report`, from its options to its output."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import sys
import time

import click
from rich.console import Console

from exporter import config
from exporter.config import Config
from exporter.errors import ConfigError, UsageError
from exporter.names import visible
from exporter.report.accounting.aggregate import Filter
from exporter.report.answers import Wanted
from exporter.report.make import Made, make
from exporter.report.options import Format, Options
from exporter.report.output import WRITTEN, files, printed
from exporter.report.render import text
from exporter.report.window import window
from exporter.report.write import write

_LEAST_COLUMNS = 80


def overridden(settings: Config, options: Options) -> Config:
    """Returns the settings with those of the command line in their place.

    Raises:
        UsageError: One is no such thing.
    """
    given = {
        "report": {"timezone": options.timezone, "language": options.language},
        "prometheus": {"url": options.prometheus},
    }
    chosen = {name: {key: value for key, value in part.items() if value} for name, part in given.items()}
    try:
        checked = config.parse(chosen, where="command line")
    except ConfigError as error:
        raise UsageError(str(error)) from error
    update = {
        name: getattr(settings, name).model_copy(update={key: getattr(getattr(checked, name), key) for key in part})
        for name, part in chosen.items()
    }
    return settings.model_copy(update=update)


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
    wanted = Wanted(
        span,
        Filter(frozenset(options.users), frozenset(options.nodes)),
        with_tasks=not options.skip_task_info,
        with_history=not options.user_report,
        use_cache=not options.no_cache,
    )
    with Console(stderr=True).status("") as status:  # on a terminal only
        made = asyncio.run(make(settings, wanted, now, status.update))
        if options.output is None:
            output = _printed(settings, options, made)
        else:
            status.update("writing")
            folders = write(
                options.output,
                files(
                    made.report,
                    made.timeline,
                    span,
                    settings.report.language,
                    options.formats or WRITTEN,
                    headings=options.language,
                ),
            )
            output = "\n".join(map(str, folders))
    click.echo(output, nl=not output.endswith("\n"))
    for warning in made.report.warnings:
        click.echo(f"exporter: {visible(warning)}", err=True)
    return made.is_complete


def _check(settings: Config, options: Options) -> None:
    if options.user_report and options.skip_task_info:
        raise UsageError("--user-report and --skip-task-info leave nothing to report")
    if options.user_report and settings.tasks.url is None:
        raise UsageError("--user-report: tasks.url is not set, so there is nobody to ask")
    if options.output is None and (len(options.formats) > 1 or "legacy" in options.formats):
        raise UsageError("several formats, or legacy, are files: name a directory with --output")


def _printed(settings: Config, options: Options, made: Made) -> str:
    language = settings.report.language
    if options.user_report and not options.formats:
        return text.task_report(made.report, language)
    kind: Format = options.formats[0] if options.formats else "text"
    if kind != "text" and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # whatever the locale: programs read it
    columns = max(_LEAST_COLUMNS, shutil.get_terminal_size().columns)
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return printed(made.report, made.timeline, language, kind, columns, colour=colour, headings=options.language)
