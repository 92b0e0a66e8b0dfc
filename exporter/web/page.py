"""The page for people: one node's GPUs, who has them, and how fresh that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from time import monotonic
from typing import Final

from exporter import __version__
from exporter.model import GpuState, Ownership, Snapshot, SourceState
from exporter.pages import Style, environment
from exporter.speech import ABSENT, N_, Speech

REFRESH_SECONDS: Final = 15
_LIFETIME_SECONDS: Final = 1.0
_GIB: Final = 2**30
_SPACE: Final = "\N{NO-BREAK SPACE}"

_STYLE: Final = Style(((__package__ or "", "page.css"),))
_TEMPLATE: Final = environment(__package__).get_template("page.html")

CONTENT_SECURITY_POLICY: Final = f"{_STYLE.policy}; frame-ancestors 'none'"
"""Nothing but the page's own style sheet and its icon: no script, no request elsewhere."""


class Standing(Enum):
    """Where a GPU stands, in the words and with the style class of the page; each GPU stands in exactly one."""

    IN_USE = N_("in use"), "busy"
    HELD_IDLE = N_("held, idle"), "idle"
    UNCLAIMED = N_("busy, no task"), "unclaimed"
    FREE = N_("free"), "free"
    UNKNOWN = N_("owner unknown"), "unknown"
    UNREADABLE = N_("unreadable"), "fault"

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
    """In English, as logs have it."""


@dataclass(frozen=True, slots=True)
class Source:
    """The freshness of one source."""

    name: str
    text: str
    problem: str | None
    """In English, as logs have it."""


class Page:
    """Renders the page once a second in each language, however many browsers ask.

    Args:
        snapshot: Returns the node as it is now.
        idle_threshold: The utilization, 0 to 1, below which a GPU is idle.
        monotonic: CLOCK_MONOTONIC.
    """

    def __init__(
        self, snapshot: Callable[[], Snapshot], idle_threshold: float, monotonic: Callable[[], float] = monotonic
    ) -> None:
        self._snapshot = snapshot
        self._idle_threshold = idle_threshold
        self._monotonic = monotonic
        self._rendered: dict[str, tuple[float, bytes]] = {}
        """When, and what, by language."""

    def __call__(self, words: Speech) -> bytes:
        """Returns the page in UTF-8."""
        now = self._monotonic()
        if words.language in self._rendered:
            rendered_at, body = self._rendered[words.language]
            if now - rendered_at < _LIFETIME_SECONDS:
                return body
        body = render(self._snapshot(), words, idle_threshold=self._idle_threshold).encode(errors="replace")
        self._rendered[words.language] = now, body
        return body


def render(snapshot: Snapshot, words: Speech, *, idle_threshold: float) -> str:
    """Returns the page as HTML.

    Args:
        snapshot: The node.
        words: The language.
        idle_threshold: The utilization, 0 to 1, below which a GPU is idle.
    """
    _ = words.gettext
    cards = [_card(state, snapshot.time, words, idle_threshold) for state in snapshot.gpus]
    standings = [card.standing for card in cards]
    return _TEMPLATE.render(
        _=_,
        ngettext=words.ngettext,
        language_tag=words.tag,
        hostname=snapshot.hostname,
        totals=[(standing, standings.count(standing)) for standing in Standing],
        cards=cards,
        sources=[
            _source(_("GPU readings"), snapshot.devices, snapshot.time, words),
            _source(_("Task ownership"), snapshot.tasks, snapshot.time, words),
        ],
        notices=list(_notices(snapshot, words)),
        time=datetime.fromtimestamp(snapshot.time, UTC),
        version=__version__,
        refresh_seconds=REFRESH_SECONDS,
        style=_STYLE.text,
    )


def _card(state: GpuState, now: float, words: Speech, idle_threshold: float) -> Card:
    _ = words.gettext
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
        standing=Standing.of(state, idle_threshold),
        owners=_owners(state),
        ownerless=_("held by nobody") if nobody else _("owner unknown"),
        detail=_detail(state, now, words),
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


def _detail(state: GpuState, now: float, words: Speech) -> str:
    if not _owners(state) or not state.tasks:
        return ""
    sharing = words.gettext("shared") if state.owner.ownership is Ownership.SHARED else ""
    types = " + ".join(sorted({task.task_type for task in state.tasks} - {""}))
    held = words.duration(now - min(task.start for task in state.tasks))
    since = words.gettext("for {duration}").format(duration=held)
    return " · ".join(part for part in (sharing, types, since) if part)


def _gpu_ids(state: GpuState, words: Speech) -> str:
    names = state.gpu.aliases | {state.gpu.uuid}
    return words.listed(sorted({gpu.gpu_id for task in state.tasks for gpu in task.gpus if gpu.uuid in names} - {""}))


def _source(name: str, state: SourceState, now: float, words: Speech) -> Source:
    age = words.gettext("no answer yet") if state.last_success is None else words.ago(now - state.last_success)
    return Source(name, age, state.problem)


def _notices(snapshot: Snapshot, words: Speech) -> Iterator[str]:
    """What is odd on the node as a whole."""
    found, expected = len(snapshot.gpus), snapshot.expected_gpus
    if expected is not None and found != expected:
        expectation = words.ngettext(
            "{count} GPU expected, {found} found.", "{count} GPUs expected, {found} found.", expected
        )
        yield expectation.format(count=expected, found=found)
    if count := snapshot.unmatched_gpus:
        yield words.ngettext(
            "Tasks of this node name {count} GPU that it does not have.",
            "Tasks of this node name {count} GPUs that it does not have.",
            count,
        ).format(count=count)
    if count := snapshot.hostname_mismatches:
        yield words.ngettext(
            "{count} task on these GPUs named with another host.",
            "{count} tasks on these GPUs named with another host.",
            count,
        ).format(count=count)
    if count := snapshot.malformed_tasks:
        yield words.ngettext(
            "{count} task could not be read in full.", "{count} tasks could not be read in full.", count
        ).format(count=count)


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
