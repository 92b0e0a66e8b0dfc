"""`exporter report --week` and `--month`, from their options to their output."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from exporter.config import Config
from exporter.errors import ReportError, UsageError
from exporter.names import visible
from exporter.report import period
from exporter.report.accounting.aggregate import Filter
from exporter.report.accounting.periods import PeriodReport, build_period
from exporter.report.completeness import Fault, is_complete, period_faults
from exporter.report.costs import budgets, costs
from exporter.report.gather import gather, if_all_stored
from exporter.report.options import Format, Options
from exporter.report.period import Period
from exporter.report.period_output import FORMATS, WRITTEN, files
from exporter.report.progress import telling
from exporter.report.warnings import worded


def run(settings: Config, options: Options) -> bool:
    """Makes the report of a week or month from stored days, and days made now, and prints or writes it.

    Returns:
        Whether it is complete.

    Raises:
        UsageError: The options do not go together, or name a time, user or node that is not there.
        ReportError: There is nothing to report, or it cannot be written.
        ConfigError: A source's settings are not usable.
    """
    now = time.time()
    wanted = _period(settings, options, now)
    _check(options, wanted)
    unworded, faults = _made(settings, options, wanted, now)
    language = settings.report.language
    report = worded(unworded, faults, language)
    if options.output is None:
        output = _printed(report, language, options.formats[0] if options.formats else "text")
    else:
        contents = files(report, language, options.formats or WRITTEN)
        named = {f"{wanted.name}/{name}": content for name, content in contents.items()}
        output = "\n".join(map(str, _written(options.output, named, language)))
    click.echo(output, nl=not output.endswith("\n"))
    for said in report.warnings:
        click.echo(f"exporter: {visible(said)}", err=True)
    failures = _delivered(settings, options.output, unworded, faults) if options.deliver and options.output else []
    for failure in failures:
        click.echo(f"exporter: {failure}", err=True)
    return is_complete(faults) and not failures


def _period(settings: Config, options: Options, now: float) -> Period:
    zone = settings.report.timezone
    if options.week is not None:
        return period.week(options.week, zone, now)
    assert options.month is not None
    return period.month(options.month, zone, now)


def _check(options: Options, wanted: Period) -> None:
    option = f"--{wanted.kind}"
    if options.week is not None and options.month is not None:
        raise UsageError("--week and --month: only one of them")
    if options.date or options.to:
        raise UsageError(f"{option} and --date or --to: only one of them")
    if options.user_report or options.skip_task_info:
        raise UsageError(f"{option} is made of whole days: without --user-report and --skip-task-info")
    if unfit := [kind for kind in options.formats if kind not in FORMATS]:
        raise UsageError(f"{option} has no {unfit[0]}: choose of {', '.join(FORMATS)}")
    if options.deliver and options.output is None:
        raise UsageError("--deliver sends what is written: name a directory with --output")
    if options.deliver and (options.users or options.nodes or not wanted.is_over):
        raise UsageError(f"--deliver sends a whole {wanted.kind} that is over: without --user and --node")
    if options.output is None and (len(options.formats) > 1 or "xlsx" in options.formats):
        raise UsageError("several formats, or xlsx, are files: name a directory with --output")


def _made(settings: Config, options: Options, wanted: Period, now: float) -> tuple[PeriodReport, list[Fault]]:
    """Returns the report without its warnings, and what these are about."""
    with telling() as tell:
        gathered = asyncio.run(gather(settings, wanted.days(), now, use_stored=not options.no_cache, progress=tell))
    if not gathered.accounts:
        raise ReportError(next(iter(gathered.failures.values())))
    before = [] if gathered.failures else if_all_stored(settings.report.directory, wanted.before().days())
    report, doubts = build_period(
        wanted,
        gathered.accounts,
        before,
        wanted=Filter(frozenset(options.users), frozenset(options.nodes)),
        costs=costs(settings.report),
        budgets=budgets(settings.report),
        min_coverage_ratio=settings.report.min_coverage,
    )
    return report, list(period_faults(report, gathered.failures, doubts))


def _delivered(settings: Config, directory: Path, report: PeriodReport, faults: Sequence[Fault]) -> list[str]:
    """Delivers the report, and returns what did not arrive."""
    from exporter.report.delivery import letters
    from exporter.report.delivery.deliver import deliver

    return deliver(
        settings.report.deliver,
        directory,
        report.period,
        report.kind,
        lambda target: letters.of_period(report, faults, settings.report, target),
        is_faulty=bool(faults),
    )


def _printed(report: PeriodReport, language: str, wanted: Format) -> str:
    if wanted == "text":
        from exporter.report.render.period import text
        from exporter.table import terminal_width

        columns = terminal_width()
        return text.render(report, language, columns, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    (content,) = files(report, language, [wanted]).values()
    return content.decode()


def _written(directory: Path, contents: dict[str, bytes], language: str) -> list[Path]:
    from exporter.report import past
    from exporter.report.write import write

    return write(directory, contents, past.links(language))
