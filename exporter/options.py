"""Options that several commands have. What they need is imported when the command runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path

import click

from exporter.errors import said_in


def config_option(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --config; the command gets `config_path`, which is named in errors about what the file says."""

    @wraps(command)
    def named(config_path: Path | None, **options: object) -> None:
        with said_in(config_path):
            command(config_path=config_path, **options)

    return click.option(
        "--config",
        "config_path",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Config file (YAML); without it every default holds.",
    )(named)


def web_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that all exporters have; the command gets them as `flags`."""

    @wraps(command)
    def told(web_addresses: tuple[str, ...], web_file: Path | None, **options: object) -> None:
        from exporter.web.flags import WebFlags, address

        command(flags=WebFlags(tuple(map(address, web_addresses)), web_file), **options)

    listen = click.option(
        "--web.listen-address",
        "web_addresses",
        multiple=True,
        metavar="ADDRESS",
        help="Listen there, such as :9942 or [::1]:9942, and not where the config says; may be repeated.",
    )
    file = click.option(
        "--web.config.file",
        "web_file",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="TLS, passwords and headers from the file that all exporters of Prometheus share.",
    )
    return listen(file(told))
