"""What a benchmark found, and the table of it."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.table import table


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table, in words and units for people."""

    setting: str
    """Under which conditions."""
    what: str
    measured: str
    aim: str = ""
    """Empty where there is none."""
    beside: str = ""
    """What the same costs without us, in the same run, and how often that goes into ours."""


def as_table(figures: Sequence[Figure]) -> str:
    """All figures, one line each."""
    rows = [(figure.setting, figure.what, figure.measured, figure.aim, figure.beside) for figure in figures]
    return table(("setting", "figure", "measured", "aim", "beside"), rows)


def machine() -> str:
    """Where it was measured, and how busy that was: load averages of 1, 5 and 15 minutes."""
    load = " ".join(f"{average:.2f}" for average in os.getloadavg())
    return f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
