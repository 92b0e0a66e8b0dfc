"""The command line. Only here does the program exit, and only here is the whole of it known.

A command imports its part of the program when it runs: nobody waits for a server's libraries to see a list of tasks,
nor for any to see the help.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exporter import __version__
from exporter.config_command import config
from exporter.errors import CheckFailedError, ConfigError, ExporterError, UsageError
from exporter.names import visible
from exporter.options import config_option, web_options
from exporter.report.options import Options, report_options

if TYPE_CHECKING:
    from exporter.config import Config, ConfigFile
    from exporter.devices.source import DeviceSource
    from exporter.model import Task
    from exporter.report.window import Window
    from exporter.tasks.command import Past
    from exporter.web.flags import WebFlags

FAILED, USAGE, INCOMPLETE, INTERRUPTED = 1, 2, 3, 130
_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})
_HEALTH_SECONDS = 4.0
LIBRARIES = {"OPENBLAS_NUM_THREADS": "1", "PYDANTIC_DISABLE_PLUGINS": "__all__"}
"""Environment of numpy and pydantic, from before their import: the one would start a thread on each core for an algebra
that nothing here uses, the other read the metadata of all packages there are."""
_SWITCH_SECONDS = 0.001
"""After which the thread that reads an answer of megabytes lets a scrape go on; Python's own 5 ms add up to 40."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="exporter")
def cli() -> None:
    """Accounts every GPU-second of AMD Instinct MI300X nodes to a user and a task.

    \b
    Examples:
      exporter demo                                   see it all on a simulated cluster
      exporter check --config config.yaml             what is wrong with a node
      exporter report --config config.yaml            yesterday, on the terminal
    """


@cli.command(short_help="Run the service of one node.")
@config_option
@web_options
def serve(config_path: Path | None, flags: WebFlags) -> None:
    """Run the service of one node: read its GPUs, follow their owners, answer /metrics.

    \b
    Examples:
      exporter serve --config /etc/mi300x-exporter/config.yaml
      systemctl reload mi300x-exporter      read the config again (SIGHUP)
    """
    import asyncio

    from exporter import log
    from exporter.config import ConfigFile
    from exporter.service import Service

    file = ConfigFile(config_path)
    config = file.load()
    log.configure(config.log, waits=False)
    service = Service(config, _device_source(config), flags)
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.freeze()  # a collection then walks what came since, not all that was imported, while readings wait
    asyncio.run(service.run(file))


@cli.command(short_help="Account a day to users and tasks.")
@config_option
@report_options
def report(config_path: Path | None, options: Options) -> None:
    """Account a day, or several, to users and tasks, from the scrape history.

    \b
    Examples:
      exporter report --config config.yaml                        yesterday, on the terminal
      exporter report --config config.yaml --format brief         what matters of it, in forty lines
      exporter report --date 2025-07-22 --lang zh-TW --output reports
      exporter report --date 2025-07-01 --to 2025-07-31 --user itrd --format json
      exporter report --month 2025-07 --output reports            a sum of its days
      exporter report --config config.yaml --output reports --deliver   and send it to report.deliver

    \b
    Exit code: 0 done; 1 failed; 2 usage or config; 3 written, but a source was
    unavailable, a node was observed too little, or somebody did not get it.
    """
    if not options.is_of_days:
        _without_collections()
    from exporter import config as config_file
    from exporter import log
    from exporter.report.overrides import overridden

    try:
        if options.is_of_days:
            from exporter.report.period_command import run
        else:
            from exporter.report.command import run
    except ImportError as error:
        raise _without_extra("report", error) from error
    settings = overridden(config_file.load(config_path), options)
    log.configure(settings.log)
    if not run(settings, options):
        sys.exit(INCOMPLETE)


@cli.command(short_help="Show who has which GPU.")
@config_option
@click.option("--date", help="A day, YYYY-MM-DD, in report.timezone; without it: now.")
@click.option("--user", "users", multiple=True, help="Only this user's; may be repeated.")
@click.option("--node", "nodes", multiple=True, help="Only this host's; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list instead of a table.")
def tasks(
    config_path: Path | None, date: str | None, users: Sequence[str], nodes: Sequence[str], as_json: bool
) -> None:
    """Show who has which GPU, now or on a day, and which are free now; what the API cannot tell, from Prometheus.

    \b
    Examples:
      exporter tasks --config config.yaml
      exporter tasks --config config.yaml --date 2025-07-22 --user itrd --json
    """
    from exporter import config as config_file
    from exporter.report.window import window
    from exporter.tasks import command

    config, now = config_file.load(config_path), time.time()
    day = window(date, None, config.report.timezone, now) if date else None
    start, end = (day.start, day.end) if day else (now, now + 1)
    past = _past(config, day) if day else None
    held = command.run(config, start, end, users=users, nodes=nodes, json=as_json, past=past)
    if day or users or as_json:
        return
    try:
        from exporter.live.command import show_free
    except ImportError as error:
        click.echo(f"exporter: which GPUs are free is not known: {error}: that needs the extra: report", err=True)
        return
    click.echo()
    show_free(config, nodes, held)


def _past(config: Config, day: Window) -> Past | None:
    """Returns who can be asked about a day beside the source of tasks; None without the extra that this takes."""
    try:
        from exporter.report.shown_holders import ShownHolders
    except ImportError:
        return None

    async def past() -> tuple[Sequence[Task], float]:
        held = await ShownHolders(config.prometheus).held(day)
        return held.tasks, held.untold_gpu_seconds

    return past


@cli.command(short_help="Show every GPU now.")
@config_option
@click.option("--free", "is_free", is_flag=True, help="Only those that are free.")
@click.option("--user", "username", help="Only this user's, and what they used today and this month.")
@click.option("--node", "nodes", multiple=True, help="Only this host's; may be repeated.")
@click.option("--watch", is_flag=True, help="Again and again in place; q ends it.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def status(
    config_path: Path | None, *, is_free: bool, username: str | None, nodes: tuple[str, ...], watch: bool, as_json: bool
) -> None:
    """Show every GPU now: whose it is, whether it is used, and which are free. Asks Prometheus alone.

    \b
    Examples:
      exporter status --config config.yaml
      exporter status --config config.yaml --free
      exporter status --config config.yaml --user itrd --watch
    """
    if not watch:
        _without_collections()
    from exporter import config as config_file

    try:
        from exporter.live.command import Choice, run
    except ImportError as error:
        raise _without_extra("status", error) from error
    choice = Choice(is_free=is_free, username=username, nodes=nodes)
    run(config_file.load(config_path), choice, as_json=as_json, watch=watch)


@cli.command(short_help="Serve the cluster's pages.")
@config_option
@web_options
def portal(config_path: Path | None, flags: WebFlags) -> None:
    """Serve the cluster's pages: every GPU now, each user, past reports. Asks Prometheus alone.

    \b
    Examples:
      exporter portal --config /etc/mi300x-exporter/config.yaml
      systemctl reload mi300x-portal        read the config again (SIGHUP)
    """
    import asyncio

    from exporter import log
    from exporter.config import ConfigFile

    try:
        from exporter.portal.app import Portal
    except ImportError as error:
        raise _without_extra("portal", error) from error
    file = ConfigFile(config_path)
    config = file.load()
    log.configure(config.log, waits=False)
    asyncio.run(Portal(config, flags).run(file))


@cli.command(short_help="Run a simulated cluster, and report its days.")
@config_option
@click.option("--exit", "finite", is_flag=True, help="End by itself, after printing what Prometheus answered.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("mi300x-demo"),
    show_default=True,
    help="Folder for the demo's config and reports.",
)
def demo(config_path: Path | None, output: Path, finite: bool) -> None:
    """Run a simulated cluster with a real Prometheus that remembers weeks, and report its days, weeks and months.

    Of a config, the demo follows `report`: time zone, language, prices, projects, budgets. Its servers and
    folders are its own.

    \b
    Examples:
      exporter demo                             until Ctrl-C, with pages to look at
      exporter demo --config config.yaml        in your language, time zone and prices
      exporter demo --exit                      once, and what came of it
    """
    import asyncio

    from exporter import config as config_file

    try:
        from exporter.demo import show
    except ImportError as error:
        raise _without_extra("demo", error) from error
    given = config_file.load(config_path) if config_path else None
    asyncio.run(show.demo(given, output, finite=finite))


@cli.command(short_help="Try every part, and say what to do.")
@config_option
def check(config_path: Path | None) -> None:
    """Try config, GPUs, consumption API and Prometheus, and say what to do.

    \b
    Examples:
      exporter check --config /etc/mi300x-exporter/config.yaml
    """
    import asyncio
    import logging

    from exporter.config import ConfigFile

    file = ConfigFile(config_path)
    config = file.load()
    logging.disable()  # what the parts would log, the findings say
    try:
        sound = asyncio.run(_check(config, file))
    finally:
        logging.disable(logging.NOTSET)
    if not sound:
        raise CheckFailedError("a fault was found")


@cli.command(short_help="Ask the service of this machine whether it answers.")
@config_option
@web_options
def health(config_path: Path | None, flags: WebFlags) -> None:
    """Ask the service of this machine whether it answers, on the port and by the scheme of its config and options.

    \b
    Examples:
      exporter health --config /etc/mi300x-exporter/config.yaml

    \b
    Exit code: 0 it does; 1 not within 4 s.
    """
    from exporter.config import ConfigFile
    from exporter.web.health import ask

    ask(flags.settings(ConfigFile(config_path).load().listen), _HEALTH_SECONDS)


cli.add_command(config)


async def _check(config: Config, file: ConfigFile) -> bool:
    from exporter.check import Verdict, check

    sound = True
    async for finding in check(config, _device_source(config), file):
        click.echo(f"{finding.verdict:<6} {finding.part:<11} {finding.words}")
        sound = sound and finding.verdict is not Verdict.FAULT
    return sound


def _without_collections() -> None:
    """Saves a command that ends soon its garbage collections: nothing is garbage before it has what it prints."""
    gc.disable()
    click.get_current_context().call_on_close(_with_collections)


def _with_collections() -> None:
    """Has garbage collected again, though not sought in what is there by now: as Python ends, that would take long."""
    gc.freeze()
    gc.enable()


def _without_extra(command: str, error: ImportError) -> UsageError:
    needed = "pip install 'mi300x-exporter[report]', or the Debian package mi300x-exporter-report"
    return UsageError(f"{error}: exporter {command} needs its extra: {needed}")


def _device_source(config: Config) -> DeviceSource:
    if config.devices.source == "simulated":
        from exporter.devices.simulated import SimulatedSource

        return SimulatedSource(config.devices)
    from exporter.devices.supervisor import HardwareSource

    return HardwareSource(config.devices)


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script: runs a command and turns its errors into words and an exit code.

    Args:
        arguments: Instead of the process' own.
    """
    for name, value in LIBRARIES.items():
        os.environ.setdefault(name, value)
    _open_streams()
    try:
        cli.main(arguments, prog_name="exporter", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        _close_stdout()
        sys.exit(FAILED)
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        _close_stdout()
        _complain(ExporterError(f"the output cannot be written: {error.strerror}"))
        sys.exit(FAILED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (UsageError, ConfigError) as error:
        _complain(error)
        sys.exit(USAGE)
    except ExporterError as error:
        _complain(error)
        sys.exit(FAILED)


def _open_streams() -> None:
    """Readies stdout and stderr for any text: either may be closed, or of a character set that lacks Chinese."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _close_stdout() -> None:
    """Drops what stdout has not taken, or the interpreter would try again at its end and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(error: ExporterError) -> None:
    with suppress(OSError):  # nobody can be told
        for line in str(error).splitlines():
            click.echo(f"exporter: {visible(line)}", err=True)
