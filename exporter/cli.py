"""The command line. Only here does the program exit, and only here is the whole of it known."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import click

from exporter import __version__, log
from exporter import config as config_file
from exporter.config import Config
from exporter.devices.simulated import SimulatedSource
from exporter.devices.source import DeviceSource
from exporter.devices.supervisor import AmdsmiSource
from exporter.errors import ConfigError, ExporterError, UsageError
from exporter.service import Service

FAILED, USAGE = 1, 2


def _config_option(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --config; the command gets the parsed Config, and the path as `config_path` if it asks for it."""
    return click.option(
        "--config",
        "config_path",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Config file (YAML); without it every default holds.",
    )(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="exporter")
def cli() -> None:
    """Accounts every GPU-second of AMD Instinct MI300X nodes to a user and a task."""


@cli.command()
@_config_option
def serve(config_path: Path | None) -> None:
    r"""Run the service of one node: read its GPUs, follow their owners, answer /metrics.

    \b
    Examples:
      exporter serve --config /etc/mi300x-exporter/config.yaml
      systemctl reload mi300x-exporter      read the config again (SIGHUP)
    """
    config = config_file.load(config_path)
    log.configure(config.log)
    service = Service(config, _device_source(config))
    asyncio.run(service.run(lambda: config_file.load(config_path)))


def _device_source(config: Config) -> DeviceSource:
    return SimulatedSource(config.devices) if config.devices.source == "simulated" else AmdsmiSource(config.devices)


def main() -> None:
    """The console script: runs a command and turns its errors into words and an exit code."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (UsageError, ConfigError) as error:
        _complain(error)
        sys.exit(USAGE)
    except ExporterError as error:
        _complain(error)
        sys.exit(FAILED)


def _complain(error: ExporterError) -> None:
    for line in str(error).splitlines():
        click.echo(f"exporter: {line}", err=True)
