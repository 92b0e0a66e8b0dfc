"""A client of Prometheus' HTTP API, which VictoriaMetrics, Thanos and Mimir speak too.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlencode, urlsplit

import numpy as np
from pydantic import SecretStr

from exporter import config
from exporter.errors import (
    ConfigError,
    HistoryAuthError,
    HistoryError,
    HistoryPayloadError,
    HistoryQueryError,
    HistoryUnreachableError,
)
from exporter.https import aiohttp, system_trust
from exporter.names import visible
from exporter.report.history.queries import LONGEST_SECONDS, Query, Question, pieces
from exporter.report.history.responses import Remark, Series, Unsound, all_series, concatenated, label_sets, parsed

_T = TypeVar("_T")

MAX_STEPS = 10_000
"""Of one range query: Prometheus refuses more than 11,000 points a series."""
_CONCURRENCY = 4
"""Queries under way at once; Prometheus runs 20 and makes further ones of all its users wait."""
_PAUSES = (0.2, 1.0)
"""Seconds before the second and the third attempt."""
_PASSING = frozenset({429, 502, 503})
_HOPELESS = frozenset({"timeout", "canceled"})
"""Kinds of error that Prometheus answers 503 to and that a second attempt would meet again."""
_MAX_QUOTE = 300
_MAX_BODY_BYTES = 64 * 2**20
"""Of one answer, unpacked: many times what any question of a report asks for."""
_SLACK = 60.0
"""Seconds by which a server may move the instants of an answer beyond those asked for, beside a step of a grid."""


class PrometheusClient:
    """Asks one server, from entry to exit of an `async with`.

    Raises:
        HistoryUnreachableError: No route, refused, or no answer within `prometheus.timeout`.
        HistoryAuthError: 401 or 403.
        HistoryQueryError: The server refuses or fails a query.
        HistoryPayloadError: The answer is not the API's JSON.
        ConfigError: On entry, if the token or a header cannot be used.
    """

    def __init__(self, settings: config.Prometheus) -> None:
        self._settings = settings
        self._remarks: dict[str, Remark] = {}
        self._unsound: dict[tuple[str, str], tuple[str, Unsound]] = {}
        self._slots = asyncio.Semaphore(_CONCURRENCY)
        self._session: aiohttp.ClientSession | None = None

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What the server remarked on its answers so far, each once. In the same order on every run."""
        return tuple(self._remarks[text] for text in sorted(self._remarks))

    @property
    def unsound(self) -> tuple[tuple[str, Unsound], ...]:
        """Which questions were answered with samples that are not what they should be, and what they are; each once."""
        return tuple(self._unsound[key] for key in sorted(self._unsound))

    async def __aenter__(self) -> Self:
        """Reads the token and opens the session."""
        is_https = urlsplit(self._settings.url).scheme == "https"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=system_trust() if is_https else True),
            headers=_headers(self._settings),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the session."""
        if self._session is not None:
            await self._session.close()

    def scope(self, *matchers: str) -> str:
        """Returns label matchers, joined with `prometheus.matchers`."""
        return ",".join(filter(None, (*matchers, self._settings.matchers)))

    async def instant(self, question: Question, time: float) -> list[Series]:
        """Returns one sample of each series, or with a range selector all samples of the range that ends at `time`."""
        form = {"query": question.promql, "time": _decimal(time)}
        return await self._ask("query", question, form, partial(self._series, question, -math.inf, time + _SLACK))

    async def over(self, query: Query, scope: str, start: float, end: float) -> list[Series]:
        """Returns one sample of each series for a stretch of time, or for each part that one question may look at.

        Args:
            query: With a range selector.
            scope: Its label matchers.
            start: Unix seconds.
            end: Unix seconds; the parts come in the order of time.
        """
        found = []
        for begin, finish in pieces(start, end):
            found += await self.instant(query.ask(scope, range_seconds=finish - begin), finish)
        return found

    async def range(
        self, question: Question, start: float, end: float, step: float, max_steps: int = MAX_STEPS
    ) -> list[Series]:
        """Returns the query at `start`, `start + step` … `end`, in requests of at most `max_steps` each."""
        stride = min(max_steps, max(1, int(LONGEST_SECONDS / step))) * step
        parts = []
        for first in np.arange(start, end + step / 2, stride):
            last = min(end, first + stride - step)
            form = {"query": question.promql, "start": _decimal(first), "end": _decimal(last), "step": _decimal(step)}
            decode = partial(self._series, question, first - step - _SLACK, last + step + _SLACK)
            parts.append(await self._ask("query_range", question, form, decode))
        return parts[0] if len(parts) == 1 else concatenated(parts)

    async def label_sets(self, question: Question, start: float, end: float) -> list[dict[str, str]]:
        """Returns the label sets of a selector that had samples about then; some servers tell whole blocks or days."""
        found: dict[frozenset[tuple[str, str]], dict[str, str]] = {}
        for begin, finish in pieces(start, end):
            form = {"match[]": question.promql, "start": _decimal(begin), "end": _decimal(finish)}
            part = await self._ask("series", question, form, label_sets)
            found |= {frozenset(labels.items()): labels for labels in part}
        return list(found.values())

    def _series(self, question: Question, start: float, end: float, data: Any) -> list[Series]:
        """Returns the series of an answer, all of instants between two, and keeps what is wrong with some samples."""
        found, unsound = all_series(data)
        where = f"{self._settings.url}: {question.name}"
        for series in found:
            if series.times[0] < start or series.times[-1] > end:
                raise HistoryPayloadError(f"{where}: the answer tells of other times than were asked for")
            if missing := sorted(question.labels - series.labels.keys()):
                raise HistoryPayloadError(f"{where}: expected series with the labels {missing}, found some without")
        self._unsound |= {(question.name, one.value): (question.name, one) for one in unsound}
        return found

    async def _ask(self, endpoint: str, question: Question, form: Mapping[str, str], decode: Callable[[Any], _T]) -> _T:
        """Returns the decoded `data` of the answer; what may pass is tried again.

        Decoded before the next question may be asked: so many raw answers are in memory, and no more.
        """
        # VictoriaMetrics would answer from a cache that samples written late do not reach.
        fields = {**form, "timeout": f"{math.ceil(self._settings.timeout)}s", "nocache": "1"}
        async with self._slots:
            for pause in (*_PAUSES, None):
                try:
                    return await self._attempt(endpoint, question, fields, decode)
                except _PassingError as passing:
                    if pause is None:
                        raise passing.error from passing.__cause__
                    await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(
        self, endpoint: str, question: Question, form: Mapping[str, str], decode: Callable[[Any], _T]
    ) -> _T:
        assert self._session is not None
        url = f"{self._settings.url}/api/v1/{endpoint}"
        # Compression would cost the server more time than most networks save.
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(form).encode()
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                status, body = response.status, await _body(response)
        except _TooLargeError as error:
            raise HistoryPayloadError(
                f"{url}: {question.name}: the answer is larger than {_MAX_BODY_BYTES // 2**20} MiB: is it Prometheus?"
            ) from error
        except TimeoutError as error:
            seconds = self._settings.timeout
            raise HistoryUnreachableError(
                f"{url}: {question.name}: no answer within {seconds:g} s: is the server overloaded, or "
                f"prometheus.timeout too short?"
            ) from error
        except aiohttp.ClientPayloadError as error:
            broken = HistoryPayloadError(f"{url}: {question.name}: the answer broke off")
            raise _PassingError(broken) from error
        except aiohttp.ClientConnectorError as error:
            raise HistoryUnreachableError(f"{url}: {error}: is prometheus.url right?") from error
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            lost = HistoryUnreachableError(f"{url}: {question.name}: the connection was lost: {error}")
            raise _PassingError(lost) from error
        except aiohttp.ClientError as error:
            raise HistoryPayloadError(f"{url}: expected HTTP, found something else") from error
        return self._decoded(url, question, status, body, decode)

    def _decoded(self, url: str, question: Question, status: int, body: bytes, decode: Callable[[Any], _T]) -> _T:
        """Returns what an answer tells."""
        try:
            return decode(self._checked(url, question, status, body))
        except (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
            raise HistoryPayloadError(
                f"{url}: {question.name}: expected series of times and numbers, found {_quoted(body)}"
            ) from error

    def _checked(self, url: str, question: Question, status: int, body: bytes) -> Any:
        """Returns the `data` of a good answer, and keeps what the server remarks on it."""
        if status in {401, 403}:
            raise HistoryAuthError(
                f"{url}: {status}: are prometheus.token_file and prometheus.headers what the server expects?"
            )
        document = parsed(body)
        if document is None or "status" not in document:
            if status >= 500:
                failing = HistoryUnreachableError(f"{url}: {question.name}: {status}: {_quoted(body)}")
                raise _PassingError(failing) if status in _PASSING else failing
            raise HistoryPayloadError(
                f"{url}: expected Prometheus' JSON, found {_quoted(body)} ({status}): does prometheus.url lead to its "
                f"API, path prefix included?"
            )
        self._keep_remarks(document)
        if document["status"] != "success" or "data" not in document:
            reason = str(document.get("error", ""))[:_MAX_QUOTE] or f"status {status}"
            error = HistoryQueryError(f"{url}: {question.name}: the server says: {reason}")
            passing = status in _PASSING and document.get("errorType") not in _HOPELESS
            raise _PassingError(error) if passing else error
        return document["data"]

    def _keep_remarks(self, document: Mapping[str, Any]) -> None:
        infos, warnings = ([visible(str(text)) for text in document.get(kind) or ()] for kind in ("infos", "warnings"))
        partial = (f"{self._settings.url}: some storage nodes did not answer: the data are partial",)
        for text in infos:
            self._remarks.setdefault(text, Remark(text, lacks_data=False))
        for text in (*warnings, *(partial if document.get("isPartial") else ())):  # VictoriaMetrics' cluster says so
            self._remarks[text] = Remark(text, lacks_data=True)


class _TooLargeError(Exception):
    """An answer that is larger than any could be."""


class _PassingError(Exception):
    """A failure that another attempt may not meet."""

    def __init__(self, error: HistoryError) -> None:
        super().__init__(str(error))
        self.error = error


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise _TooLargeError
    return bytes(body)


def _headers(settings: config.Prometheus) -> dict[str, str]:
    headers = {name: _sendable(f"prometheus.headers.{name}", secret) for name, secret in settings.headers.items()}
    if settings.token_file is not None:
        try:
            token = SecretStr(settings.token_file.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"prometheus.token_file: {settings.token_file}: cannot be read as text") from error
        headers["Authorization"] = "Bearer " + _sendable(f"prometheus.token_file: {settings.token_file}", token)
    return headers


def _sendable(where: str, secret: SecretStr) -> str:
    value = secret.get_secret_value()
    if not value or not value.isascii() or not value.isprintable():
        raise ConfigError(f"{where}: expected one line of printable ASCII")
    return value


def _quoted(body: bytes) -> str:
    """Returns the beginning of an answer, for an error message."""
    text = " ".join(body[:80].decode(errors="replace").split())
    return f'"{text}"' if text else "nothing"


def _decimal(seconds: float) -> str:
    return f"{seconds:.3f}"
