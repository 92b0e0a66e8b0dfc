"""Whose every GPU was in a window: its counters and its holds become parts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from types import MappingProxyType
from typing import Any

import numpy as np

from exporter.metering.shares import Key, shares, slices
from exporter.model import Amounts, Hold, Owner, Ownership, Task, TaskGpu
from exporter.names import natural
from exporter.ownership import Holdings, ownership
from exporter.report.accounting.checks import check_conservation, possible
from exporter.report.accounting.usage import Part, ReportGpu, Stretch
from exporter.report.bounds import bounded
from exporter.report.observed import IDLE_VRAM_HELD, OBSERVED, ObservedGpu
from exporter.report.window import Window

_LEAST_SECONDS = 0.001
"""Gained by an owner: VictoriaMetrics keeps decimals, so a counter that stands still may differ in its last bits."""


@dataclass(frozen=True, slots=True)
class GpuAccount:
    """One GPU of the report, and all of its window in parts."""

    gpu: ReportGpu
    parts: tuple[Part, ...]
    holds: tuple[Hold, ...]
    """The tasks that named it, as the API gave them."""


def accounts(
    window: Window,
    observed: Iterable[ObservedGpu],
    holdings: Holdings | None,
    tasks: Sequence[Task],
    gpu_ids: Mapping[str, str] = MappingProxyType({}),
) -> list[GpuAccount]:
    """Accounts every GPU that was observed or that a task names.

    Args:
        window: The stretch of time.
        observed: What the history knows, one entry a GPU.
        holdings: Who held what, from the API; None: only labels can tell.
        tasks: All tasks of that answer.
        gpu_ids: The cluster-wide numbers of GPUs that none of these tasks names.

    Returns:
        By hostname, then index.

    Raises:
        ConservationError: The parts of a GPU do not make up its whole.
        ImpossibleError: The history tells of more than a GPU can do.
    """
    naming = _tasks_by_gpu(tasks)
    found = [_account(window, gpu, holdings, naming.pop(gpu.uuid, ()), gpu_ids) for gpu in observed]
    found += [_unobserved(window, uuid, holdings, those) for uuid, those in naming.items()]
    parts = iter(possible([part for account in found for part in account.parts]))
    found = [replace(account, parts=tuple(islice(parts, len(account.parts)))) for account in found]
    return sorted(found, key=place)


def inventory_gap(
    window: Window, found: Sequence[GpuAccount], nodes: Mapping[str, int], *, answered: bool
) -> tuple[list[GpuAccount], dict[str, int]]:
    """Returns the GPUs listed that nobody ever saw, and how many were seen where that is more than listed.

    Args:
        window: The stretch of time.
        found: The GPUs that were seen or named.
        nodes: GPUs by hostname (`report.nodes`).
        answered: Whether the API said who held what; what it does not name is then nobody's, else unknown.
    """
    missing: list[GpuAccount] = []
    surplus: dict[str, int] = {}
    kind = ownership(() if answered else None)
    for hostname, listed in nodes.items():
        seen = sum(account.gpu.hostname == hostname for account in found)
        if seen > listed:
            surplus[hostname] = seen
        for _ in range(listed - seen):
            gpu = ReportGpu(hostname, None, None, None, None, None, None)
            part = Part(gpu, *Owner.of(None, kind), None, window.seconds, Amounts(), None)
            missing.append(GpuAccount(gpu, (part,), ()))
    return missing, surplus


def _tasks_by_gpu(tasks: Iterable[Task]) -> dict[str, list[tuple[Task, TaskGpu]]]:
    """Returns, by unique id, the tasks that name a GPU, and how each describes it."""
    naming: dict[str, list[tuple[Task, TaskGpu]]] = {}
    for task in tasks:
        for gpu in task.gpus:
            naming.setdefault(gpu.uuid, []).append((task, gpu))
    return naming


def _account(
    window: Window,
    observed: ObservedGpu,
    holdings: Holdings | None,
    naming: Iterable[tuple[Task, TaskGpu]],
    gpu_ids: Mapping[str, str],
) -> GpuAccount:
    gpu = ReportGpu(
        hostname=observed.hostname,
        index=observed.index,
        uuid=observed.uuid,
        gpu_id=_number(naming) or gpu_ids.get(observed.uuid),
        model=observed.model,
        card=observed.card,
        cells=observed.cells,
        places=observed.places,
    )
    accrued = observed.at(window.end).minus(observed.at(window.start))
    if holdings is None:
        holds: tuple[Hold, ...] = ()
        parts = _parts_by_label(gpu, observed.owners, window.seconds, accrued)
    else:
        holds = holdings.holds({observed.uuid})
        parts = _parts(gpu, observed.at, holds, window)
    check_conservation(parts, window.seconds, accrued, where=gpu.name)
    return GpuAccount(gpu, tuple(parts), holds)


def _unobserved(
    window: Window, uuid: str, holdings: Holdings | None, naming: Sequence[tuple[Task, TaskGpu]]
) -> GpuAccount:
    task, described = naming[-1]
    gpu = ReportGpu(task.hostname, None, uuid, _number(naming), described.model or None, None, None)
    holds = holdings.holds({uuid}) if holdings else ()
    return GpuAccount(gpu, tuple(_parts(gpu, lambda _: Amounts(), holds, window)), holds)


def _number(naming: Iterable[tuple[Task, TaskGpu]]) -> str | None:
    return next((described.gpu_id for _, described in naming if described.gpu_id), None)


def _parts(gpu: ReportGpu, at: Callable[[float], Amounts], holds: Sequence[Hold], window: Window) -> list[Part]:
    held = _held(holds, window)
    return [
        Part(
            gpu,
            *share.owner,
            share.task,
            share.seconds,
            share.amounts,
            held[share.task.key if share.task else None, share.ownership],
        )
        for share in shares(at, holds, window.start, window.end)
    ]


def _held(holds: Sequence[Hold], window: Window) -> dict[tuple[Key | None, Ownership], tuple[Stretch, ...]]:
    """Returns when each task held the GPU, by its key and the kind of ownership."""
    held: dict[tuple[Key | None, Ownership], list[Stretch]] = {}
    for piece in slices(holds, window.start, window.end):
        stretch = Stretch(piece.start, piece.end, len(piece.holders))
        for task in piece.holders:
            held.setdefault((task.key if task else None, piece.ownership), []).append(stretch)
    return {key: tuple(each) for key, each in held.items()}


def _parts_by_label(gpu: ReportGpu, owners: Mapping[Owner, Amounts], seconds: float, accrued: Amounts) -> list[Part]:
    """Returns what the owner series gained; the rest is unknown.

    Held back at their birth, they may gain in the window what was observed shortly before it: where they
    claim more than the GPU accrued, each gets its proportion. An owner whose series only stood still had no part.
    """
    claims = sorted((owner, amounts) for owner, amounts in owners.items() if amounts.observed_seconds > _LEAST_SECONDS)
    whole = np.array(accrued)
    claimed = np.array([Amounts(), *(amounts for _, amounts in claims)])
    claimed[:, IDLE_VRAM_HELD] = 0.0
    total = claimed.sum(axis=0)
    mine = claimed * np.minimum(1.0, np.divide(whole, total, out=np.zeros_like(whole), where=total > 0))
    mine[0] = whole - mine.sum(axis=0)
    held = mine[:, OBSERVED].copy()
    held[0] = seconds - held[1:].sum()
    rest, *parts = bounded(mine, held, gpu.cells.vram_total_bytes if gpu.cells else None).tolist()
    return [
        *(
            Part(gpu, *owner, None, amounts[OBSERVED], Amounts(*amounts), None)
            for (owner, _), amounts in zip(claims, parts, strict=True)
        ),
        Part(gpu, "", "", Ownership.UNKNOWN, None, float(held[0]), Amounts(*rest), None),
    ]


def place(account: GpuAccount) -> tuple[Any, ...]:
    """Sorts by hostname, then index; GPUs nobody ever saw are their host's last."""
    gpu = account.gpu
    index = float("inf") if gpu.index is None else gpu.index
    return natural(gpu.hostname), index, gpu.uuid is None, natural(gpu.gpu_id or ""), gpu.uuid or ""
