"""One GPU on the page: whose it is, who runs on it, what it does and where that is known from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from exporter.model import GpuState, Ownership, Process
from exporter.origins import origin
from exporter.speech import ABSENT, Speech
from exporter.standing import Standing, left_idle, standing

_GIB: Final = 2**30
_SPACE: Final = "\N{NO-BREAK SPACE}"
_MOST_PROCESSES: Final = 4
"""Told one by one; what more there are in sum."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A share, drawn and in words."""

    label: str
    text: str
    share: float | None
    """0 to 1; None where absent."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds VRAM, or in sum several."""

    name: str
    """Its command."""
    whose: str
    """User and container, as far as they are known."""
    vram: str


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU."""

    index: int
    gpu_ids: str
    """The cluster's numbers for it; empty where no task tells."""
    model: str
    standing: Standing
    owners: tuple[str, ...]
    """Usernames; empty where it is nobody's or that is unknown."""
    ownerless: str
    """What stands in place of usernames."""
    detail: str
    """Type and age of the tasks; empty without."""
    unbooked: tuple[str, ...]
    """Who runs on a GPU that is busy and nobody's."""
    holders: tuple[Holder, ...] | None
    """The processes that hold VRAM, most first; None where the kernel does not tell."""
    origin: str
    """What its figures come from; empty without figures."""
    readable: bool
    """Whether there are bars and facts to show."""
    bars: tuple[Bar, Bar]
    facts: tuple[tuple[str, str], ...]
    problem: str | None
    """In English, as logs have it."""


def card(state: GpuState, now: float, words: Speech) -> Card:
    """Returns what the page shows of one GPU.

    Args:
        state: The GPU.
        now: Unix seconds, by the API's clock.
        words: The language.
    """
    _ = words.gettext
    where = _standing(state, now)
    reading = state.reading
    utilization = reading.utilization if reading else None
    used = reading.vram_used_bytes if reading else None
    total = state.gpu.vram_total_bytes
    temperatures = reading.temperatures_celsius if reading else {}
    nobody = state.owner.ownership is Ownership.UNALLOCATED
    return Card(
        index=state.gpu.index,
        gpu_ids=_gpu_ids(state, words),
        model=state.gpu.model or _("unknown model"),
        standing=where,
        owners=_owners(state),
        ownerless=_("held by nobody") if nobody else _("owner unknown"),
        detail=_detail(state, now, words),
        unbooked=_users(state) if where is Standing.UNCLAIMED else (),
        holders=None if state.processes is None else _holders(state.processes, words),
        origin=_("from {source}").format(source=origin(state.gpu, _)) if reading and state.gpu.source else "",
        readable=reading is not None,
        bars=(
            Bar(_("Utilization"), _percent(utilization, words), utilization),
            Bar(_("VRAM"), _part_of_bytes(used, total, words), used / total if used is not None and total else None),
        ),
        facts=(
            (_("Socket power"), _quantity(reading.power_watts if reading else None, "W", words)),
            (_("Hotspot"), _quantity(temperatures.get("hotspot"), "°C", words)),
            (words.pgettext("temperature", "Memory"), _quantity(temperatures.get("memory"), "°C", words)),
        ),
        problem=state.problem,
    )


def _owners(state: GpuState) -> tuple[str, ...]:
    if state.owner.ownership not in {Ownership.OWNED, Ownership.SHARED}:
        return ()
    return tuple(sorted({task.username for task in state.tasks})) or (state.owner.username,)


def _standing(state: GpuState, now: float) -> Standing:
    reading = state.reading
    return standing(
        state.owner.ownership,
        utilization=reading.utilization if reading else None,
        idle_seconds=left_idle(state.idle_seconds, _held(state, now)),
        is_readable=reading is not None,
    )


def _held(state: GpuState, now: float) -> float | None:
    """Returns for how many seconds the first of its tasks has held a GPU; None without tasks."""
    return max(0.0, now - min(task.start for task in state.tasks)) if state.tasks else None


def _detail(state: GpuState, now: float, words: Speech) -> str:
    if not _owners(state) or not state.tasks:
        return ""
    sharing = words.gettext("shared") if state.owner.ownership is Ownership.SHARED else ""
    types = " + ".join(sorted({task.task_type for task in state.tasks} - {""}))
    held = _held(state, now)
    since = words.gettext("for {duration}").format(duration=words.duration(held or 0.0))
    idle = ""
    if _standing(state, now) is Standing.HELD_IDLE and (seconds := left_idle(state.idle_seconds, held)) is not None:
        idle = words.gettext("idle for {duration}").format(duration=words.duration(seconds))
    return " · ".join(part for part in (sharing, types, since, idle) if part)


def _gpu_ids(state: GpuState, words: Speech) -> str:
    names = state.gpu.aliases | {state.gpu.uuid}
    return words.listed(sorted({gpu.gpu_id for task in state.tasks for gpu in task.gpus if gpu.uuid in names} - {""}))


def _users(state: GpuState) -> tuple[str, ...]:
    """Returns whose processes hold VRAM, each once; who holds most comes first."""
    whose = (_whose(process) for process in state.processes or ())
    return tuple(dict.fromkeys(name for name in whose if name))


def _holders(processes: Sequence[Process], words: Speech) -> tuple[Holder, ...]:
    told, others = processes[:_MOST_PROCESSES], processes[_MOST_PROCESSES:]
    holders = [
        Holder(
            process.command or words.gettext("process {pid}").format(pid=process.pid),
            _whose(process),
            words.gibibytes(process.vram_used_bytes),
        )
        for process in told
    ]
    if others:
        more = words.ngettext("{count} more", "{count} more", len(others)).format(count=len(others))
        holders.append(Holder(more, "", words.gibibytes(sum(process.vram_used_bytes for process in others))))
    return tuple(holders)


def _whose(process: Process) -> str:
    """Returns `games (3f2a9c81d2e4)`, as far as either is known."""
    if process.user and process.container:
        return f"{process.user} ({process.container})"
    return process.user or process.container


def _percent(ratio: float | None, words: Speech) -> str:
    """Returns `93%`, and below ten `4.2%`."""
    return words.percent(ratio, 1 if ratio and ratio < 0.0995 else 0)


def _part_of_bytes(used: int | None, total: int | None, words: Speech) -> str:
    """Returns `12.5 of 192 GiB`, as far as either is known."""
    if total is None:
        return words.gibibytes(used)
    known = ABSENT if used is None else words.number(used / _GIB, 1)
    whole = words.number(total / _GIB, 1 if total % _GIB else 0)
    return words.gettext("{used} of {total} GiB").format(used=known, total=whole)


def _quantity(value: float | None, unit: str, words: Speech) -> str:
    """Returns `642 W`."""
    return ABSENT if value is None else f"{words.number(value, 0)}{_SPACE}{unit}"
