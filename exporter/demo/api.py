"""A stand-in for the management server: the consumption API over loopback, with faults on demand.

It answers in the shape of the real one. The demo, the tests and the benchmarks ask it what the exporter asks there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import formatdate
from types import TracebackType
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from aiohttp import web

from exporter.model import Task, TaskGpu
from exporter.tasks.consumption.client import PATH

Entries = Callable[[float, float, float], Iterable[Task]]
"""Tasks that may overlap a window: start, end and now, in Unix seconds. More than that does no harm."""
_START_SECONDS = 2.0
"""From the creation of a task to its start."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an answer; the default is nothing."""

    status: int = 200
    delay: float = 0.0
    """Seconds before anything is sent."""
    body: bytes | None = None
    """Instead of the tasks."""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside the usual ones, such as an Age."""
    breaks: Literal["before", "amid", "truncated", "endless", "trickling"] | None = None
    """The connection drops before or amid the answer; or only half of it was made; or it never ends, fast or slowly."""


class StandInApi:
    """Serves tasks on loopback while its context is open; every public attribute may change meanwhile.

    Args:
        tasks: a list, read at each request, or a function that makes them. A task appears once its start has
            come, and runs until its end has; times are told to the second, as RFC 1123 has it.
        token: the one that is accepted.
        clock: Unix seconds.
        timezone: of `start_t` and `end_t`.
        tls: serves https if given.
    """

    def __init__(
        self,
        tasks: Sequence[Task] | Entries,
        *,
        token: str = "stand-in-token",  # noqa: S107  opens nothing but this server
        clock: Callable[[], float] = time.time,
        timezone: str = "UTC",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.url = ""
        self.token = token
        self.fault = Fault()
        self.lags: dict[str, float] = {}
        """Seconds by which the server learns late of a task's start, and of its end, by task id."""
        self.extra: dict[str, Any] = {}
        """Entries that are served as they are, beside the tasks."""
        self.count = 0
        self.requests: deque[Mapping[str, str]] = deque(maxlen=1000)
        """The queries of the latest requests."""
        self._asked = asyncio.Event()
        self._entries: Entries = tasks if callable(tasks) else lambda _start, _end, _now: tasks
        self._clock = clock
        self._zone = ZoneInfo(timezone)
        self._tls = tls
        app = web.Application()
        app.router.add_get(PATH, self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        """Listens on a free port."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"{'https' if self._tls else 'http'}://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stops listening and cuts what is open."""
        await self._runner.cleanup()

    async def asked(self) -> None:
        """Returns once the next request has arrived."""
        self._asked.clear()
        await self._asked.wait()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.count += 1
        self.requests.append(dict(request.query))
        self._asked.set()
        fault = self.fault
        await asyncio.sleep(fault.delay)
        if fault.breaks == "before":
            return _drop(request)
        authorization = request.headers.get("Authorization")
        if authorization is None:
            return web.json_response({"msg": "Missing Authorization Header"}, status=401)
        if authorization != f"Bearer {self.token}":
            return web.json_response({"msg": "Signature verification failed"}, status=422)
        if fault.body is not None:
            body = fault.body
        else:
            try:
                body = json.dumps(self._document(request.query)).encode()
            except (KeyError, ValueError):
                return web.json_response({"msg": "start_t and end_t: expected YYYY-MM-DD HH:MM:SS"}, status=400)
        return await _send(request, fault, body)

    def _document(self, query: Mapping[str, str]) -> dict[str, Any]:
        start, end, now = self._instant(query["start_t"]), self._instant(query["end_t"]), self._clock()
        username = query.get("username")
        document = {}
        for task in self._entries(start, end, now):
            known = now - self.lags.get(task.task_id, 0.0)
            ended = task.end if task.end <= known else math.inf
            if task.start <= min(known, end) and ended >= start and username in {None, task.username}:
                document[task.task_id] = _entry(task, ended, min(ended, end, now) - max(task.start, start))
        return document | self.extra

    def _instant(self, text: str) -> float:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=self._zone).timestamp()


def _entry(task: Task, ended: float, seconds_inside: float) -> dict[str, Any]:
    """Returns a task in the shape of the real server's."""
    return {
        "username": task.username,
        "hostname": task.hostname,
        "gpus": [_gpu(gpu) for gpu in task.gpus],
        "task": {
            "_type": task.task_type,
            "project_uuid": task.project_uuid,
            "image": task.image,
            "create_time": _date(task.start - _START_SECONDS),
        },
        "start": _date(task.start),
        "end": "" if ended == math.inf else _date(ended),
        "total_seconds": max(0.0, seconds_inside),
    }


def _gpu(gpu: TaskGpu) -> dict[str, Any]:
    number = int(gpu.gpu_id) if gpu.gpu_id.isdecimal() else gpu.gpu_id
    return {"uuid": f"APU-{gpu.uuid}", "id": number, "name": gpu.model, "memory": gpu.memory_mib}


def _date(instant: float) -> str:
    return formatdate(instant, usegmt=True)


async def _send(request: web.Request, fault: Fault, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(status=fault.status, headers=fault.headers)
    response.content_type = fault.content_type
    endless = fault.breaks in {"endless", "trickling"}
    if fault.breaks == "truncated":
        body = body[: len(body) // 2]
    if not endless:
        response.content_length = len(body)
    await response.prepare(request)
    if fault.breaks == "amid":
        await response.write(body[: len(body) // 2])
        return _drop(request, response)
    await response.write(body)
    with contextlib.suppress(ConnectionError):  # the client has had enough
        while endless:
            await response.write(b" " * (2**16 if fault.breaks == "endless" else 1))
            await asyncio.sleep(0 if fault.breaks == "endless" else 0.01)
    return response


def _drop(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return response or web.Response()
