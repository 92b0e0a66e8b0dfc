"""Asks the consumption API who had which GPU. One request, and every way it can fail has its own words.

The whole request runs on an event loop of its own, in a thread: an answer of 60 MB, a million informational responses
or a body of one-byte chunks keep that loop busy until `tasks.timeout`, and nobody else. So there is no least rate at
which bytes have to come: a server that trickles costs one thread and one connection until then, as one does that says
nothing, and a least rate would refuse a slow but honest line sooner than the operator's time-out.

No error text holds anything the server said: a broken proxy may echo the request, and the token with it.
"""

from __future__ import annotations

import asyncio
import errno
import re
import ssl
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from exporter import __version__, config
from exporter.errors import (
    ConfigError,
    TasksAuthError,
    TasksError,
    TasksNetworkError,
    TasksPayloadError,
    TasksServerError,
)
from exporter.https import aiohttp, system_trust
from exporter.model import Answer, Scope
from exporter.tasks.consumption import dates
from exporter.tasks.consumption.credentials import PLACES, Token, TokenReader
from exporter.tasks.consumption.parse import AnswerReader
from exporter.tasks.consumption.resolver import Resolver
from exporter.tasks.threads import on_own_loop

PATH = "/api/v2/consumption/task"
_MAX_HEADER_BYTES = 64 * 2**10
"""Of one header: a Content-Security-Policy of 9 kB has been seen, and aiohttp takes 8."""
_AGE_SECONDS = re.compile(r"[0-9]+")
_MAX_AGE_SECONDS = 2.0**31
"""Where RFC 9111 lets an Age overflow to."""

_AUTH_ADVICE: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "the token is refused, it has probably expired, renew it",
    HTTPStatus.FORBIDDEN: "this token may not see tasks, an administrator's can",
    HTTPStatus.UNPROCESSABLE_ENTITY: "the token is malformed, check it",
}


class ConsumptionClient:
    """A TaskSource that asks one server; it holds no connection between requests.

    Args:
        url: The server's base, or the whole address of the API. Proxies that the environment names are not used:
            the token goes there and nowhere else.
        settings: The rest of the section `tasks`.

    Raises:
        ConfigError: `tasks.ca_file` is not usable.
    """

    def __init__(self, url: str, settings: config.Tasks) -> None:
        self._url = url if urlsplit(url).path.endswith(PATH) else url + PATH
        self.name = f"consumption API {self._url}"
        self.has_past = True
        self._zone = ZoneInfo(settings.timezone)
        self._timeout = settings.timeout
        self._tls = _trust(settings, is_https=urlsplit(url).scheme == "https")
        self._token = TokenReader(settings.token_file)

    async def tasks(self, start: float, end: float, username: str | None = None, scope: Scope | None = None) -> Answer:
        """Returns every task that overlaps a window, as TaskSource says; the window is rounded outward.

        Raises:
            TasksNetworkError: no route, refused, TLS failed, or no answer within `tasks.timeout`.
            TasksAuthError: no usable token, or the server refuses it.
            TasksServerError: any other status than 200.
            TasksPayloadError: the body is not an object of tasks.
        """
        start_t, end_t = dates.window(start, end, self._zone)
        query = {"start_t": start_t, "end_t": end_t}
        if username is not None:
            query["username"] = username
        sent, sent_at = time.monotonic(), time.time()
        reader = AnswerReader(self._zone, scope)
        try:
            headers, received_at = await on_own_loop(lambda: self._request(query, reader))
        except OSError as error:
            what = f"cannot be asked ({error.strerror}): this process is short of what a request takes"
            raise self._failure(TasksNetworkError, what) from error
        age = _age(headers.get("Age"))
        return Answer(
            tuple(reader.tasks),
            tuple(reader.malformed),
            as_of=sent - age,
            since=start,
            until=end,
            about=scope.gpu_uuids if scope else None,
            more_malformed=reader.more_malformed,
            clock_offset=_clock_offset(headers.get("Date"), age, sent_at, received_at),
        )

    async def _request(self, query: Mapping[str, str], reader: AnswerReader) -> tuple[Mapping[str, str], float]:
        """Reads the body, and returns the headers and the Unix time at which they came."""
        token = self._token.read()
        headers = {"Accept": "application/json", "User-Agent": f"mi300x-exporter/{__version__}"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.value}"
        try:
            async with (
                asyncio.timeout(self._timeout) as patience,
                # A session each time: requests are so far apart that either side would have closed the connection.
                # Not forced to close: over TLS, a session ends at once only what it kept.
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=self._tls, resolver=Resolver()),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    timeout=aiohttp.ClientTimeout(total=None),
                    max_line_size=_MAX_HEADER_BYTES,
                    max_field_size=_MAX_HEADER_BYTES,
                ) as session,
                # A redirect would take the token with it.
                session.get(self._url, params=query, headers=headers, allow_redirects=False) as response,
            ):
                received_at = time.time()
                self._check(response.status, token)
                await self._read(response, reader, patience)
                return response.headers, received_at
        except TimeoutError as error:
            what = f"no full answer in {self._timeout:g} s (tasks.timeout): is it overloaded, or a firewall in between?"
            raise self._failure(TasksNetworkError, what) from error
        except aiohttp.ClientConnectorError as error:
            raise self._failure(TasksNetworkError, _why_unconnected(error)) from error
        # The others are not chained: they quote what the server sent, or the headers of the request.
        except aiohttp.ClientPayloadError:
            what = "the answer broke off or is garbled: is the server restarting, or a proxy in between broken?"
            raise self._failure(TasksPayloadError, what) from None
        except aiohttp.ClientResponseError:
            what = "what answers does not speak HTTP, or in headers of more than 64 KiB: check tasks.url"
            raise self._failure(TasksPayloadError, what) from None
        except (aiohttp.ClientError, OSError):
            what = "the connection broke before an answer came: is the server restarting?"
            raise self._failure(TasksNetworkError, what) from None

    def _check(self, status: int, token: Token | None) -> None:
        """Raises unless the status is 200."""
        if status in _AUTH_ADVICE:
            advice = f"{_AUTH_ADVICE[status]}: {token.origin}" if token else f"it wants a token, set {PLACES}"
            raise self._failure(TasksAuthError, f"answered {status}: {advice}")
        if status != HTTPStatus.OK:
            raise self._failure(TasksServerError, f"answered {status}: {_server_advice(status)}")

    async def _read(self, response: aiohttp.ClientResponse, reader: AnswerReader, patience: asyncio.Timeout) -> None:
        try:
            async for chunk in response.content.iter_any():
                began = time.monotonic()
                reader.feed(chunk)
                # What reading takes here is no fault of the server's.
                patience.reschedule((patience.when() or began) + time.monotonic() - began)
            reader.close()
        except TasksPayloadError as error:
            raise self._failure(TasksPayloadError, str(error)) from error
        except (aiohttp.ClientError, OSError):
            raise
        except Exception as error:  # noqa: BLE001  whatever an answer holds, it must not end the service
            what = f"the answer cannot be read, by a fault of this exporter ({type(error).__name__}): please report it"
            raise self._failure(TasksPayloadError, what) from None

    def _failure(self, kind: type[TasksError], what: str) -> TasksError:
        return kind(f"{self.name}: {what}")


def _server_advice(status: int) -> str:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "the server failed: see its log"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return "a redirect, not followed as the token would go along: set tasks.url to where it points"
    if status == HTTPStatus.NOT_FOUND:
        return "nothing there: set tasks.url to the server's base address"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "too many requests: raise tasks.refresh, or put a cache in between"
    return "request not accepted: is this the management server?"


def _trust(settings: config.Tasks, *, is_https: bool) -> ssl.SSLContext | bool:
    """Returns whom to trust: the authorities of `tasks.ca_file`, or those of the system."""
    if settings.ca_file is None:
        return system_trust() if is_https else True
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"tasks.ca_file: {settings.ca_file}: expected PEM certificates: {error.strerror}") from error


def _age(header: str | None) -> float:
    """Returns the seconds for which a cache in between has kept the answer."""
    if header is None or not _AGE_SECONDS.fullmatch(header):
        return 0.0
    return min(float(header), _MAX_AGE_SECONDS)


def _clock_offset(date: str | None, age: float, sent: float, received: float) -> float | None:
    """Returns by how many seconds the server's clock is ahead of this machine's; None if it does not tell.

    `Date` is of some instant from `sent` to `received`, cut to the second; on an answer that a cache kept for `age`
    seconds it is the server's at that time, or the cache's now. What that explains is 0.
    """
    try:
        told = parsedate_to_datetime(date or "").replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None
    least, most = told - received, told + 1 - sent
    if least > 0:
        return (least + most) / 2
    most_if_cached = most + (age + 1 if age else 0)
    return 0.0 if most_if_cached >= 0 else (least + most) / 2 + age


def _why_unconnected(error: aiohttp.ClientConnectorError) -> str:
    cause = error.os_error
    match error:
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", "") or "certificate not accepted"
            return f"TLS failed ({reason}): set tasks.ca_file to the authority that signed the server's certificate"
        case aiohttp.ClientConnectorSSLError():
            return (
                f"TLS failed ({getattr(cause, 'reason', None) or 'unknown reason'}): does the server speak https there?"
            )
        case aiohttp.ClientConnectorDNSError():
            return f"its name cannot be resolved ({cause.strerror}): check tasks.url and the DNS of this machine"
    if cause.errno in (errno.EMFILE, errno.ENFILE):
        return f"{cause.strerror}: raise the limit of this process (LimitNOFILE=), or end what holds them"
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused: is the management server running, and the port of tasks.url right?"
    return f"cannot be reached ({cause.strerror}): check tasks.url, the network and firewalls"
