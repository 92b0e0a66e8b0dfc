"""What a report of simulated nodes must say, from the closed forms of their load.

Written without the project's own accounting, which it is there to check: time is cut wherever any task of a GPU
starts or ends, and each piece is divided by the number of tasks that hold it. What of it a history with faults can
show follows from its schedule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from exporter.demo.schedule import Schedule, Stretch
from exporter.devices.simulated import SimulatedGpus
from exporter.model import Amounts, Gpu, Task

MAX_GAP_SECONDS = 45
"""Readings further apart do not join: three times the interval at which the history reads."""


class Share(NamedTuple):
    """A piece of one GPU's time in which nobody starts or ends, or one task's part of it."""

    hostname: str
    gpu: Gpu
    start: float
    end: float
    task: Task | None
    """None where no task holds the GPU."""
    users: frozenset[str]
    """All who hold the GPU in this piece."""
    seconds: float
    """This share's part of `end - start`."""
    amounts: Amounts
    """What was observed of it."""


def observed(schedule: Schedule, gpu: int) -> list[Stretch]:
    """When a GPU was observed, as far as scrapes can show it.

    In each run of the exporter readings join each other from the first on, and count up to the last one that was
    scraped: what the counters grew after that is lost with the run.
    """
    stretches: list[Stretch] = []
    for born, died in schedule.lives():
        scraped = [at for at in range(born, died) if schedule.is_scraped(at) and schedule.is_reachable(at)]
        for reading in schedule.readings(born, max(scraped) + 1) if scraped else ():
            if not schedule.is_readable(gpu, reading):
                continue
            if stretches and stretches[-1][0] >= born and reading - stretches[-1][1] <= MAX_GAP_SECONDS:
                stretches[-1] = stretches[-1][0], reading
            else:
                stretches.append((reading, reading))
    return stretches


def shares(
    nodes: Mapping[str, SimulatedGpus],
    tasks: Sequence[Task],
    start: float,
    end: float,
    *,
    seen: Mapping[str, Sequence[Stretch]] | None = None,
    idle_threshold: float = 0.05,
    vram_held: float = 2**30,
) -> Iterator[Share]:
    """Every GPU's time in [start, end), divided among the tasks that hold it.

    Args:
        nodes: by hostname.
        tasks: all that overlap the window, and any others.
        start: Unix seconds.
        end: Unix seconds.
        seen: by unique id, when each GPU was observed; None: always.
        idle_threshold: utilization below which a GPU is idle.
        vram_held: bytes used above which an idle GPU holds VRAM.
    """
    for hostname, hardware in nodes.items():
        for gpu in hardware.gpus:
            on_gpu = [task for task in tasks if any(task_gpu.uuid == gpu.uuid for task_gpu in task.gpus)]
            cuts = {time for task in on_gpu for time in (task.start, task.end) if start < time < end}
            for began, ended in pairwise(sorted({start, end} | cuts)):
                stretches = seen[gpu.uuid] if seen is not None else [(began, ended)]
                amounts = _accrued(hardware, gpu.index, (began, ended), stretches, (idle_threshold, vram_held))
                holders: list[Task | None] = [task for task in on_gpu if task.start <= began and task.end >= ended]
                users = frozenset(task.username for task in holders if task)
                part = 1 / max(1, len(holders))
                for task in holders or [None]:
                    yield Share(hostname, gpu, began, ended, task, users, (ended - began) * part, amounts.times(part))


def _accrued(
    hardware: SimulatedGpus, gpu: int, piece: Stretch, seen: Sequence[Stretch], limits: tuple[float, float]
) -> Amounts:
    """What accrues while a GPU is observed; energy also in between, spread evenly as nobody knows when."""
    total = Amounts()
    for stretch in seen:
        begin, end = _overlap(piece, stretch)
        if begin < end:
            total = total.plus(hardware.truth(gpu, begin, end, *limits))
    for (_, lost), (found, _) in pairwise(seen):
        begin, end = _overlap(piece, (lost, found))
        if begin < end:
            joules = hardware.truth(gpu, lost, found, *limits).energy_joules
            total = total.plus(Amounts(energy_joules=joules * (end - begin) / (found - lost)))
    return total


def _overlap(one: Stretch, other: Stretch) -> Stretch:
    return max(one[0], other[0]), min(one[1], other[1])
