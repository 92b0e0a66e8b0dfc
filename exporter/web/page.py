"""The page for people: one node's GPUs, who has them, and how fresh that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from time import monotonic
from typing import Final
from zoneinfo import ZoneInfo

from exporter import __version__
from exporter.config import Config
from exporter.grafana import dashboard
from exporter.model import Snapshot, SourceState
from exporter.origins import stand_ins
from exporter.pages import Page as Shared
from exporter.pages import environment
from exporter.speech import Speech
from exporter.standing import Standing
from exporter.web.card import card

REFRESH_SECONDS: Final = 15
_LIFETIME_SECONDS: Final = 1.0

_SHARED: Final = Shared(((__package__ or "", "page.css"),), ((__package__ or "", "clock.js"),))
_TEMPLATE: Final = environment(__package__).get_template("page.html")

CONTENT_SECURITY_POLICY: Final = f"{_SHARED.policy}; frame-ancestors 'none'"
"""Nothing but the page's own style sheet, its one script and its icon: no request elsewhere."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is around the node."""

    zone: tzinfo = UTC
    """By whose clock the page tells times where no script makes that the reader's."""
    portal: str | None = None
    """The address of the cluster's pages; None: unknown."""
    grafana: str | None = None

    @classmethod
    def of(cls, settings: Config) -> Surroundings:
        """Returns what the config tells."""
        return cls(ZoneInfo(settings.report.timezone), settings.portal.url, settings.portal.grafana_url)


@dataclass(frozen=True, slots=True)
class Source:
    """The freshness of one source."""

    name: str
    text: str
    problem: str | None
    """In English, as logs have it."""
    stand_ins: tuple[tuple[str, str], ...] = ()
    """Which GPUs something else stands in for it on; and why, in English."""


class Page:
    """Renders the page once a second in each language, however many browsers ask.

    Args:
        snapshot: Returns the node as it is now.
        around: What is around it; may be replaced.
        monotonic: CLOCK_MONOTONIC.
    """

    def __init__(
        self, snapshot: Callable[[], Snapshot], around: Surroundings, monotonic: Callable[[], float] = monotonic
    ) -> None:
        self._snapshot = snapshot
        self.around = around
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
        body = render(self._snapshot(), words, self.around).encode(errors="replace")
        self._rendered[words.language] = now, body
        return body


def render(snapshot: Snapshot, words: Speech, around: Surroundings) -> str:
    """Returns the page as HTML.

    Args:
        snapshot: The node.
        words: The language.
        around: What is around the node.
    """
    _ = words.gettext
    # Tasks began by the API's clock.
    api_time = snapshot.time + (snapshot.api_clock_offset or 0.0)
    cards = [card(state, api_time, words) for state in snapshot.gpus]
    standings = [card.standing for card in cards]
    return _TEMPLATE.render(
        _=_,
        ngettext=words.ngettext,
        language_tag=words.tag,
        hostname=snapshot.hostname,
        totals=[(kind, standings.count(kind)) for kind in Standing if kind is not Standing.SILENT],
        cards=cards,
        sources=[
            _source(_("GPU readings"), snapshot.devices, snapshot.time, words, tuple(_stand_ins(snapshot, words))),
            _source(_("Task ownership"), snapshot.tasks, snapshot.time, words),
        ],
        notices=list(_notices(snapshot, words)),
        time=_by_offset(snapshot.time, around.zone),
        portal=around.portal,
        grafana=dashboard(around.grafana, "node", words, host=snapshot.hostname),
        version=__version__,
        refresh_seconds=REFRESH_SECONDS,
        style=_SHARED.style,
        script=_SHARED.script,
    )


def _by_offset(seconds: float, zone: tzinfo) -> datetime:
    """Returns Unix seconds in a zone that names itself `UTC+08:00`: its own short name may be that of several."""
    here = datetime.fromtimestamp(seconds, zone)
    return here.replace(tzinfo=timezone(here.utcoffset() or timedelta()))


def _source(
    name: str, state: SourceState, now: float, words: Speech, stand_ins: tuple[tuple[str, str], ...] = ()
) -> Source:
    age = words.gettext("no answer yet") if state.last_success is None else words.ago(now - state.last_success)
    return Source(name, age, state.problem, stand_ins)


def _stand_ins(snapshot: Snapshot, words: Speech) -> Iterator[tuple[str, str]]:
    """Why not all comes through amdsmi, once for all GPUs of which that is true."""
    for reason, indices in stand_ins(state.gpu for state in snapshot.gpus):
        gpus = ", ".join(map(str, indices))
        yield words.gettext("The kernel's files stand in on GPU {gpus}:").format(gpus=gpus), reason


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
