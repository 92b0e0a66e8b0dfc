"""A node whose load and tasks are written down, as its real exporter would have shown it to Prometheus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from exporter.demo.cluster import Cluster
from exporter.demo.history import history
from exporter.demo.remote_write import Column
from exporter.demo.schedule import NO_FAULTS, READ_SECONDS, Faults
from exporter.devices.simulated import SimulatedGpus, Workload
from exporter.devices.simulated.curve import Curve, Load
from exporter.devices.simulated.workload import EPOCH
from exporter.model import Amounts, Task, TaskGpu
from tests.support.cases import HOUR, Case, hour
from tests.support.scenario import ASKED_FOR

HOSTNAME = "colab-gpu1"
_VRAM_USED = 2.0**36

Loads = Sequence[tuple[float, float]]
"""Hours of the first day, ascending, and the utilization from then on; it changes in the time of one reading."""


class _Written(Workload):
    def __init__(self, loads: Sequence[Loads]) -> None:
        super().__init__(seed=7, gpus=len(loads))
        self._curves = [Curve(_knots(each)) for each in loads]

    def load(self, index: int, time: float) -> Load:
        return self._curves[index].at(time - EPOCH)

    def amounts(self, index: int, start: float, end: float, idle_threshold: float, vram_held: float) -> Amounts:
        return self._curves[index].amounts(start - EPOCH, end - EPOCH, idle_threshold, vram_held)


class _Node(Cluster):
    def __init__(self, loads: Sequence[Loads], tasks: Sequence[Task]) -> None:
        super().__init__(nodes=0)
        self.nodes = {HOSTNAME: SimulatedGpus(_Written(loads))}
        self._tasks = tasks

    def tasks(self, start: float, end: float) -> tuple[Task, ...]:
        return tuple(task for task in self._tasks if task.start < end and task.end > start)


@dataclass(frozen=True, slots=True)
class Script:
    """What happened on a node.

    Args:
        loads: Of each GPU.
        held: User, first hour, last hour and indices of the GPUs, of each task.
        faults: What went wrong.
        start: Hours of the first day; the exporter starts then.
        end: Of the last scrape.
    """

    loads: Sequence[Loads]
    held: Sequence[tuple[str, float, float] | tuple[str, float, float, Sequence[int]]]
    faults: Faults = NO_FAULTS
    start: float = -4.0
    end: float = 26.0

    @property
    def tasks(self) -> list[Task]:
        gpus = SimulatedGpus(_Written(self.loads)).gpus
        return [
            Task(
                f"{user}-{start:g}",
                user,
                "LAB",
                tuple(TaskGpu(gpus[index].uuid, str(index)) for index in (which[0] if which else (0,))),
                hour(start),
                hour(end),
                HOSTNAME,
            )
            for user, start, end, *which in self.held
        ]

    def lived(self, scrape_seconds: int = 30) -> Case:
        """What was scraped of it, and what the API says of it later."""
        tasks = self.tasks
        cluster, first, last = _Node(self.loads, tasks), int(hour(self.start)), int(hour(self.end))
        columns: list[Column] = history(
            cluster, HOSTNAME, first, last, scrape_seconds=scrape_seconds, faults=self.faults, only=ASKED_FOR
        )
        return Case(columns, tasks)

    def all_busy_hours(self, start: float = 0.0, end: float = 24.0) -> float:
        """The truth: the busy hours of all GPUs, whoever had them."""
        hardware = SimulatedGpus(_Written(self.loads))
        return (
            sum(hardware.truth(n, hour(start), hour(end), 0.05, 2**30).busy_seconds for n in range(len(self.loads)))
            / HOUR
        )

    def busy_hours(self, user: str, start: float = 0.0, end: float = 24.0) -> float:
        """The truth: a user's shares of the busy hours, as the load and the tasks say."""
        hardware, total = SimulatedGpus(_Written(self.loads)), 0.0
        for gpu in hardware.gpus:
            on_gpu = [task for task in self.tasks if any(one.uuid == gpu.uuid for one in task.gpus)]
            cuts = {min(max(edge, hour(start)), hour(end)) for task in on_gpu for edge in (task.start, task.end)}
            edges = sorted(cuts)
            for begin, finish in pairwise(edges):
                there = [task for task in on_gpu if task.start <= begin and task.end >= finish]
                mine = sum(task.username == user for task in there)
                if mine:
                    total += hardware.truth(gpu.index, begin, finish, 0.05, 2**30).busy_seconds * mine / len(there)
        return total / HOUR


def _knots(loads: Loads) -> list[tuple[float, float, float]]:
    """From a day before the first day's midnight to three after it."""
    before = loads[0][1]
    knots = [(hour(-48) - EPOCH, before, _VRAM_USED)]
    for hours, utilization in loads[1:]:
        began = hour(hours) - EPOCH
        knots += [(began, before, _VRAM_USED), (began + READ_SECONDS, utilization, _VRAM_USED)]
        before = utilization
    return [*knots, (hour(96) - EPOCH, before, _VRAM_USED)]


def unscraped(*stretches: tuple[float, float]) -> Faults:
    """No scrapes between these hours of the first day, while the exporter goes on."""
    return replace(NO_FAULTS, unscraped=[(HOSTNAME, (hour(start), hour(end))) for start, end in stretches])
