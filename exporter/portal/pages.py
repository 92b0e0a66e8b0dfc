"""The pages as HTML, in the language of who reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from markupsafe import Markup

from exporter import __version__
from exporter.config import Config
from exporter.grafana import dashboard
from exporter.live import text
from exporter.live.cluster import Cluster, GpuNow
from exporter.names import visible
from exporter.pages import Page, environment
from exporter.portal.days import COUNT, StoredDay
from exporter.portal.reports import CALENDAR, Listing
from exporter.portal.views import User, sections, users
from exporter.speech import ABSENT, Speech, languages, speech

_PAGE: Final = Page((("exporter.web", "page.css"), (__package__ or "", "portal.css")))
_ENVIRONMENT: Final = environment(__package__, "exporter.web")
_ENVIRONMENT.finalize = lambda value: visible(value) if type(value) is str else value  # markup is a subclass of it
_REFRESH_SECONDS: Final = 15
_ADDRESS: Final = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\]):\d+", re.ASCII)

POLICY: Final = f"{_PAGE.policy}; frame-ancestors 'none'".replace("form-action 'none'", "form-action 'self'")
"""The pages' own style sheet and icon, and the form that finds a user; no script, no request elsewhere."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a page, and where on the site it lies."""

    words: Speech
    depth: int
    """Folders between the page and the first one."""
    chosen: str | None = None
    """The language that the address asks for, which links keep."""
    name: str | None = None
    """The user that the address asks for, where its path does not."""

    def to(self, path: str, **query: str) -> str:
        """Returns a relative link: a proxy may serve the pages below any path of its own."""
        asked = query | ({"lang": self.chosen} if self.chosen else {})
        return ("../" * self.depth + path or "./") + (f"?{urlencode(asked)}" if asked else "")

    def in_language(self, language: str) -> str:
        """Returns a link to the same page in another language."""
        return f"?{urlencode(({'name': self.name} if self.name else {}) | {'lang': language})}"

    def to_user(self, username: str) -> str:
        """Returns a link to a user's page; of `.` and `..` a browser would make other paths."""
        if username in {".", ".."}:
            return self.to("users/", name=username)
        return self.to(f"users/{quote(username, safe='')}")


@dataclass(frozen=True, slots=True)
class State:
    """How good the answers of Prometheus are."""

    cluster: Cluster | None
    """None if there has been no answer."""
    problem: str | None
    """Why it is not of now, in English."""


_NOTHING: Final = State(None, None)


class Pages:
    """Makes pages.

    Args:
        settings: The config.
        now: Unix seconds.
    """

    def __init__(self, settings: Config, now: Callable[[], float]) -> None:
        self._now = now
        self._zone = ZoneInfo(settings.report.timezone)
        self._grafana = settings.portal.grafana_url
        self._scheme = "https" if settings.listen.tls_cert else "http"
        self._tables: dict[tuple[str, str | None], tuple[Cluster, Markup]] = {}
        """By the language, and the one that links keep."""

    def gpus(self, reader: Reader, state: State) -> str:
        """Returns every GPU, free ones first."""
        cluster = state.cluster
        return self._page(
            "gpus.html",
            reader,
            state,
            title=reader.words.gettext("GPUs of the cluster"),
            refresh_seconds=_REFRESH_SECONDS,
            here="",
            totals=cluster.counts().items() if cluster else [],
            table=self._whole_table(reader, cluster) if cluster else "",
        )

    def user(self, reader: Reader, state: State, user: User) -> str:
        """Returns what a user has and had."""
        return self._page(
            "user.html",
            reader,
            state,
            title=user.username,
            refresh_seconds=_REFRESH_SECONDS,
            here="users",
            api=f"api/v1/users/{quote(user.username, safe='')}",
            user=user,
            table=self._table(reader, user.cluster, user.gpus) if user.cluster else "",
            idle=[
                (gpu.hostname, gpu.gpu, text.state(gpu, user.cluster.time, reader.words))
                for gpu in user.idle
                if user.cluster
            ],
            count=COUNT,
            hours=partial(_hours, reader.words),
            most=max((had.owned for _, had in user.had if had), default=0.0),
            grafana_user=dashboard(self._grafana, "users", reader.words, user=user.username),
        )

    def users(self, reader: Reader, state: State, days: Sequence[StoredDay]) -> str:
        """Returns everybody."""
        return self._page(
            "users.html",
            reader,
            state,
            title=reader.words.gettext("Users"),
            here="users",
            rows=users(state.cluster, days),
            count=COUNT,
            hours=partial(_hours, reader.words),
        )

    def folder(self, reader: Reader, path: Sequence[str], listing: Listing) -> str:
        """Returns a folder of reports."""
        return self._page(
            "folder.html",
            reader,
            _NOTHING,
            title=" / ".join([reader.words.gettext("Reports"), *path]),
            here="reports",
            path=path,
            listing=listing,
            calendar=CALENDAR,
            quote=partial(quote, safe=""),
        )

    def missing(self, reader: Reader, message: str, *, hint: str = "") -> str:
        """Returns a page that says, in words marked for translation, what there is not."""
        words = reader.words
        title = words.gettext(message)
        return self._page("missing.html", reader, _NOTHING, title=title, here=None, hint=words.gettext(hint))

    def _page(self, template: str, reader: Reader, state: State, **parts: Any) -> str:
        words = reader.words
        cluster = state.cluster
        return _ENVIRONMENT.get_template(template).render(
            _=words.gettext,
            ngettext=words.ngettext,
            words=words,
            reader=reader,
            language_tag=words.tag,
            style=_PAGE.style,
            version=__version__,
            time=datetime.fromtimestamp(cluster.time, self._zone) if cluster else None,
            age=words.ago(self._now() - cluster.time) if cluster else "",
            gpu_count=len(cluster.gpus) if cluster else 0,
            problem=state.problem,
            notices=list(_notices(cluster, words)) if cluster else [],
            remarks=cluster.remarks if cluster else (),
            languages=[(other, speech(other).tag, speech(other).own_name) for other in languages()],
            grafana=dashboard(self._grafana, "cluster", words),
            **{"refresh_seconds": None, "api": "api/v1/gpus"} | parts,
        )

    def _whole_table(self, reader: Reader, cluster: Cluster) -> Markup:
        """Makes the table of all GPUs once for each answer and language, however many look."""
        key = reader.words.language, reader.chosen
        known = self._tables.get(key)
        if known is None or known[0] is not cluster:
            known = self._tables[key] = (cluster, self._table(reader, cluster, cluster.gpus))
        return known[1]

    def _table(self, reader: Reader, cluster: Cluster, gpus: Iterable[GpuNow]) -> Markup:
        words = reader.words
        rendered = _ENVIRONMENT.get_template("table.html").render(
            _=words.gettext,
            words=words,
            to_user=reader.to_user,
            to_node=self._to_node,
            state=partial(text.state, now=cluster.time, words=words),
            power=partial(text.power, words=words),
            bar=lambda ratio: round(100 * min(max(ratio, 0.0), 1.0)),
            now=cluster.time,
            sections=sections(gpus),
        )
        return Markup(rendered)  # noqa: S704  a template that escapes

    def _to_node(self, gpu: GpuNow) -> str | None:
        """Returns the address of the page of a GPU's node."""
        return f"{self._scheme}://{gpu.instance}/" if _ADDRESS.fullmatch(gpu.instance) else None


def _notices(cluster: Cluster, words: Speech) -> Iterator[str]:
    if not cluster.gpus:
        yield words.gettext("Prometheus has no GPU of the last day.")
    if cluster.scraped_at is not None and (age := cluster.time - cluster.scraped_at) > text.OLD_SECONDS:
        yield words.gettext("The newest sample came {ago}.").format(ago=words.ago(age))


def _hours(words: Speech, hours: float | None) -> str:
    return ABSENT if hours is None else words.number(hours, 1)
