"""The options of `exporter report`.

Nothing else of the report is loaded here: a command that only prints its help needs none of its libraries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Literal, get_args

import click

from exporter.speech import languages

Format = Literal["brief", "text", "text-full", "csv", "xlsx", "json", "html", "markdown", "legacy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says; None leaves a setting as it is."""

    date: str | None = None
    to: str | None = None
    week: str | None = None
    month: str | None = None
    users: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    formats: tuple[Format, ...] = ()
    output: Path | None = None
    language: str | None = None
    timezone: str | None = None
    prometheus: str | None = None
    no_cache: bool = False
    user_report: bool = False
    skip_task_info: bool = False
    deliver: bool = False

    @property
    def is_of_days(self) -> bool:
        """Whether it asks for a week or month: a sum of days."""
        return self.week is not None or self.month is not None


def report_options(run: Callable[[Path | None, Options], None]) -> Callable[..., None]:
    """Adds the options to a command, which gets them as one object beside the path of the config."""

    @click.option("--date", help="First day, YYYY-MM-DD; without it: yesterday.")
    @click.option("--to", help="Last day, inclusive; without it: the same day.")
    @click.option("--week", help="A week, YYYY-Www, summed from its days.")
    @click.option("--month", help="A month, YYYY-MM, summed from its days.")
    @click.option("--user", "users", multiple=True, help="Only this user's shares; may be repeated.")
    @click.option("--node", "nodes", multiple=True, help="Only this host; may be repeated.")
    @click.option(
        "--format",
        "formats",
        multiple=True,
        type=click.Choice(get_args(Format)),
        help="May be repeated with --output; without it: text, or every usual file. docs/formats.md describes each.",
    )
    @click.option(
        "--output", type=click.Path(path_type=Path), help="Write DIR/<date>/ and DIR/index.html instead of printing."
    )
    @click.option(
        "--lang",
        "language",
        type=click.Choice(languages()),
        help="Instead of report.language; also for the headings of CSV.",
    )
    @click.option("--timezone", help="Instead of report.timezone.")
    @click.option("--prometheus", help="Instead of prometheus.url.")
    @click.option("--no-cache", is_flag=True, help="Make and ask anew even what is kept.")
    @click.option("--user-report", is_flag=True, help="Only the tasks: needs no scrape history.")
    @click.option(
        "--skip-task-info", is_flag=True, help="Do not ask the consumption API: tasks from the scrape history."
    )
    @click.option(
        "--deliver", is_flag=True, help="With --output: then send it to those of report.deliver who do not have it yet."
    )
    @wraps(run)
    def command(
        *,
        config_path: Path | None,
        date: str | None,
        to: str | None,
        week: str | None,
        month: str | None,
        users: tuple[str, ...],
        nodes: tuple[str, ...],
        formats: tuple[Format, ...],
        output: Path | None,
        language: str | None,
        timezone: str | None,
        prometheus: str | None,
        no_cache: bool,
        user_report: bool,
        skip_task_info: bool,
        deliver: bool,
    ) -> None:
        options = Options(
            date=date,
            to=to,
            week=week,
            month=month,
            users=users,
            nodes=nodes,
            formats=formats,
            output=output,
            language=language,
            timezone=timezone,
            prometheus=prometheus,
            no_cache=no_cache,
            user_report=user_report,
            skip_task_info=skip_task_info,
            deliver=deliver,
        )
        run(config_path, options)

    return command
