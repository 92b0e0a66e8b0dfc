"""Every metric of a snapshot: its name, labels, meaning and where its values stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from exporter import __version__
from exporter.labels import MAX_SERIES
from exporter.model import GpuState, Health, Reading, Snapshot

DEVICE = ("hostname", "gpu", "gpu_uuid")
OWNER = ("username", "task_type", "ownership")

Labels = tuple[str, ...]
Samples = Iterable[tuple[Labels, float]]
Source = TypeVar("Source", GpuState, Snapshot)

_TYPES: dict[str, type[GaugeMetricFamily | CounterMetricFamily]] = {
    "gauge": GaugeMetricFamily,
    "counter": CounterMetricFamily,
}


@dataclass(frozen=True, slots=True)
class Family(Generic[Source]):
    """One metric; `samples` yields its own labels' values, which follow `DEVICE` where it is a GPU's."""

    name: str
    kind: str
    """gauge, counter or info."""
    labels: Labels
    help: str
    samples: Callable[[Source], Samples]
    basis: Callable[[Source], tuple[object, ...]] | None = None
    """All objects that a GPU's series are made of, if these stay the same for several scrapes."""

    @property
    def scraped_as(self) -> str:
        """The name of its samples."""
        return f"{self.name}_total" if self.kind == "counter" else self.name

    def objects(self, source: Source) -> tuple[object, ...] | None:
        """Returns what `basis` does; None without."""
        return self.basis(source) if self.basis else None

    def metric(self, names: Labels, series: Samples) -> Metric:
        """Builds it with these label names and samples."""
        if self.kind == "info":
            info = InfoMetricFamily(self.name.removesuffix("_info"), self.help)
            for values, _ in series:
                info.add_metric((), dict(zip(names, values, strict=True)))
            return info
        family = _TYPES[self.kind](self.name, self.help, labels=names)
        for values, value in series:
            family.add_metric(values, value)
        return family


def _gauge(name: str, help_: str, field: str) -> Family[GpuState]:
    """A field of the reading, absent where it is."""

    def samples(state: GpuState) -> Samples:
        if (value := getattr(state.reading, field, None)) is not None:
            yield (), value

    return Family(name, "gauge", (), help_, samples)


def _owned_gauge(name: str, help_: str, field: str) -> Family[GpuState]:
    """The same with the owner as of the last good refresh."""

    def samples(state: GpuState) -> Samples:
        if (value := getattr(state.reading, field, None)) is not None:
            yield state.owner, value

    return Family(name, "gauge", OWNER, help_, samples)


def _by(
    name: str,
    kind: str,
    label: str,
    help_: str,
    values: Callable[[GpuState], Mapping[str, float]],
    *,
    basis: Callable[[GpuState], tuple[object, ...]] | None = None,
) -> Family[GpuState]:
    """One series for each key of a mapping."""

    def samples(state: GpuState) -> Samples:
        return (((key,), value) for key, value in values(state).items())

    return Family(name, kind, (label,), help_, samples, basis)


def _counter(name: str, help_: str, field: str) -> Family[GpuState]:
    """A device counter; it has no owner and so goes on across owners."""

    def samples(state: GpuState) -> Samples:
        if state.counters is not None:
            yield (), getattr(state.counters, field)

    return Family(name, "counter", (), help_, samples)


def _owner_counter(name: str, help_: str, field: str) -> Family[GpuState]:
    """A counter of what is booked, by user and task type."""

    def samples(state: GpuState) -> Samples:
        return ((owner, getattr(amounts, field)) for owner, amounts in state.accounts)

    return Family(name, "counter", OWNER, help_, samples, _accounts)


def _accounts(state: GpuState) -> tuple[object, ...]:
    return (state.gpu, state.accounts)


def _gpu(state: GpuState) -> tuple[object, ...]:
    return (state.gpu,)


def _health(state: GpuState) -> tuple[object, ...]:
    return (state.gpu, state.health)


def _gpu_and_tasks(state: GpuState) -> tuple[object, ...]:
    return (state.gpu, *state.tasks)


def _identity(state: GpuState) -> Samples:
    gpu = state.gpu
    yield (
        (
            gpu.model,
            gpu.bdf,
            gpu.card,
            gpu.driver_version,
            gpu.vbios_version,
            gpu.compute_partition,
            gpu.memory_partition,
        ),
        1.0,
    )


def _task_info(state: GpuState) -> Samples:
    found: dict[Labels, float] = {}  # an id that is used twice at once is one series
    for task in (*state.tasks, *state.ended_tasks):
        gpu_id = next((gpu.gpu_id for gpu in task.gpus if gpu.uuid in state.gpu.aliases), "")
        found[task.task_id, task.username, task.task_type, task.project_uuid, task.image, gpu_id] = 1.0
    return found.items()


def _task_starts(state: GpuState) -> Samples:
    return {(task.task_id,): task.start for task in (*state.tasks, *state.ended_tasks)}.items()


def _task_ends(state: GpuState) -> Samples:
    return (((task.task_id,), task.end) for task in state.ended_tasks)


def _aliases(state: GpuState) -> Samples:
    for alias in sorted(state.gpu.aliases - {state.gpu.uuid}):
        yield (alias,), 1.0


MOST_HOLDERS = 32
"""Series of a GPU's processes; what is beyond is summed as `other`."""
_OTHER = ("other", "other")


def _holders(state: GpuState) -> Samples:
    """VRAM by container and user, most first; a process has no series of its own, as process ids are without end."""
    held: dict[Labels, int] = {}
    for process in state.processes or ():
        holder = (process.container, process.user)
        held[holder] = held.get(holder, 0) + process.vram_used_bytes
    ranked = sorted(held.items(), key=lambda item: (-item[1], item[0]))
    if len(ranked) > MOST_HOLDERS:
        rest = sum(vram for _, vram in ranked[MOST_HOLDERS - 1 :])
        ranked = [*ranked[: MOST_HOLDERS - 1], (_OTHER, rest)]
    return ranked


def _device_source(snapshot: Snapshot) -> Samples:
    sources = {state.gpu.source for state in snapshot.gpus if state.gpu.source}
    if sources:
        version = max(state.gpu.library_version for state in snapshot.gpus)
        yield (sources.pop() if len(sources) == 1 else "both", version), 1.0


def _optional(value: float | None) -> Samples:
    if value is not None:
        yield (), value


_NO_READING = Reading(taken=0.0)
_NO_HEALTH = Health()


GPU_FAMILIES: tuple[Family[GpuState], ...] = (
    Family(
        "amdgpu_info",
        "info",
        (
            "model",
            "bdf",
            "card",
            "driver_version",
            "vbios_version",
            "compute_partition",
            "memory_partition",
        ),
        "Identity of the GPU.",
        _identity,
        _gpu,
    ),
    Family(
        "amdgpu_alias_info",
        "info",
        ("alias",),
        "Another unique id that the GPU goes by, as those of its partitions: a task may name it by any of them.",
        _aliases,
        _gpu,
    ),
    Family(
        "amdgpu_up",
        "gauge",
        (),
        "1 while the GPU's last reading is fresh, else 0.",
        lambda state: [((), float(state.reading is not None))],
    ),
    _owned_gauge(
        "amdgpu_utilization_ratio",
        "Graphics activity, 0 to 1 (gpu_metrics average_gfx_activity; on a partitioned GPU the mean of its XCCs).",
        "utilization",
    ),
    _owned_gauge("amdgpu_vram_used_bytes", "VRAM in use.", "vram_used_bytes"),
    Family(
        "amdgpu_vram_total_bytes",
        "gauge",
        (),
        "VRAM of the GPU.",
        lambda state: _optional(state.gpu.vram_total_bytes),
        _gpu,
    ),
    _gauge(
        "amdgpu_memory_controller_utilization_ratio",
        "Memory controller activity, 0 to 1 (gpu_metrics average_umc_activity).",
        "memory_controller_utilization",
    ),
    _gauge("amdgpu_power_watts", "Power of the socket (gpu_metrics current_socket_power).", "power_watts"),
    _by(
        "amdgpu_temperature_celsius",
        "gauge",
        "sensor",
        "Temperature by sensor: hotspot, memory, vrsoc.",
        lambda state: (state.reading or _NO_READING).temperatures_celsius,
    ),
    _by(
        "amdgpu_clock_hertz",
        "gauge",
        "clock",
        "Clock frequency: gfx (mean of the XCCs), memory.",
        lambda state: (state.reading or _NO_READING).clocks_hertz,
    ),
    _counter("amdgpu_observed_seconds", "Time covered by readings.", "observed_seconds"),
    _counter("amdgpu_busy_seconds", "Integral of utilization over observed time, in GPU-seconds.", "busy_seconds"),
    _counter(
        "amdgpu_idle_seconds",
        "Observed time with utilization below metering.idle_threshold, whoever owns the GPU.",
        "idle_seconds",
    ),
    _counter(
        "amdgpu_idle_vram_held_seconds",
        "Idle time with more VRAM in use than metering.vram_held.",
        "idle_vram_held_seconds",
    ),
    _counter(
        "amdgpu_vram_used_byte_seconds",
        "Integral of VRAM in use over observed time, in byte-seconds.",
        "vram_used_byte_seconds",
    ),
    Family(
        "amdgpu_energy_joules",
        "counter",
        (),
        "Energy as the hardware counts it (gpu_metrics energy_accumulator), unobserved time included.",
        lambda state: _optional(state.energy_joules),
    ),
    _by(
        "amdgpu_ecc_errors",
        "counter",
        "severity",
        "ECC errors by severity: correctable, uncorrectable, deferred.",
        lambda state: (state.health or _NO_HEALTH).ecc_errors,
        basis=_health,
    ),
    _by(
        "amdgpu_throttled_seconds",
        "counter",
        "reason",
        "Time throttled by reason: prochot, ppt, socket_thermal, vr_thermal, hbm_thermal.",
        lambda state: state.throttled_seconds,
    ),
    Family(
        "amdgpu_retired_pages",
        "gauge",
        (),
        "VRAM pages retired for errors.",
        lambda state: _optional((state.health or _NO_HEALTH).retired_pages),
        _health,
    ),
    Family(
        "amdgpu_pcie_replays",
        "counter",
        (),
        "PCIe packets sent again (gpu_metrics pcie_replay_count_acc).",
        lambda state: _optional((state.last_reading or _NO_READING).pcie_replays),
    ),
    _by(
        "amdgpu_xgmi_read_bytes",
        "counter",
        "link",
        "Bytes read over each XGMI link.",
        lambda state: (state.last_reading or _NO_READING).xgmi_read_bytes,
    ),
    _by(
        "amdgpu_xgmi_written_bytes",
        "counter",
        "link",
        "Bytes written over each XGMI link.",
        lambda state: (state.last_reading or _NO_READING).xgmi_written_bytes,
    ),
    Family(
        "amdgpu_processes",
        "gauge",
        (),
        "Processes that hold VRAM of the GPU, as the kernel (KFD) tells.",
        lambda state: [] if state.processes is None else [((), float(len(state.processes)))],
    ),
    Family(
        "amdgpu_process_vram_used_bytes",
        "gauge",
        ("container", "user"),
        "VRAM that processes hold, by container (12 digits of its id, or the Slurm job) and user of the node; empty "
        f"where not told. The {MOST_HOLDERS - 1} that hold most, the rest as other.",
        _holders,
        lambda state: (state.gpu, state.processes),
    ),
    _owner_counter("amdgpu_owner_seconds", "Observed time booked to an owner.", "observed_seconds"),
    _owner_counter("amdgpu_owner_busy_seconds", "Integral of utilization booked to an owner.", "busy_seconds"),
    _owner_counter("amdgpu_owner_idle_seconds", "Idle time booked to an owner.", "idle_seconds"),
    _owner_counter(
        "amdgpu_owner_vram_used_byte_seconds",
        "Integral of VRAM in use booked to an owner, in byte-seconds.",
        "vram_used_byte_seconds",
    ),
    Family(
        "amdgpu_owner_energy_joules",
        "counter",
        OWNER,
        "Energy booked to an owner.",
        lambda state: (
            ((owner, amounts.energy_joules) for owner, amounts in state.accounts)
            if state.energy_joules is not None
            else ()
        ),
        lambda state: (state.gpu, state.accounts if state.energy_joules is not None else None),
    ),
    Family(
        "amdgpu_task_info",
        "info",
        ("task_id", "username", "task_type", "project_uuid", "image", "gpu_id"),
        "A task that runs on the GPU, or ended within the last hour: then it has an end below. gpu_id is the "
        "cluster-wide number of the consumption API.",
        _task_info,
        _gpu_and_tasks,
    ),
    Family(
        "amdgpu_task_start_timestamp_seconds",
        "gauge",
        ("task_id",),
        "Unix time at which the task started.",
        _task_starts,
        _gpu_and_tasks,
    ),
    Family(
        "amdgpu_task_end_timestamp_seconds",
        "gauge",
        ("task_id",),
        "Unix time at which the task ended, for an hour after; none of a task whose id runs again. A GPU has "
        f"{MAX_SERIES} tasks at most: all that run, then those that ended last.",
        _task_ends,
    ),
    Family(
        "amdgpu_exporter_unbooked_seconds",
        "gauge",
        (),
        "Observed time that no owner's series shows yet; all owners' there ever were and this sum to "
        "amdgpu_observed_seconds_total.",
        lambda state: [((), state.unbooked_seconds)] if state.counters is not None else [],
    ),
)

NODE_FAMILIES: tuple[Family[Snapshot], ...] = (
    Family(
        "amdgpu_exporter_build_info",
        "info",
        ("version",),
        "Version of the exporter.",
        lambda _: [((__version__,), 1.0)],
    ),
    Family(
        "amdgpu_exporter_device_source_info",
        "info",
        ("source", "library_version"),
        "Where readings come from: amdsmi, sysfs (the kernel's files), both, or simulated; and amdsmi's version.",
        _device_source,
    ),
    Family(
        "amdgpu_exporter_expected_gpus",
        "gauge",
        (),
        "GPUs that this node should have (devices.expected), where configured.",
        lambda snapshot: _optional(snapshot.expected_gpus),
    ),
    Family(
        "amdgpu_exporter_devices_last_success_timestamp_seconds",
        "gauge",
        (),
        "Unix time of the last reading of any GPU.",
        lambda snapshot: _optional(snapshot.devices.last_success),
    ),
    Family(
        "amdgpu_exporter_tasks_last_success_timestamp_seconds",
        "gauge",
        (),
        "Unix time of the last good answer of the consumption API.",
        lambda snapshot: _optional(snapshot.tasks.last_success),
    ),
    Family(
        "amdgpu_exporter_unmatched_gpus",
        "gauge",
        (),
        "GPUs that running tasks of this hostname name and this node does not have.",
        lambda snapshot: [((), float(snapshot.unmatched_gpus))],
    ),
    Family(
        "amdgpu_exporter_hostname_mismatches",
        "gauge",
        (),
        "Running tasks on GPUs of this node that bear another hostname.",
        lambda snapshot: [((), float(snapshot.hostname_mismatches))],
    ),
    Family(
        "amdgpu_exporter_malformed_tasks",
        "gauge",
        (),
        "Entries of the last good answer that could not be accounted.",
        lambda snapshot: [((), float(snapshot.malformed_tasks))],
    ),
    Family(
        "amdgpu_exporter_unlisted_owners",
        "gauge",
        (),
        f"Owners of this node's GPUs beyond the {MAX_SERIES} series a GPU has by owner: summed as username other.",
        lambda snapshot: [((), float(snapshot.unlisted_owners))],
    ),
    Family(
        "amdgpu_exporter_unlisted_tasks",
        "gauge",
        (),
        f"Running tasks beyond the {MAX_SERIES} that a GPU has series of.",
        lambda snapshot: [((), float(snapshot.unlisted_tasks))],
    ),
    Family(
        "amdgpu_exporter_api_clock_offset_seconds",
        "gauge",
        (),
        "The consumption API's clock (Date) less this node's; 0 where a second's rounding and the request explain it.",
        lambda snapshot: _optional(snapshot.api_clock_offset),
    ),
)


@dataclass(frozen=True, slots=True)
class Shown(Generic[Source]):
    """A family as one snapshot has it; without series it is not shown."""

    family: Family[Source]
    names: Labels
    """Of all its labels."""
    hostname: str
    sources: Sequence[tuple[Labels, Source]]
    """Each with the labels that tell which GPU it is."""
    is_shown_empty: bool = False

    @property
    def name(self) -> str:
        """The family's."""
        return self.family.name

    @property
    def basis(self) -> list[object] | None:
        """All objects that the series are made of, where these stay the same for several scrapes."""
        told: list[tuple[object, ...] | None] = [self.family.objects(source) for _, source in self.sources]
        known: list[tuple[object, ...]] = [objects for objects in told if objects is not None]
        return [self.hostname, *chain.from_iterable(known)] if known else None

    def series(self) -> list[tuple[Labels, float]]:
        """Returns the values of the labels, and the series' own."""
        samples = self.family.samples
        return [(device + labels, value) for device, source in self.sources for labels, value in samples(source)]

    def metric(self, series: Samples) -> Metric:
        """Returns the family with these of its series."""
        return self.family.metric(self.names, series)


def shown(snapshot: Snapshot) -> Iterator[Shown[GpuState] | Shown[Snapshot]]:
    """Yields every family of one snapshot."""
    devices = [((snapshot.hostname, str(state.gpu.index), state.gpu.uuid), state) for state in snapshot.gpus]
    for of_gpus in GPU_FAMILIES:
        yield Shown(of_gpus, DEVICE + of_gpus.labels, snapshot.hostname, devices)
    for of_node in NODE_FAMILIES:
        yield Shown(of_node, of_node.labels, snapshot.hostname, [((), snapshot)])
