"""`exporter config`: the schema for editors, and whether a file is right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from exporter.errors import UsageError
from exporter.options import config_option, web_options

if TYPE_CHECKING:
    from exporter.web.flags import WebFlags


@click.group(short_help="Look at a config file itself.")
def config() -> None:
    """Look at a config file itself: nothing is probed, and no service need run.

    \b
    Examples:
      exporter config schema > config.schema.json     for editors
      exporter config check config.yaml               before it is used
    """


@config.command("schema", short_help="Print the JSON Schema of the config.")
@config_option
def config_schema(config_path: Path | None) -> None:  # noqa: ARG001  all commands take it
    """Print the JSON Schema of the config, for editors.

    \b
    Examples:
      exporter config schema > config.schema.json
      # yaml-language-server: $schema=config.schema.json      as the first line of config.yaml
    """
    from exporter.config.schema import schema

    click.echo(schema(), nl=False)


@config.command("check", short_help="Say whether a config file is right.")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@config_option
@click.option(
    "--for",
    "service",
    type=click.Choice(["serve", "portal"]),
    help="Read the certificates and the web configuration file that this service would, too.",
)
@web_options
def config_check(file: Path | None, config_path: Path | None, service: str | None, flags: WebFlags) -> None:
    """Say whether a config file is right: each fault with file, key, what was expected and what was found.

    \b
    Examples:
      exporter config check config.yaml
      exporter config check --config config.yaml --for serve      before a reload

    \b
    Exit code: 0 right; 2 not.
    """
    from exporter.config import ConfigFile
    from exporter.web.tls import Tls

    if file is not None and config_path is not None:
        raise UsageError("config check: expected one file, found FILE and --config")
    chosen = ConfigFile(file or config_path)
    if chosen.path is None:
        raise UsageError("config check: expected a file: exporter config check config.yaml")
    with chosen.named():
        settings = chosen.load()
        section = "portal" if service == "portal" else "listen"
        told = flags.settings(settings.portal if service == "portal" else settings.listen, section)
        if service is not None and told.tls is not None:
            Tls(told.tls)
    click.echo(f"{chosen.path}: right")
