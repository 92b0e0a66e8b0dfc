"""Whose every GPU was in a window: its counters and its holds become parts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from exporter.metering.shares import Key, shares, slices
from exporter.model import Amounts, Hold, Owner, Ownership, Task
from exporter.names import natural
from exporter.ownership import Holdings, ownership
from exporter.report.accounting.usage import Part, check_conservation
from exporter.report.observed import Cells, Floats, Observed
from exporter.report.window import Window

_LEAST_SECONDS = 0.001
"""Gained by an owner: VictoriaMetrics keeps decimals, so a counter that stands still may differ in its last bits."""


@dataclass(frozen=True, slots=True)
class GpuAccount:
    """One GPU of the report, and all of its window in parts."""

    hostname: str
    index: int | None
    uuid: str | None
    gpu_id: str | None
    model: str | None
    card: str | None
    cells: Cells | None
    parts: tuple[Part, ...]
    holds: tuple[Hold, ...]
    """The tasks that named it, as the API gave them."""


def accounts(
    window: Window,
    observed: Iterable[Observed],
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
    """
    named = _named(tasks)
    found = [
        _account(window, gpu, holdings, _number(named.pop(gpu.uuid, ())) or gpu_ids.get(gpu.uuid)) for gpu in observed
    ]
    found += [_unobserved(window, uuid, holdings, naming) for uuid, naming in named.items()]
    return sorted(found, key=place)


def inventory_gap(
    window: Window, found: Sequence[GpuAccount], nodes: Mapping[str, int], *, answered: bool
) -> tuple[list[GpuAccount], dict[str, int]]:
    """The GPUs that the inventory lists and nobody ever saw, and how many were seen where that is more than listed.

    Args:
        window: The stretch of time.
        found: The GPUs that were seen or named.
        nodes: GPUs by hostname (`report.nodes`).
        answered: Whether the API said who held what; what it does not name is then nobody's, else unknown.
    """
    missing: list[GpuAccount] = []
    surplus: dict[str, int] = {}
    kind = ownership(() if answered else None)
    part = Part(None, *Owner.of(None, kind), None, window.seconds, Amounts(), None)
    for hostname, listed in nodes.items():
        seen = sum(account.hostname == hostname for account in found)
        if seen > listed:
            surplus[hostname] = seen
        empty = GpuAccount(hostname, None, None, None, None, None, None, (part,), ())
        missing += [empty] * max(0, listed - seen)
    return missing, surplus


def _named(tasks: Iterable[Task]) -> dict[str, list[tuple[Task, str, str]]]:
    """By unique id: the tasks that name a GPU, with the id and the model they give it."""
    named: dict[str, list[tuple[Task, str, str]]] = {}
    for task in tasks:
        for gpu in task.gpus:
            named.setdefault(gpu.uuid, []).append((task, gpu.gpu_id, gpu.model))
    return named


def _number(naming: Iterable[tuple[Task, str, str]]) -> str | None:
    return next((gpu_id for _, gpu_id, _ in naming if gpu_id), None)


def _account(window: Window, gpu: Observed, holdings: Holdings | None, gpu_id: str | None) -> GpuAccount:
    accrued = gpu.at(window.end).minus(gpu.at(window.start))
    if holdings is None:
        holds: tuple[Hold, ...] = ()
        parts = _parts_by_label(gpu.cells, gpu.owners, window.seconds, accrued)
    else:
        holds = holdings.holds({gpu.uuid})
        parts = _parts(gpu.cells, gpu.at, holds, window)
    check_conservation(parts, window.seconds, accrued, where=f"GPU {gpu.uuid} of {gpu.hostname}")
    return GpuAccount(gpu.hostname, gpu.index, gpu.uuid, gpu_id, gpu.model, gpu.card, gpu.cells, tuple(parts), holds)


def _unobserved(
    window: Window, uuid: str, holdings: Holdings | None, naming: list[tuple[Task, str, str]]
) -> GpuAccount:
    task, _, model = naming[-1]
    holds = holdings.holds({uuid}) if holdings else ()
    parts = _parts(None, lambda _: Amounts(), holds, window)
    return GpuAccount(task.hostname, None, uuid, _number(naming), model or None, None, None, tuple(parts), holds)


def _parts(cells: Cells | None, at: Callable[[float], Amounts], holds: Sequence[Hold], window: Window) -> list[Part]:
    held = _held(holds, window)
    return [
        Part(
            cells,
            *share.owner,
            share.task,
            share.seconds,
            share.amounts,
            held[share.task.key if share.task else None, share.ownership],
        )
        for share in shares(at, holds, window.start, window.end)
    ]


def _held(holds: Sequence[Hold], window: Window) -> dict[tuple[Key | None, Ownership], Floats]:
    """GPU-seconds in each ten-minute cell, by task and kind of ownership."""
    edges = np.array(window.edges)
    held: dict[tuple[Key | None, Ownership], Floats] = {}
    for piece in slices(holds, window.start, window.end):
        overlap = np.clip(np.minimum(piece.end, edges[1:]) - np.maximum(piece.start, edges[:-1]), 0, None)
        for task in piece.holders:
            key = (task.key if task else None, piece.ownership)
            held[key] = held.get(key, 0) + overlap / len(piece.holders)
    return held


def _parts_by_label(cells: Cells, owners: Mapping[Owner, Amounts], seconds: float, accrued: Amounts) -> list[Part]:
    """What the owner series gained; the rest is unknown.

    Held back at their birth, they may gain in the window what was observed shortly before it: where they
    claim more than the GPU accrued, each gets its proportion. An owner whose series only stood still had no part.
    """
    owners = {owner: amounts for owner, amounts in owners.items() if amounts.observed_seconds > _LEAST_SECONDS}
    claimed = Amounts()
    for amounts in owners.values():
        claimed = claimed.plus(amounts)
    claimed = claimed._replace(idle_vram_held_seconds=0.0)
    scale = [min(1.0, whole / part) if part > 0 else 0.0 for part, whole in zip(claimed, accrued, strict=True)]
    rest, rest_seconds, parts = accrued, seconds, []
    for owner, amounts in sorted(owners.items()):
        mine = Amounts(*(amount * factor for amount, factor in zip(amounts, scale, strict=True)))
        rest, rest_seconds = rest.minus(mine), rest_seconds - mine.observed_seconds
        parts.append(Part(cells, *owner, None, mine.observed_seconds, mine, None))
    parts.append(Part(cells, "", "", Ownership.UNKNOWN, None, rest_seconds, rest, None))
    return parts


def place(account: GpuAccount) -> tuple[Any, ...]:
    """What the report's GPUs are in order of: hostname, then index; those nobody ever saw are their host's last."""
    index = float("inf") if account.index is None else account.index
    return natural(account.hostname), index, account.uuid is None, natural(account.gpu_id or ""), account.uuid or ""
