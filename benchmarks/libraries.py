"""What a node costs by the source of its readings: AMD's real libraries over made-up files, so no driver's own time."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks import floor
from benchmarks.figures import Figure
from benchmarks.procfs import children, cpu_seconds, family_cpu_seconds, memory
from tests.libraries.machine import Machine
from tests.libraries.made_up_sys import Node
from tests.libraries.serving import serving
from tests.libraries.suites import SUITES, Suite, bindings_version
from tests.libraries.watching import all_up, node
from tests.support.debian import UnavailableError

_SECONDS = 60
"""Measured; one sweep of eight GPUs in each, and one of them compares what is read cheaply with amdsmi's answer."""
_WARM_UP_SECONDS = 5
_REVISION = {"trixie": "1.5", "unstable": "1.8"}
"""Of gpu_metrics: the newest that both this library and the kernel's decoder read alike."""

_FLOORS = {"amdsmi": "calls", "sysfs": "files", "auto": "files"}
"""What of `benchmarks.floor` each source comes down to."""


async def figures() -> AsyncIterator[Figure]:
    """The whole section, in about eight minutes once the libraries are unpacked."""
    for suite in SUITES:
        for source in ("amdsmi", "sysfs", "auto"):
            try:
                yield await _measured(suite, source)
            except UnavailableError as error:
                yield Figure(f"{suite.name}, {source}", "not measured", str(error))


async def _measured(suite: Suite, source: str) -> Figure:
    made_up: Node = node(_REVISION[suite.name])
    root = suite.root()
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(root, made_up, Path(folder))
        async with serving(machine, {"devices": {"source": source, "interval": "1s"}}) as running:
            await running.shows(all_up)
            await asyncio.sleep(_WARM_UP_SECONDS)
            pid = running.process.pid
            began, service, family = time.monotonic(), cpu_seconds(pid), family_cpu_seconds(pid)
            bare = await floor.measure(machine.python("-m", "benchmarks.floor", str(_SECONDS), _FLOORS[source]))
            seconds = time.monotonic() - began
            ours, all_ = (cpu_seconds(pid) - service) / seconds, (family_cpu_seconds(pid) - family) / seconds
            resident = " + ".join(f"{memory(one).rss:.1f}" for one in (pid, *children(pid)))
    return Figure(
        f"{suite.name} (amdsmi {bindings_version(root)}), devices.source: {source}",
        "8 GPUs each 1 s: CPU of service + worker; RSS",
        f"{ours:.2%} + {all_ - ours:.2%} = {all_:.2%} of a core, {(all_ - ours) * 1e3:.1f} ms of the worker a sweep; "
        f"{resident} MiB",
        "≤ 0.35 %",
        f"the {_FLOORS[source]} and nothing else {bare:.2%}",
    )
