"""A cluster to try things on: simulated nodes, and tasks of users that fit what their GPUs do.

Among them stand the cases that administrators want found: a notebook forgotten with its VRAM held, a GPU reserved
and never used, one that is busy and nobody's, GPUs shared by two users, and tasks too short to be seen by a refresh.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from uuid import UUID

from exporter.devices.simulated import Kind, Phase, SimulatedGpus, Workload
from exporter.devices.simulated.chance import fraction, number
from exporter.model import Task, TaskGpu

USERS = ("nycubme", "itrd", "tku_csie", "easycard", "admin", "陳怡君")

_PROJECTS = ("research", "teaching")
"""That each user has."""

_IMAGES = {
    "TRAIN": "registry.example/pytorch:2.6-rocm6.3",
    "WEBAPP": "registry.example/ollama:0.6.2-rocm",
    "LAB": "registry.example/jupyterlab:4.3-rocm6.3",
    "BATCH": "registry.example/llama-eval:1.4",
}

_Use = tuple[int, int, str, str]
"""Start and end in Unix seconds, user name, task type."""


class Cluster:
    """Nodes colab-gpu1, colab-gpu2 …, and the tasks on them: a pure function of the arguments and Unix time.

    Args:
        nodes: how many.
        gpus_per_node: how many each has.
        seed: another seed, other GPUs and another history.
        pace: how many times faster than life tasks follow each other.
    """

    def __init__(self, nodes: int = 4, gpus_per_node: int = 8, seed: int = 0, pace: float = 1.0) -> None:
        self.nodes: dict[str, SimulatedGpus] = {
            f"colab-gpu{n + 1}": SimulatedGpus(Workload(number(seed, "node", n), gpus_per_node, pace))
            for n in range(nodes)
        }
        self._arguments = (nodes, gpus_per_node, seed, pace)
        self._first_ids = {hostname: n * gpus_per_node for n, hostname in enumerate(self.nodes)}
        self._tasks_of = lru_cache(maxsize=4096)(self._assign)

    def __reduce__(self) -> tuple[type[Cluster], tuple[int, int, int, float]]:
        """Other processes make it anew from its arguments."""
        return Cluster, self._arguments

    def gpu_id(self, hostname: str, index: int) -> str:
        """Returns the cluster-wide number of a GPU."""
        return str(self._first_ids[hostname] + index)

    def tasks(self, start: float, end: float) -> tuple[Task, ...]:
        """Returns all tasks that overlap [start, end), by start; each has the end it will have, however late."""
        tasks = [
            task
            for hostname, hardware in self.nodes.items()
            for phase in hardware.workload.phases(start, end)
            for task in self._tasks_of(hostname, phase)
            if task.start < end and task.end > start
        ]
        return tuple(sorted(tasks, key=lambda task: (task.start, task.task_id)))

    def projects(self) -> dict[str, str]:
        """Returns the names of all projects that tasks belong to, by UUID."""
        return {
            _project(username, nth): f"{username} {name}" for username in USERS for nth, name in enumerate(_PROJECTS)
        }

    def task_gpu(self, hostname: str, index: int) -> TaskGpu:
        """Returns a GPU as the tasks that hold it name it."""
        gpu = self.nodes[hostname].gpus[index]
        memory_mib = gpu.vram_total_bytes // 2**20 if gpu.vram_total_bytes else None
        return TaskGpu(gpu.uuid, self.gpu_id(hostname, index), gpu.model, memory_mib)

    def _assign(self, hostname: str, phase: Phase) -> tuple[Task, ...]:
        """Returns the tasks that hold a phase's GPUs, within it."""
        key = number(hostname, self.nodes[hostname].workload.seed, phase.start, phase.gpus[0])
        gpus = tuple(self.task_gpu(hostname, index) for index in phase.gpus)
        return tuple(
            Task(
                task_id=_uuid(key, "task", n),
                username=username,
                task_type=task_type,
                gpus=gpus,
                start=start,
                end=end,
                hostname=hostname,
                project_uuid=_project(username, key % len(_PROJECTS)),
                image=_IMAGES[task_type],
            )
            for n, (start, end, username, task_type) in enumerate(_uses(phase, key))
        )


def _uses(phase: Phase, key: int) -> Iterator[_Use]:
    """Returns who uses a phase's GPUs, and when; which exception it is follows from its number among its kind."""
    start, end = phase.start, phase.end
    first = number(key, "user") % len(USERS)
    user, other = USERS[first], USERS[(first + 1 + number(key, "other") % (len(USERS) - 1)) % len(USERS)]
    alone = (end - start) // 5
    match phase.kind:
        case Kind.TRAINING if phase.nth % 6 == 1:
            return  # Busy, and nobody's.
        case Kind.TRAINING:
            yield start, end, user, "TRAIN"
        case Kind.INFERENCE if phase.nth % 3 == 0:
            yield start, end - alone, user, "WEBAPP"
            yield start + alone, end, other, "WEBAPP"
        case Kind.INFERENCE if phase.nth % 3 == 1:
            # One user's two tasks: held twice, yet not shared.
            yield start, end - alone, user, "WEBAPP"
            yield start + alone, end, user, "WEBAPP"
        case Kind.INFERENCE:
            yield start, end, user, "WEBAPP"
        case Kind.NOTEBOOK | Kind.FORGOTTEN:
            yield start, end, user, "LAB"
        case Kind.IDLE if phase.nth % 3 == 0:
            yield start, end, user, "LAB"  # Reserved, and never used.
        case Kind.IDLE:
            return
        case Kind.JOBS:
            yield from _queue(start, end, key)


def _queue(start: int, end: int, key: int) -> Iterator[_Use]:
    """Yields tasks of seconds to minutes, back to back."""
    while start < end:
        stop = min(end, start + 15 + int(600 * fraction(key, "job", start) ** 2))
        yield start, stop, USERS[number(key, "user", start) % len(USERS)], "BATCH"
        start = stop


def _project(username: str, nth: int) -> str:
    return _uuid(number(username), "project", nth)


def _uuid(key: int, what: str, n: int) -> str:
    return str(UUID(int=number(key, what, n) << 64 | number(key, what, n, "low"), version=4))
