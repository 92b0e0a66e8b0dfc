"""What other processes cost, as the kernel counts it; proc(5)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory in MiB."""

    rss: float
    pss: float
    """Each shared page divided among those who share it."""


def cpu_seconds(pid: int) -> float:
    """Of all its threads, to the nanosecond; a thread counts when it is next put to sleep."""
    return sum(int(_words(file)[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def family_cpu_seconds(pid: int) -> float:
    """Of it, its children, and those that it has outlived (they to 10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    outlived = (int(fields[13]) + int(fields[14])) / _TICKS_PER_SECOND
    return outlived + sum(map(cpu_seconds, (pid, *children(pid))))


def children(pid: int) -> list[int]:
    """The processes that it started and has not reaped."""
    return [int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in _words(file)]


def memory(pid: int) -> Memory:
    """Of one process."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    kib = dict(re.findall(r"^(\w+): +(\d+) kB", text, re.MULTILINE))
    return Memory(int(kib["Rss"]) / 1024, int(kib["Pss"]) / 1024)


def _words(file: Path) -> list[str]:
    return file.read_text(encoding="ascii").split()
