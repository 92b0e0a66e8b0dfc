"""The config file: its keys, defaults and checks. config.example.yaml shows every key.

Durations are seconds (float) once read, sizes bytes (int).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
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
    Slurm,
    Tasks,
)
from exporter.config.values import target
from exporter.errors import said_in

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
    "Slurm",
    "Tasks",
    "changed_keys",
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

    def named(self) -> AbstractContextManager[None]:
        """Names the file in errors of the block, as `said_in` does."""
        return said_in(self.path)


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


def changed_keys(before: Section, after: Section, prefix: str = "") -> list[str]:
    """Returns the whole names of the keys whose values differ, such as `devices.interval`."""
    changed = []
    for name in type(before).model_fields:
        old, new, key = getattr(before, name), getattr(after, name), f"{prefix}.{name}".removeprefix(".")
        if isinstance(old, Section) and isinstance(new, Section):
            changed += changed_keys(old, new, key)
        elif old != new:
            changed.append(key)
    return changed
