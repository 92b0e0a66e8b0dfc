"""The config file: its keys, defaults and checks. config.example.yaml shows every key.

Durations are seconds (float) once read, sizes bytes (int).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from exporter.config.reading import checked, read
from exporter.config.sections import (
    Budget,
    Config,
    Delivery,
    Devices,
    Listen,
    Log,
    Metering,
    Portal,
    Price,
    Prometheus,
    Report,
    Section,
    Simulated,
    Tasks,
)
from exporter.config.values import target
from exporter.errors import ConfigError

__all__ = [
    "Budget",
    "Config",
    "ConfigFile",
    "Delivery",
    "Devices",
    "Listen",
    "Log",
    "Metering",
    "Portal",
    "Price",
    "Prometheus",
    "Report",
    "Section",
    "Simulated",
    "Tasks",
    "load",
    "parse",
    "target",
]


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The config file that a command was given, which a service reads again; without one every default holds."""

    path: Path | None = None

    def load(self) -> Config:
        """Reads and checks it.

        Raises:
            ConfigError: As `load` does.
        """
        return load(self.path)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Names the file in a ConfigError that is raised in the block and names none: the fault of what a key says."""
        try:
            yield
        except ConfigError as error:
            error.where = error.where or str(self.path or "")
            raise


def load(path: Path | None) -> Config:
    """Reads and checks a config file; without one, every default.

    Raises:
        ConfigError: naming the file and, for each fault, the key, what was expected and what was found.
    """
    return Config() if path is None else parse(read(path), where=str(path))


def parse(document: object, *, where: str) -> Config:
    """Checks a parsed document; `where` names it in errors.

    Raises:
        ConfigError: as `load` does.
    """
    return checked(Config, document, where=where, help_for_unknown="config.example.yaml shows every key")
