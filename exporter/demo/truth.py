"""What a report of simulated nodes must say, from the closed forms of their load.

Written without the project's own accounting, which it is there to check: time is cut wherever any task of a GPU
starts or ends, and each piece is divided by the number of tasks that hold it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from exporter.devices.simulated import SimulatedGpus
from exporter.model import Amounts, Gpu, Task


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
    """As if always observed."""


def shares(
    nodes: Mapping[str, SimulatedGpus],
    tasks: Sequence[Task],
    start: float,
    end: float,
    *,
    idle_threshold: float = 0.05,
    vram_held: float = 2**30,
) -> Iterator[Share]:
    """Every GPU's time in [start, end), divided among the tasks that hold it.

    Args:
        nodes: by hostname.
        tasks: all that overlap the window, and any others.
        start: Unix seconds.
        end: Unix seconds.
        idle_threshold: utilization below which a GPU is idle.
        vram_held: bytes used above which an idle GPU holds VRAM.
    """
    for hostname, hardware in nodes.items():
        for gpu in hardware.gpus:
            on_gpu = [task for task in tasks if any(task_gpu.uuid == gpu.uuid for task_gpu in task.gpus)]
            cuts = {time for task in on_gpu for time in (task.start, task.end) if start < time < end}
            for began, ended in pairwise(sorted({start, end} | cuts)):
                amounts = hardware.truth(gpu.index, began, ended, idle_threshold, vram_held)
                holders: list[Task | None] = [task for task in on_gpu if task.start <= began and task.end >= ended]
                users = frozenset(task.username for task in holders if task)
                part = 1 / max(1, len(holders))
                for task in holders or [None]:
                    yield Share(hostname, gpu, began, ended, task, users, (ended - began) * part, amounts.times(part))
