"""The addresses of the portal: what each shows, from one look at the cluster for all who look."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlencode
from zoneinfo import ZoneInfo

from aiohttp import web

from exporter.config import Config
from exporter.live import ask
from exporter.live.cluster import Cluster
from exporter.names import visible
from exporter.portal import reports
from exporter.portal.days import StoredDays
from exporter.portal.latest import Latest
from exporter.portal.pages import POLICY, Pages, Reader, State
from exporter.portal.views import User, gpus_answer, user_answer
from exporter.report.accounting.row import Row
from exporter.report.history.client import PrometheusClient
from exporter.speech import N_, languages, speech
from exporter.web.negotiation import accepts_gzip, preferred_language
from exporter.web.responses import HEADERS, document, text

_MOST_USERS: Final = 256
"""Whose hours of today are kept until they are old."""
_MOST_AT_ONCE: Final = 4
"""Users about whom Prometheus is asked at the same time."""
_CHUNK_BYTES: Final = 256 * 1024
_OK, _MISSING, _UNAVAILABLE = 200, 404, 503


class Site:
    """Answers requests.

    Args:
        settings: The config.
        now: Unix seconds.
    """

    def __init__(self, settings: Config, now: Callable[[], float]) -> None:
        self._settings = settings
        self._now = now
        self._zone = ZoneInfo(settings.report.timezone)
        self._pages = Pages(settings, now)
        self._days = StoredDays(settings.report.directory, self._zone)
        self._cluster = Latest(self._ask_cluster)
        self._used: OrderedDict[str, Latest[ask.Used | None]] = OrderedDict()
        self._turns = asyncio.Semaphore(_MOST_AT_ONCE)

    def close(self) -> None:
        """Asks no longer."""
        self._cluster.close()
        for used in self._used.values():
            used.close()

    async def state(self) -> State:
        """Returns the cluster as it is known, new if that can be had in time."""
        cluster = await self._cluster.look()
        return State(cluster, self._cluster.problem)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Returns what an address shows."""
        path = _segments(request)
        reader = _reader(request, path)
        match path:
            case [""]:
                page, status = await self._gpus(reader)
            case ["users" | "reports"]:
                return _moved(request, f"{path[0]}/")
            case ["users", name]:
                page, status = await self._of_users(reader, name or request.query.get("name"))
            case ["reports", *below]:
                return await self._reports(request, reader, below)
            case ["api", "v1", *below]:
                content, status = await self._json(below)
                return _json(request, content, status)
            case ["-", probe] if probe in {"healthy", "ready"}:
                return await self._probe(probe)
            case _:
                page, status = self._pages.missing(reader, N_("There is no such page")), _MISSING
        return _page(request, reader, page, status)

    async def _probe(self, name: str) -> web.Response:
        if name == "healthy" or (await self.state()).cluster:
            return text(name)
        return text("not ready: Prometheus has not answered yet", status=_UNAVAILABLE)

    async def _gpus(self, reader: Reader) -> tuple[str, int]:
        state = await self.state()
        return self._pages.gpus(reader, state), _OK if state.cluster else _UNAVAILABLE

    async def _of_users(self, reader: Reader, name: str | None) -> tuple[str, int]:
        if not name:
            return self._pages.users(reader, await self.state(), await self._days.before(self._today())), _OK
        user, state = await self._look_up(name)
        if user.is_known or not user.is_told:
            return self._pages.user(reader, state, user), _OK if user.is_known else _UNAVAILABLE
        message = reader.words.gettext("There is no user {name}").format(name=visible(name))
        hint = N_("No GPU is held by that name, and none was today or on a day that is stored.")
        return self._pages.missing(reader, message, hint=hint), _MISSING

    async def _look_up(self, name: str) -> tuple[User, State]:
        """Returns all that is known of a user, and how good it is."""
        used = self._used.pop(name, None) or Latest(partial(self._ask_used, name))
        self._used[name] = used
        if len(self._used) > _MOST_USERS:
            self._used.popitem(last=False)[1].close()
        state, today, days = await asyncio.gather(self.state(), used.look(), self._days.before(self._today()))
        return User(name, state.cluster, today, used.has_answer, days), State(
            state.cluster, state.problem or used.problem
        )

    async def _json(self, path: Sequence[str]) -> tuple[Row | dict[str, str], int]:
        match path:
            case ["gpus"]:
                state = await self.state()
                if state.cluster:
                    return gpus_answer(state.cluster, state.problem, self._zone), _OK
                return {"error": state.problem or ""}, _UNAVAILABLE
            case ["users", name] if name:
                user, state = await self._look_up(name)
                if user.is_known:
                    return user_answer(user, state.problem, self._zone), _OK
                if not user.is_told:
                    return {"error": state.problem or ""}, _UNAVAILABLE
                return {"error": "no such user"}, _MISSING
        return {"error": "no such address; there are gpus and users/NAME"}, _MISSING

    async def _reports(self, request: web.BaseRequest, reader: Reader, path: list[str]) -> web.StreamResponse:
        root = self._settings.report.directory
        *folder, name = path
        wanted = [reports.CALENDAR] if path == [""] and "list" not in request.query else path
        if reports.is_file(wanted) and (response := await _file(request, root, wanted)):
            return response
        if name and reports.is_folder(path):
            return _moved(request, f"{quote(name, safe='')}/")
        if reports.is_file(path) or (not name and reports.is_folder(folder)):
            listing = await asyncio.to_thread(reports.listed, root, folder)
            if listing.problem or (not name and (not folder or not listing.is_empty)):
                page = self._pages.folder(reader, folder, listing)
                return _page(request, reader, page, _UNAVAILABLE if listing.problem else _OK)
            hint = N_("A report is being written now.") if listing.is_being_written else ""
        else:
            hint = ""
        return _page(request, reader, self._pages.missing(reader, N_("There is no such report"), hint=hint), _MISSING)

    async def _ask_cluster(self) -> Cluster:
        async with PrometheusClient(self._settings.prometheus) as client:
            return await ask.cluster(client, self._now())

    async def _ask_used(self, name: str) -> ask.Used | None:
        now = self._now()
        midnight = datetime.fromtimestamp(now, self._zone).replace(hour=0, minute=0, second=0, microsecond=0)
        async with self._turns, PrometheusClient(self._settings.prometheus) as client:
            return await ask.used(client, name, midnight.timestamp(), now)

    def _today(self) -> date:
        return datetime.fromtimestamp(self._now(), self._zone).date()


def _segments(request: web.BaseRequest) -> list[str]:
    """Returns the names that a path consists of, in which a slash parts nothing; of what is no text, no page's."""
    try:
        return [unquote(part, errors="strict") for part in request.rel_url.raw_path.split("/")[1:]]
    except UnicodeDecodeError:
        return ["-", ""]


def _reader(request: web.BaseRequest, path: Sequence[str]) -> Reader:
    chosen = request.query.get("lang")
    if chosen not in languages():
        chosen = None
    language = chosen or preferred_language(request.headers.get("Accept-Language", ""))
    return Reader(speech(language), len(path) - 1, chosen, request.query.get("name"))


def _page(request: web.BaseRequest, reader: Reader, page: str, status: int) -> web.Response:
    return document(
        page.encode(errors="replace"),
        "text/html; charset=utf-8",
        request,
        vary="Accept-Encoding, Accept-Language",
        headers={"Content-Language": reader.words.tag, "Content-Security-Policy": POLICY},
        status=status,
    )


def _json(request: web.BaseRequest, content: Row | dict[str, str], status: int) -> web.Response:
    body = content.model_dump_json() if isinstance(content, Row) else json.dumps(content)
    return document(body.encode(), "application/json", request, vary="Accept-Encoding", status=status)


def _moved(request: web.BaseRequest, where: str) -> web.Response:
    asked = f"?{urlencode(request.query)}" if request.query else ""
    return text("moved", status=308, headers={"Location": where + asked})


async def _file(request: web.BaseRequest, root: Path, path: Sequence[str]) -> web.StreamResponse | None:
    """Sends a file piece by piece; None if it cannot be read."""
    try:
        file = await asyncio.to_thread(reports.opened, root, path)
    except OSError:
        return None
    kind = reports.content_type(path[-1])
    policy = {"Content-Security-Policy": reports.POLICY} if kind.startswith("text/html") else {}
    headers = {**HEADERS, "Content-Type": kind, "Vary": "Accept-Encoding", **policy}
    with file:
        response, left = web.StreamResponse(headers=headers), file.seek(0, 2)
        file.seek(0)
        is_text, is_read = kind.startswith("text/"), request.method == "GET"  # aiohttp would send HEAD an end of gzip
        if is_text and is_read and accepts_gzip(request.headers.get("Accept-Encoding", "")):
            response.enable_compression(web.ContentCoding.gzip)
        else:
            response.content_length = left
        await response.prepare(request)
        while left > 0 and is_read and (chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES)):
            await response.write(chunk)
            left -= len(chunk)
        await response.write_eof()
    return response
