"""Asks the consumption API who had which GPU. One request, and every way it can fail has its own words.

No error text holds anything the server said: a broken proxy may echo the request, and the token with it.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import aiohttp

from exporter import __version__, config
from exporter.errors import (
    ConfigError,
    TasksAuthError,
    TasksError,
    TasksNetworkError,
    TasksPayloadError,
    TasksServerError,
)
from exporter.model import Answer, MalformedTask, Task
from exporter.tasks.consumption import dates
from exporter.tasks.consumption.credentials import PLACES, Token, TokenReader
from exporter.tasks.consumption.parse import parse
from exporter.tasks.consumption.resolver import Resolver
from exporter.tasks.threads import in_daemon_thread

PATH = "/api/v2/consumption/task"
MAX_BODY_BYTES = 64 * 2**20
"""Some 130,000 tasks; what is larger is not an answer."""
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
        self._zone = ZoneInfo(settings.timezone)
        self._timeout = settings.timeout
        self._tls = _trust(settings)
        self._token = TokenReader(settings.token_file)

    async def tasks(self, start: float, end: float, username: str | None = None) -> Answer:
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
        sent = time.monotonic()
        body, age = await self._request(query)
        try:
            # In a thread: a month of a large cluster takes seconds, and a scrape must not wait for them.
            tasks, malformed = await in_daemon_thread(partial(_decode, body, self._zone))
        except TasksPayloadError as error:
            raise self._failure(TasksPayloadError, str(error)) from error
        return Answer(tasks, malformed, as_of=sent - age, since=start)

    async def _request(self, query: Mapping[str, str]) -> tuple[bytes, float]:
        """Returns the body and its age in seconds."""
        token = self._token.read()
        headers = {"Accept": "application/json", "User-Agent": f"mi300x-exporter/{__version__}"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.value}"
        try:
            async with (
                # A session each time: requests are so far apart that either side would have closed the connection.
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=self._tls, force_close=True, resolver=Resolver()),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    timeout=aiohttp.ClientTimeout(total=self._timeout),
                ) as session,
                # A redirect would take the token with it.
                session.get(self._url, params=query, headers=headers, allow_redirects=False) as response,
            ):
                self._check(response.status, token)
                return await self._body(response), _age(response.headers.get("Age"))
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
            what = "what answers does not speak HTTP: check tasks.url"
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

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise self._failure(
                    TasksPayloadError,
                    f"the answer is larger than {MAX_BODY_BYTES // 2**20} MiB: is this the management server?",
                )
        return bytes(body)

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


def _trust(settings: config.Tasks) -> ssl.SSLContext | bool:
    """Returns whom to trust: the authorities of `tasks.ca_file`, or those of the system."""
    if settings.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"tasks.ca_file: {settings.ca_file}: expected PEM certificates: {error.strerror}") from error


def _decode(body: bytes, zone: ZoneInfo) -> tuple[tuple[Task, ...], tuple[MalformedTask, ...]]:
    if body.lstrip()[:1] == b"<":
        raise TasksPayloadError("the answer is a web page, not JSON: is a login page or a proxy in between?")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        # Not chained: the error holds the body.
        raise TasksPayloadError(f"the answer ({len(body)} bytes) is not JSON, or only a part of it") from None
    return parse(document, zone)


def _age(header: str | None) -> float:
    """Returns the seconds for which a cache in between has kept the answer."""
    if header is None or not _AGE_SECONDS.fullmatch(header):
        return 0.0
    return min(float(header), _MAX_AGE_SECONDS)


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
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused: is the management server running, and the port of tasks.url right?"
    return f"cannot be reached ({cause.strerror}): check tasks.url, the network and firewalls"
