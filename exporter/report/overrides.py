"""Settings of the config that the command line has instead."""

from __future__ import annotations

from exporter import config
from exporter.config import Config
from exporter.errors import ConfigError, UsageError
from exporter.report.options import Options


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
