"""A row's capacity, and the owned time in it, in parts that add up. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from exporter.report.accounting.figures import FIGURES, Usage
from exporter.report.accounting.rows import UserRow
from exporter.report.accounting.usage import ratio
from exporter.speech import N_


class Kind(Enum):
    """What became of GPU-hours, in the order in which they are drawn; the value is the word for it."""

    ACTIVE = FIGURES["active_gpu_hours"].word
    IDLE = FIGURES["idle_gpu_hours"].word
    IDLE_VRAM_HELD = FIGURES["idle_vram_held_gpu_hours"].word
    IDLE_EMPTY = FIGURES["idle_empty_gpu_hours"].word
    OWNED_UNOBSERVED = FIGURES["owned_unobserved_gpu_hours"].word
    BUSY_UNALLOCATED = FIGURES["unallocated_busy_gpu_hours"].word
    UNALLOCATED = FIGURES["unallocated_gpu_hours"].word
    QUIET = N_("Unallocated, not busy")
    UNKNOWN = FIGURES["unknown_gpu_hours"].word


Parts = dict[Kind, float | None]
"""GPU-hours; None where it cannot be told."""


@dataclass(frozen=True, slots=True)
class Group:
    """The GPU-hours of one user, of all others, or of nobody."""

    username: str | None
    word: str
    """What stands for the name of those who are no single user."""
    parts: Parts
    hours: float
    busy_hours: float | None
    """Of what is owned."""
    efficiency: float | None
    coverage: float | None


def owned(usage: Usage) -> Parts:
    """Returns the owned time in parts; idle time by whether VRAM was held, as far as that is known."""
    idle: Parts = {Kind.IDLE_VRAM_HELD: usage.idle_vram_held_gpu_hours, Kind.IDLE_EMPTY: usage.idle_empty_gpu_hours}
    if usage.idle_vram_held_gpu_hours is None:
        idle = {Kind.IDLE: usage.idle_gpu_hours}
    return {Kind.ACTIVE: usage.active_gpu_hours, **idle, Kind.OWNED_UNOBSERVED: usage.owned_unobserved_gpu_hours}


def nobodys(usage: Usage) -> Parts:
    """Returns what is not owned in parts."""
    if busy := usage.unallocated_busy_gpu_hours:
        free: Parts = {Kind.BUSY_UNALLOCATED: busy, Kind.QUIET: usage.unallocated_gpu_hours - busy}
    else:
        free = {Kind.UNALLOCATED: usage.unallocated_gpu_hours}
    return {**free, Kind.UNKNOWN: usage.unknown_gpu_hours}


def capacity(usage: Usage) -> Parts:
    """Returns all of the capacity in parts."""
    return owned(usage) | nobodys(usage)


def by_user(users: Sequence[UserRow], totals: Usage, most: int) -> list[Group]:
    """Returns a group for each of so many users, one for all others, and one for what nobody held.

    Args:
        users: Those with the most owned time first.
        totals: Of them all, and of nobody.
        most: Users with a group of their own.
    """
    groups = [_shares(row.username, [row.usage]) for row in users[:most]]
    if others := [row.usage for row in users[most:]]:
        groups.append(_shares(None, others))
    parts = nobodys(totals)
    if any(parts.values()):
        hours = totals.capacity_gpu_hours - totals.owned_gpu_hours
        observed = totals.observed_gpu_hours - totals.owned_observed_gpu_hours
        groups.append(Group(None, N_("nobody"), parts, hours, None, None, ratio(observed, hours)))
    return groups


def _shares(username: str | None, usages: Sequence[Usage]) -> Group:
    parts: Parts = {}
    for usage in usages:
        for kind, hours in owned(usage).items():
            parts[kind] = (parts.get(kind) or 0.0) + (hours or 0.0)
    hours = sum(usage.owned_gpu_hours for usage in usages)
    observed = sum(usage.owned_observed_gpu_hours for usage in usages)
    busy = sum(usage.owned_busy_gpu_hours or 0.0 for usage in usages) if observed > 0 else None
    return Group(
        username,
        N_("others"),
        {kind: parts[kind] for kind in Kind if kind in parts},
        hours,
        busy,
        None if busy is None else busy / observed,
        ratio(observed, hours),
    )
