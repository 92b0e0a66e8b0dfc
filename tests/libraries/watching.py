"""What several tests watch: the usual node, whether its GPUs are up, whether what is served is what was written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.libraries.expected import differences, series
from tests.libraries.machine import Machine
from tests.libraries.made_up_gpu import MadeUpGpu
from tests.libraries.made_up_sys import Node
from tests.libraries.serving import serving
from tests.support.exporter import ExporterProcess, Metrics

GPUS = 8


class Library(NamedTuple):
    """One of AMD's real libraries."""

    suite: str
    root: Path
    version: str
    """As its bindings call themselves: 24.5.2, 27.1.0."""


MachineMaker = Callable[..., Machine]
Recorder = Callable[[str, Metrics, int, int], None]


def node(revision: str = "1.5") -> Node:
    """A node whose files every library can read."""
    return Node([MadeUpGpu.example(index) for index in range(GPUS)], "SPX", revision)


def all_up(metrics: Metrics) -> bool:
    return metrics.values("amdgpu_up") == [1.0] * GPUS


def served_from(metrics: Metrics) -> tuple[str, str]:
    """Returns the labels of amdgpu_exporter_device_source_info: source, and the library's version."""
    (labels,) = metrics.labels("amdgpu_exporter_device_source_info")
    return labels["source"], labels["library_version"]


def by_library(metrics: Metrics) -> bool:
    return served_from(metrics)[0] in {"amdsmi", "both"}


async def settled(running: ExporterProcess) -> Metrics:
    """Waits until the library has begun or the kernel's files stand in for it, and all GPUs are up.

    Before that the kernel's files serve alone, so that a value then would say nothing of the library.
    """
    await running.logged("readings of GPU .* come from")
    return await running.shows(all_up)


async def goes_on(running: ExporterProcess, since: Metrics, *, without: frozenset[int] = frozenset()) -> None:
    """Waits until every GPU, but those, has been observed for some seconds more than in an earlier scrape."""
    gpus = [str(index) for index in range(GPUS) if index not in without]

    def seconds(metrics: Metrics) -> list[float]:
        return [metrics.value("amdgpu_observed_seconds_total", gpu=gpu) or 0.0 for gpu in gpus]

    before = seconds(since)
    await running.shows(lambda metrics: all(now > then + 4 for now, then in zip(seconds(metrics), before, strict=True)))


@contextmanager
def hanging(file: Path) -> Iterator[None]:
    """Whoever opens the file waits until the block is left; then it is there again."""
    content = file.read_bytes()
    fifo = file.with_name(f"{file.name}.hanging")
    os.mkfifo(fifo, 0o444)
    os.link(fifo, held := file.with_name(f"{file.name}.held"))
    fifo.rename(file)
    try:
        yield
    finally:
        again = file.with_name(f"{file.name}.again")
        again.write_bytes(content)
        again.rename(file)
        # Opened for both, as it would wait for a reader itself; those who wait read its end.
        os.close(os.open(held, os.O_RDWR | os.O_NONBLOCK))
        held.unlink()


async def shows_the_files(
    machine: Machine,
    record: Recorder,
    scenario: str,
    environment: Mapping[str, str] | None = None,
    until: Callable[[Metrics], bool] = all_up,
) -> tuple[str, str]:
    """Serves the machine until it has settled, and longer if need be; returns the source and version it told."""
    wanted = series(machine.node)
    async with serving(machine, environment=environment) as running:
        await settled(running)
        shown = await running.shows(until)
        wrong = differences(shown, wanted)
        record(scenario, shown, len(wanted), len(wrong))
        assert not wrong
        return served_from(shown)
