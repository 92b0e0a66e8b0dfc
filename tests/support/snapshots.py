"""Nodes in every state a page can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from exporter.model import (
    UNALLOCATED,
    UNKNOWN,
    Gpu,
    GpuState,
    Owner,
    Ownership,
    Process,
    Reading,
    Snapshot,
    SourceState,
    Task,
    TaskGpu,
)

NOW = 1753172372.0
"""2025-07-22 08:19:32 UTC."""
GIB = 2**30
HOSTILE = "<script>document.title='owned'</script>"
LONG = "a-name-of-two-hundred-characters-" * 6 + "xx"


def gpu(index: int) -> Gpu:
    uuid = f"{0x52F67B3700DCC6F0 + index:016x}"
    return Gpu(
        index,
        uuid,
        frozenset({uuid}),
        model="AMD Instinct MI300X",
        vram_total_bytes=192 * GIB,
        source="amdsmi",
        library_version="26.0.2",
    )


def task(index: int, username: str, task_type: str = "WEBAPP", hours: float = 3.4) -> Task:
    return Task(
        task_id=f"task-{index}-{username}",
        username=username,
        task_type=task_type,
        gpus=(TaskGpu(gpu(index).uuid, gpu_id=str(24 + index)),),
        start=NOW - hours * 3600,
    )


def state(
    index: int,
    owner: Owner,
    utilization: float | None,
    vram_gib: float | None,
    tasks: Sequence[Task] = (),
    *,
    problem: str | None = None,
    readable: bool = True,
) -> GpuState:
    reading = Reading(
        taken=0.0,
        utilization=utilization,
        vram_used_bytes=None if vram_gib is None else int(vram_gib * GIB),
        power_watts=None if utilization is None else 138 + 590 * utilization,
        temperatures_celsius={} if utilization is None else {"hotspot": 41 + 38 * utilization, "memory": 36.0},
    )
    return GpuState(
        gpu=gpu(index),
        reading=reading if readable else None,
        last_reading=reading,
        health=None,
        counters=None,
        energy_joules=None,
        throttled_seconds={},
        owner=owner,
        accounts=(),
        unbooked_seconds=0.0,
        tasks=tuple(tasks),
        problem=problem,
        idle_seconds=None if utilization is None else 0.0 if utilization >= 0.05 else 2 * 3600.0,
    )


def owned(index: int, username: str, utilization: float | None, vram_gib: float | None, kind: str = "LAB") -> GpuState:
    owner = Owner(username, kind, Ownership.OWNED)
    return state(index, owner, utilization, vram_gib, [task(index, username, kind, 1.7 * (index + 1) ** 2)])


def node(*states: GpuState, **changes: Any) -> Snapshot:
    """A healthy node, but for `changes`, which are fields of Snapshot."""
    healthy = Snapshot(
        hostname="colab-gpu4",
        time=NOW,
        gpus=states,
        devices=SourceState(NOW - 0.4),
        tasks=SourceState(NOW - 12),
    )
    return replace(healthy, **changes)


def shared(index: int, usernames: Sequence[str]) -> GpuState:
    owner = Owner("+".join(usernames), "LAB+WEBAPP", Ownership.SHARED)
    kinds = ("LAB", "WEBAPP")
    tasks = [task(index, name, kinds[place % 2]) for place, name in enumerate(usernames)]
    return state(index, owner, 0.58, 88.4, tasks)


def used_by(one: GpuState, *processes: Process) -> GpuState:
    """The same GPU, and the processes that hold its VRAM."""
    return replace(one, processes=processes)


def served_from(one: GpuState, source: str, stand_in: str) -> GpuState:
    """The same GPU, for which the kernel's files stand in."""
    return replace(one, gpu=replace(one.gpu, source=source, stand_in=stand_in))


HUNG = state(
    6,
    Owner("easycard", "WEBAPP", Ownership.OWNED),
    None,
    None,
    [task(6, "easycard", hours=77)],
    readable=False,
    problem="A read did not come back within 5 s; it is tried again at growing pauses. "
    "If that lasts, look at `dmesg` for amdgpu and reset the GPU.",
)

EIGHT = node(
    used_by(owned(0, "nycubme", 0.974, 168.3, "WEBAPP"), Process(4711, 168 * GIB, "python3", "3f2a9c81d2e4", "root")),
    used_by(
        owned(1, "tku_csie", 0.004, 121.9),
        *(Process(900 + rank, (26 - rank) * GIB, "pt_main_thread", "90ab12cd34ef", "root") for rank in range(6)),
    ),
    shared(2, ["admin", "itrd"]),
    used_by(state(3, UNALLOCATED, 0.0, 0.3)),
    used_by(
        state(4, UNALLOCATED, 0.83, 64.0),
        Process(512, 40 * GIB, "python3", "", "games"),
        Process(513, 20 * GIB, "rocm-bandwidth-t", "", "games"),
        Process(514, 3 * GIB, "", "77f0e1d2c3b4", ""),
    ),
    served_from(state(5, UNKNOWN, 0.42, 30.2), "both", "power watts: amdsmi does not tell it"),
    HUNG,
    served_from(
        owned(7, "王小明", None, None),
        "sysfs",
        "amdsmi: no answer in time (devices.timeout is 5 s), so the driver hangs: see dmesg; "
        "it is left out and tried again with growing pauses",
    ),
)

HOSTILE_NODE = node(
    used_by(owned(0, HOSTILE, 0.5, 20), *(Process(n, 2**30, HOSTILE, LONG, LONG) for n in range(9))),
    owned(1, LONG, 0.5, 20, LONG),
    used_by(state(5, UNALLOCATED, 0.9, 9), Process(1, 2**33, "\u202edcba", "", HOSTILE), Process(2, 2**32)),
    owned(2, "國立陽明交通大學生物醫學工程學系人工智慧實驗室" * 4, 1.3, 200),
    shared(3, [HOSTILE, LONG, "\u202edcba"]),
    state(4, UNALLOCATED, 0, 0, readable=False, problem="x" * 300),
    hostname="a-very-long-host-name-" * 6,
    devices=SourceState(None, problem="<b>bold</b>" * 20),
    tasks=SourceState(NOW - 4000, problem=LONG),
    expected_gpus=8,
    unmatched_gpus=1,
    hostname_mismatches=2,
    malformed_tasks=3,
)

NO_LIBRARY = node(
    devices=SourceState(
        None,
        problem="libamd_smi.so cannot be loaded: install ROCm's amd-smi-lib, or set ROCM_HOME to where it is.",
    ),
    tasks=SourceState(NOW - 912, problem="The consumption API refuses the token (401): it may have expired; renew it."),
    expected_gpus=8,
)


def rack() -> Snapshot:
    """64 GPUs."""
    patterns = EIGHT.gpus
    return node(*(_moved(patterns[index % 8], index) for index in range(64)))


def _moved(pattern: GpuState, index: int) -> GpuState:
    reading = pattern.reading
    return state(
        index,
        pattern.owner,
        reading.utilization if reading else None,
        reading.vram_used_bytes / GIB if reading and reading.vram_used_bytes is not None else None,
        [task(index, held.username, held.task_type, index + 1) for held in pattern.tasks],
        readable=reading is not None,
        problem=pattern.problem,
    )
