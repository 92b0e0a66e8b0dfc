"""The prompt: what `exporter --help` and a press of Tab cost, beside the interpreter with click alone."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from statistics import median

from benchmarks.figures import Figure

_TURNS = 15
PROGRAM = [sys.executable, "-c", "from exporter.cli import main; main()"]
_FLOOR = [sys.executable, "-c", "import click"]
_TAB = {"_EXPORTER_COMPLETE": "bash_complete", "COMP_WORDS": "exporter report --for", "COMP_CWORD": "2"}
_WAYS: dict[str, tuple[Sequence[str], Mapping[str, str]]] = {
    "exporter --help": ([*PROGRAM, "--help"], {}),
    "exporter report --help": ([*PROGRAM, "report", "--help"], {}),
    "exporter report --for, Tab": (PROGRAM, _TAB),
}


async def figures() -> AsyncIterator[Figure]:
    """The whole section, in seconds."""
    for what, (command, environment) in _WAYS.items():
        turns = [(cpu_seconds_of(command, environment), cpu_seconds_of(_FLOOR, {})) for _ in range(_TURNS)]
        ours, floor = (median(turn) for turn in zip(*turns, strict=True))
        beside = f"import click {floor * 1e3:.0f} ms, × {ours / floor:.1f}"
        yield Figure("at the prompt", f"{what}: CPU", f"{ours * 1e3:.0f} ms", "≤ 100 ms", beside)


def cpu_seconds_of(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Runs a command, and returns what it cost."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=os.environ | environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
