"""What is known of every GPU now: rows of what Prometheus answered. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from exporter.live.idleness import UNTOLD, Idleness
from exporter.model import Ownership
from exporter.names import natural
from exporter.standing import Standing, left_idle, standing


@dataclass(frozen=True, slots=True)
class TaskNow:
    """A task that runs on a GPU."""

    task_id: str
    username: str
    task_type: str
    start: float | None
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class GpuNow:
    """One GPU."""

    hostname: str
    gpu: str
    """Its index on the node."""
    gpu_uuid: str
    gpu_id: str = ""
    """The cluster's number for it; empty where no task tells."""
    ownership: Ownership = Ownership.UNKNOWN
    usernames: tuple[str, ...] = ()
    task_types: tuple[str, ...] = ()
    tasks: tuple[TaskNow, ...] = ()
    utilization: float | None = None
    """0 to 1."""
    vram_used_bytes: float | None = None
    vram_total_bytes: float | None = None
    power_watts: float | None = None
    is_readable: bool = False
    reports: bool = True
    idleness: Idleness = UNTOLD
    """For how long its holders have left it idle; of one that nobody holds, for how long it has been."""
    instance: str = ""
    """The address that Prometheus asks its exporter at, as its label says."""
    last_seen: float | None = None
    """Of one that does not report: Unix seconds, to five minutes."""

    @property
    def standing(self) -> Standing:
        """Where it stands."""
        if not self.reports:
            return Standing.SILENT
        return standing(
            self.ownership,
            utilization=self.utilization,
            idle_seconds=self.idleness.seconds,
            is_readable=self.is_readable,
        )

    @property
    def since(self) -> float | None:
        """When the first of its tasks started, in Unix seconds."""
        return min((task.start for task in self.tasks if task.start is not None), default=None)

    @property
    def vram_ratio(self) -> float | None:
        """The share of its VRAM in use, 0 to 1."""
        used, total = self.vram_used_bytes, self.vram_total_bytes
        return used / total if used is not None and total else None

    @property
    def order(self) -> tuple[object, ...]:
        """Where it comes among others: by host, then by index."""
        return natural(self.hostname), natural(self.gpu), self.gpu_uuid


@dataclass(frozen=True, slots=True)
class Cluster:
    """All GPUs at one instant."""

    time: float
    """Unix seconds."""
    gpus: tuple[GpuNow, ...]
    """By host and index."""
    scraped_at: float | None
    """Of the newest sample."""
    remarks: tuple[str, ...] = field(default=())
    """What Prometheus said beside its answers."""

    def counts(self) -> dict[Standing, int]:
        """Returns how many GPUs stand how."""
        found = Counter(gpu.standing for gpu in self.gpus)
        return {kind: found[kind] for kind in Standing}


Sample = tuple[Mapping[str, str], float]
"""Labels, and a value."""
_ByMetric = defaultdict[str, list[Sample]]


def gpus_now(samples: Iterable[Sample], known: Iterable[Mapping[str, str]] = ()) -> list[GpuNow]:
    """Returns the GPUs that samples tell of, and those known before that they no longer tell of.

    A GPU whose place on its node another one has taken, or that is elsewhere now, is no longer missed.

    Args:
        samples: The newest of each series of `queries.GAUGES`; several of one GPU are replicas of a scrape.
        known: Label sets of `amdgpu_up`.
    """
    by_gpu: defaultdict[str, _ByMetric] = defaultdict(lambda: defaultdict(list))
    for labels, value in samples:
        by_gpu[labels["gpu_uuid"]][labels["__name__"]].append((labels, value))
    found = [_gpu(uuid, of_gpu) for uuid, of_gpu in by_gpu.items()]
    taken = {(gpu.hostname, gpu.gpu) for gpu in found}
    missed = {
        labels["gpu_uuid"]: GpuNow(labels["hostname"], labels["gpu"], labels["gpu_uuid"], reports=False)
        for labels in known
        if labels["gpu_uuid"] not in by_gpu and (labels["hostname"], labels["gpu"]) not in taken
    }
    return sorted([*found, *missed.values()], key=lambda gpu: gpu.order)


def with_histories(
    gpus: Iterable[GpuNow], idle: Mapping[str, Idleness], last_seen: Mapping[str, float], now: float
) -> tuple[GpuNow, ...]:
    """Returns the GPUs with what their history says, by unique id, as of some time in Unix seconds."""
    return tuple(
        replace(
            gpu,
            idleness=_left_idle(gpu, idle.get(gpu.gpu_uuid, UNTOLD), now),
            last_seen=last_seen.get(gpu.gpu_uuid),
        )
        for gpu in gpus
    )


def _left_idle(gpu: GpuNow, idle: Idleness, now: float) -> Idleness:
    """Returns for how long its holders left a GPU idle; nobody can say that where it is not known who they are."""
    if not gpu.is_readable or gpu.ownership is Ownership.UNKNOWN:
        return UNTOLD
    seconds = left_idle(idle.seconds, None if gpu.since is None else now - gpu.since)
    return Idleness(seconds, may_be_longer=idle.may_be_longer and seconds == idle.seconds)


def _gpu(uuid: str, by_metric: _ByMetric) -> GpuNow:
    for replicas in by_metric.values():
        if len(replicas) > 1:
            replicas.sort(key=lambda sample: sorted(sample[0].items()))
    place = (by_metric["amdgpu_up"] or next(iter(by_metric.values())))[0][0]
    gauges = by_metric["amdgpu_utilization_ratio"] or by_metric["amdgpu_vram_used_bytes"]
    tasks = _tasks(by_metric)
    ownership = _ownership(gauges)
    is_held = ownership in {Ownership.OWNED, Ownership.SHARED} or (not gauges and tasks)
    return GpuNow(
        hostname=place["hostname"],
        gpu=place["gpu"],
        gpu_uuid=uuid,
        instance=place.get("instance", ""),
        gpu_id=next((labels["gpu_id"] for labels, _ in by_metric["amdgpu_task_info"] if labels.get("gpu_id")), ""),
        ownership=ownership,
        usernames=_told("username", tasks, gauges) if is_held else (),
        task_types=_told("task_type", tasks, gauges) if is_held else (),
        tasks=tasks,
        utilization=_value(by_metric["amdgpu_utilization_ratio"]),
        vram_used_bytes=_value(by_metric["amdgpu_vram_used_bytes"]),
        vram_total_bytes=_value(by_metric["amdgpu_vram_total_bytes"]),
        power_watts=_value(by_metric["amdgpu_power_watts"]),
        is_readable=any(value == 1 for _, value in by_metric["amdgpu_up"]),
    )


def _tasks(by_metric: _ByMetric) -> tuple[TaskNow, ...]:
    starts = {labels.get("task_id"): value for labels, value in by_metric["amdgpu_task_start_timestamp_seconds"]}
    ended = {labels.get("task_id", "") for labels, _ in by_metric["amdgpu_task_end_timestamp_seconds"]}
    told = {labels.get("task_id", ""): labels for labels, _ in by_metric["amdgpu_task_info"]}
    running = {task_id: labels for task_id, labels in told.items() if task_id not in ended}
    return tuple(
        TaskNow(task_id, labels.get("username", ""), labels.get("task_type", ""), starts.get(task_id))
        for task_id, labels in sorted(running.items())
    )


def _ownership(gauges: Sequence[Sample]) -> Ownership:
    try:
        return Ownership(gauges[0][0].get("ownership", ""))
    except (IndexError, ValueError):
        return Ownership.UNKNOWN


def _told(label: str, tasks: Sequence[TaskNow], gauges: Sequence[Sample]) -> tuple[str, ...]:
    """Returns names: of the tasks, or where there are none as gauges join them."""
    names = {getattr(task, label) for task in tasks} or {gauges[0][0].get(label, "")}
    return tuple(sorted(names - {""}))


def _value(samples: Sequence[Sample]) -> float | None:
    return samples[-1][1] if samples else None
