"""The page for people: one node's GPUs, who has them, and how fresh that is."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from importlib import resources
from typing import Final

import jinja2
from markupsafe import Markup

from exporter import __version__
from exporter.model import GpuState, Ownership, Snapshot, SourceState
from exporter.web import words

REFRESH_SECONDS: Final = 15

_TEMPLATES: Final = resources.files(__package__) / "templates"
_STYLE: Final = (_TEMPLATES / "page.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_TEMPLATE: Final = jinja2.Environment(
    autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
).from_string((_TEMPLATES / "page.html").read_text(encoding="utf-8"))

CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing but the page's own style sheet and its icon: no script, no request elsewhere."""


class Standing(Enum):
    """Where a GPU stands, in the words and with the style class of the page; each GPU stands in exactly one."""

    IN_USE = "in use", "busy"
    HELD_IDLE = "held, idle", "idle"
    UNCLAIMED = "busy, no task", "unclaimed"
    FREE = "free", "free"
    UNKNOWN = "owner unknown", "unknown"
    UNREADABLE = "unreadable", "fault"

    def __init__(self, label: str, style: str) -> None:
        self.label = label
        self.style = style

    @classmethod
    def of(cls, state: GpuState, idle_threshold: float) -> Standing:
        """Judges one GPU; a utilization that is absent is neither idle nor busy."""
        if state.reading is None:
            return cls.UNREADABLE
        utilization = state.reading.utilization
        match state.owner.ownership:
            case Ownership.UNKNOWN:
                return cls.UNKNOWN
            case Ownership.UNALLOCATED:
                return cls.UNCLAIMED if utilization is not None and utilization >= idle_threshold else cls.FREE
            case Ownership.OWNED | Ownership.SHARED:
                return cls.HELD_IDLE if utilization is not None and utilization < idle_threshold else cls.IN_USE


@dataclass(frozen=True, slots=True)
class Bar:
    """A share, drawn and in words."""

    label: str
    text: str
    share: float | None
    """0 to 1; None where absent."""


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
    readable: bool
    """Whether there are bars and facts to show."""
    bars: tuple[Bar, Bar]
    facts: tuple[tuple[str, str], ...]
    problem: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """The freshness of one source."""

    name: str
    text: str
    problem: str | None


def render(snapshot: Snapshot, *, idle_threshold: float) -> str:
    """The page as HTML; `idle_threshold` is the utilization, 0 to 1, below which a GPU is idle."""
    cards = [_card(state, snapshot.time, idle_threshold) for state in snapshot.gpus]
    standings = [card.standing for card in cards]
    return _TEMPLATE.render(
        hostname=snapshot.hostname,
        totals=[(standing, standings.count(standing)) for standing in Standing],
        cards=cards,
        sources=[
            _source("GPU readings", snapshot.devices, snapshot.time),
            _source("Task ownership", snapshot.tasks, snapshot.time),
        ],
        notices=list(_notices(snapshot)),
        time=datetime.fromtimestamp(snapshot.time, UTC),
        version=__version__,
        refresh_seconds=REFRESH_SECONDS,
        style=Markup(_STYLE),  # noqa: S704  a file of this package
    )


def _card(state: GpuState, now: float, idle_threshold: float) -> Card:
    reading = state.reading
    utilization = reading.utilization if reading else None
    used = reading.vram_used_bytes if reading else None
    total = state.gpu.vram_total_bytes
    temperatures = reading.temperatures_celsius if reading else {}
    return Card(
        index=state.gpu.index,
        gpu_ids=_gpu_ids(state),
        model=state.gpu.model,
        standing=Standing.of(state, idle_threshold),
        owners=_owners(state),
        ownerless="held by nobody" if state.owner.ownership is Ownership.UNALLOCATED else "owner unknown",
        detail=_detail(state, now),
        readable=reading is not None,
        bars=(
            Bar("Utilization", words.percent(utilization), utilization),
            Bar("VRAM", words.part_of_bytes(used, total), used / total if used is not None and total else None),
        ),
        facts=(
            ("Power", words.quantity(reading.power_watts if reading else None, "W")),
            ("Hotspot", words.quantity(temperatures.get("hotspot"), "°C")),
            ("Memory", words.quantity(temperatures.get("memory"), "°C")),
        ),
        problem=state.problem or (None if reading else "There is no fresh reading."),
    )


def _owners(state: GpuState) -> tuple[str, ...]:
    if state.owner.ownership not in {Ownership.OWNED, Ownership.SHARED}:
        return ()
    return tuple(sorted({task.username for task in state.tasks})) or (state.owner.username,)


def _detail(state: GpuState, now: float) -> str:
    if not _owners(state) or not state.tasks:
        return ""
    sharing = "shared" if state.owner.ownership is Ownership.SHARED else ""
    types = " + ".join(sorted({task.task_type for task in state.tasks} - {""}))
    since = f"for {words.duration(now - min(task.start for task in state.tasks))}"
    return ", ".join(part for part in (sharing, types, since) if part)


def _gpu_ids(state: GpuState) -> str:
    names = state.gpu.aliases | {state.gpu.uuid}
    return ", ".join(sorted({gpu.gpu_id for task in state.tasks for gpu in task.gpus if gpu.uuid in names} - {""}))


def _source(name: str, state: SourceState, now: float) -> Source:
    if state.last_success is None:
        return Source(name, "no answer yet", state.problem)
    age = now - state.last_success
    return Source(name, "just now" if age < 1 else f"{words.duration(age)} ago", state.problem)


def _notices(snapshot: Snapshot) -> Iterator[str]:
    """What is odd on the node as a whole."""
    found = len(snapshot.gpus)
    if snapshot.expected_gpus is not None and found != snapshot.expected_gpus:
        yield f"{words.count(snapshot.expected_gpus, 'GPU')} expected, {found} found."
    if snapshot.unmatched_gpus:
        yield f"Tasks of this node name {words.count(snapshot.unmatched_gpus, 'GPU')} that it does not have."
    if snapshot.hostname_mismatches:
        yield f"{words.count(snapshot.hostname_mismatches, 'task')} on these GPUs named with another host."
    if snapshot.malformed_tasks:
        yield f"{words.count(snapshot.malformed_tasks, 'task')} could not be read in full."
