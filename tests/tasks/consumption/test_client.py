from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import json
import logging
import os
import resource
import socket
import ssl
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path

import pytest

from exporter import config
from exporter.demo.api import Fault, StandInApi
from exporter.errors import (
    ConfigError,
    TasksAuthError,
    TasksError,
    TasksNetworkError,
    TasksPayloadError,
    TasksServerError,
)
from exporter.model import Scope, Task, TaskGpu
from exporter.tasks.consumption.client import PATH, ConsumptionClient
from exporter.tasks.consumption.parse import AnswerReader
from tests.support.certificates import self_signed, trusting

TOKEN = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl"
NOW = 1753142400.0
TASK = Task(
    task_id="f3c1",
    username="itrd",
    task_type="WEBAPP",
    gpus=(TaskGpu("52f67b3700dcc6f3", "27", "AMD Instinct MI300X", 196592),),
    start=NOW - 3600,
    hostname="colab-gpu4",
    project_uuid="9d0c",
    image="ollama:0.6.2-rocm",
)


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORTER_TASKS_TOKEN", TOKEN)


@pytest.fixture
async def api() -> AsyncIterator[StandInApi]:
    async with StandInApi([TASK], token=TOKEN, clock=lambda: NOW) as server:
        yield server


def client(url: str, **settings: str) -> ConsumptionClient:
    tasks = config.Tasks.model_validate({"url": url, **settings})
    assert tasks.url is not None
    return ConsumptionClient(tasks.url, tasks)


async def failure(asked: ConsumptionClient) -> TasksError:
    with pytest.raises(TasksError) as caught:
        await asked.tasks(NOW - 60, NOW)
    return caught.value


async def words(api: StandInApi, fault: Fault, kind: type[TasksError], **settings: str) -> str:
    """What the operator is told, after the address."""
    api.fault = fault
    error = await failure(client(api.url, **settings))
    assert type(error) is kind
    return str(error).removeprefix(f"consumption API {api.url}{PATH}: ")


async def test_an_answer_holds_the_tasks_of_the_window(api: StandInApi) -> None:
    answer = await client(api.url).tasks(NOW - 60, NOW)
    assert (answer.tasks, answer.malformed) == ((TASK,), ())
    assert (await client(api.url).tasks(NOW - 7200, NOW - 7000)).tasks == ()


@pytest.mark.parametrize("suffix", ["", "/", PATH])
async def test_the_address_is_the_servers_or_that_of_the_api(api: StandInApi, suffix: str) -> None:
    assert (await client(api.url + suffix).tasks(NOW - 60, NOW)).tasks == (TASK,)


async def test_the_window_is_asked_for_in_the_zone_of_the_server(api: StandInApi) -> None:
    await client(api.url, timezone="Asia/Taipei").tasks(NOW - 60.5, NOW, "itrd")
    expected = {"start_t": "2025-07-22 07:58:59", "end_t": "2025-07-22 08:00:00", "username": "itrd"}
    assert api.requests[-1] == expected


async def test_one_user_alone_can_be_asked_for(api: StandInApi) -> None:
    assert (await client(api.url).tasks(NOW - 60, NOW, "itrd")).tasks == (TASK,)
    assert (await client(api.url).tasks(NOW - 60, NOW, "nobody")).tasks == ()


async def test_an_answer_is_as_old_as_its_request(api: StandInApi) -> None:
    before = time.monotonic()
    api.fault = Fault(delay=0.05)
    answer = await client(api.url).tasks(NOW - 60, NOW)
    assert before <= answer.as_of <= time.monotonic() - 0.05
    assert answer.since == NOW - 60


@pytest.mark.parametrize(("header", "age"), [("7", 7), ("9" * 500, 2**31), ("soon", 0), ("-7", 0)])
async def test_a_cached_answer_is_older_by_its_age(api: StandInApi, header: str, age: float) -> None:
    api.fault = Fault(headers={"Age": header})
    before = time.monotonic()
    answer = await client(api.url).tasks(NOW - 60, NOW)
    assert before - age <= answer.as_of <= time.monotonic() - age


@pytest.mark.parametrize("seconds", [3600, -300, 20])
async def test_the_date_of_an_answer_tells_how_far_the_servers_clock_is_off(api: StandInApi, seconds: float) -> None:
    api.fault = Fault(headers={"Date": formatdate(time.time() + seconds, usegmt=True)})
    answer = await client(api.url).tasks(NOW - 60, NOW)
    assert answer.clock_offset == pytest.approx(seconds, abs=1.5 + time.monotonic() - answer.as_of)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Date": formatdate(time.time() - 40, usegmt=True), "Age": "40"},  # of the server, by a cache
        {"Age": "40"},  # of the cache itself
    ],
)
async def test_what_a_second_and_a_cache_explain_is_no_offset(api: StandInApi, headers: dict[str, str]) -> None:
    if headers.get("Date"):
        headers["Date"] = formatdate(time.time() - 40, usegmt=True)
    api.fault = Fault(headers=headers)
    assert (await client(api.url).tasks(NOW - 60, NOW)).clock_offset == 0.0


@pytest.mark.parametrize("date", ["", "soon", "Wed, 99 Jul 2025 00:00:00 GMT"])
async def test_a_server_that_does_not_tell_its_time_has_no_offset(api: StandInApi, date: str) -> None:
    api.fault = Fault(headers={"Date": date})
    assert (await client(api.url).tasks(NOW - 60, NOW)).clock_offset is None


async def test_an_answer_tells_of_the_gpus_it_was_asked_for(api: StandInApi) -> None:
    scope = Scope("elsewhere", frozenset({"00000000000000aa"}))
    answer = await client(api.url).tasks(NOW - 60, NOW, scope=scope)
    assert (answer.tasks, answer.about, answer.until) == ((), scope.gpu_uuids, NOW)
    assert not answer.tells_of(frozenset({"52f67b3700dcc6f3"}))


async def test_long_headers_are_read(api: StandInApi) -> None:
    api.fault = Fault(headers={"Content-Security-Policy": "default-src 'self' " + "https://example.org " * 450})
    assert (await client(api.url).tasks(NOW - 60, NOW)).tasks == (TASK,)


async def test_an_answer_is_read_beside_the_event_loop(api: StandInApi, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()
    feed = AnswerReader.feed

    def watched(reader: AnswerReader, data: bytes) -> None:
        threads.add(threading.get_ident())
        feed(reader, data)

    monkeypatch.setattr(AnswerReader, "feed", watched)
    await client(api.url).tasks(NOW - 60, NOW)
    assert len(threads) == 1
    assert threading.get_ident() not in threads


@pytest.mark.parametrize(
    "flood",
    [b"HTTP/1.1 102 Processing\r\n\r\n" * 1000, b"1\r\n \r\n" * 10_000],
    ids=["informational responses", "chunks of a byte"],
)
async def test_a_flood_ends_with_the_time_out_and_the_loop_goes_on_meanwhile(flood: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if flood.startswith(b"1"):
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(flood)
                await writer.drain()
                await asyncio.sleep(0)  # drain gives no turn while the client reads as fast
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        asked = client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout="500ms")
        asking = asyncio.create_task(failure(asked))
        turns = 0
        while not asking.done():
            await asyncio.sleep(0.005)
            turns += 1
        assert type(await asking) is TasksNetworkError
        assert "no full answer in 0.5 s" in str(await asking)
    assert turns > 1


async def test_a_request_that_is_given_up_is_ended(api: StandInApi) -> None:
    api.fault = Fault(breaks="trickling")
    asking = asyncio.create_task(client(api.url).tasks(NOW - 60, NOW))
    async with asyncio.timeout(30):
        await api.asked()
        asking.cancel()
        await asyncio.wait([asking])
        while any(thread.name == "tasks" for thread in threading.enumerate()):
            await asyncio.sleep(0.01)


async def test_a_process_without_descriptors_says_so(api: StandInApi) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    asked = client(api.url)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    held = []
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.dup(0))
        error = await failure(asked)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)
    gc.collect()
    assert type(error) is TasksNetworkError
    assert "cannot be asked (Too many open files)" in str(error)


async def test_a_fault_in_reading_an_answer_is_one_of_the_answer(
    api: StandInApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object) -> None:
        raise KeyError("what the server said")

    monkeypatch.setattr(AnswerReader, "feed", defect)
    error = await failure(client(api.url))
    assert type(error) is TasksPayloadError
    assert "by a fault of this exporter (KeyError): please report it" in str(error)
    assert "what the server said" not in "".join(traceback.format_exception(error))


async def test_a_compressed_answer_is_read(api: StandInApi) -> None:
    api.fault = Fault(body=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"})
    assert (await client(api.url).tasks(NOW - 60, NOW)).tasks == ()


async def test_a_renewed_token_is_used_at_the_next_request(api: StandInApi, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("expired")
    path.chmod(0o600)
    asked = client(api.url, token_file=str(path))
    assert isinstance(await failure(asked), TasksAuthError)
    path.write_text(TOKEN)
    assert (await asked.tasks(NOW - 60, NOW)).tasks == (TASK,)


async def test_a_server_that_wants_a_token_where_none_is_set_says_where_to_put_it(
    api: StandInApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXPORTER_TASKS_TOKEN")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    told = await words(api, Fault(), TasksAuthError)
    places = "tasks.token_file, $EXPORTER_TASKS_TOKEN or the systemd credential tasks-token"
    assert told == f"answered 401: it wants a token, set {places}"


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (401, TasksAuthError, "the token is refused, it has probably expired, renew it: $EXPORTER_TASKS_TOKEN"),
        (403, TasksAuthError, "this token may not see tasks, an administrator's can: $EXPORTER_TASKS_TOKEN"),
        (422, TasksAuthError, "the token is malformed, check it: $EXPORTER_TASKS_TOKEN"),
        (400, TasksServerError, "request not accepted: is this the management server?"),
        (404, TasksServerError, "nothing there: set tasks.url to the server's base address"),
        (429, TasksServerError, "too many requests: raise tasks.refresh, or put a cache in between"),
        (500, TasksServerError, "the server failed: see its log"),
        (503, TasksServerError, "the server failed: see its log"),
    ],
)
async def test_each_status_has_its_words(api: StandInApi, status: int, kind: type[TasksError], expected: str) -> None:
    assert await words(api, Fault(status=status), kind) == f"answered {status}: {expected}"


async def test_a_redirect_is_not_followed(api: StandInApi) -> None:
    async with StandInApi([TASK], token=TOKEN) as elsewhere:
        fault = Fault(status=302, headers={"Location": elsewhere.url + PATH})
        told = await words(api, fault, TasksServerError)
        assert elsewhere.count == 0
    expected = "a redirect, not followed as the token would go along: set tasks.url to where it points"
    assert told == f"answered 302: {expected}"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            Fault(body=b"<html>log in</html>"),
            "the answer is a web page, not JSON: is a login page or a proxy in between?",
        ),
        (Fault(body=b"[]"), "expected an object keyed by task id, found a list"),
        (Fault(body=b'{"status": "ok"}'), "expected one object per task id, found text among them"),
        (Fault(body=b""), "the answer (0 bytes) is not JSON, or only a part of it"),
        (Fault(body=b'{"\xff": {}}'), "the answer (9 bytes) is not JSON, or only a part of it"),
        (Fault(body=b"[" * 100_000), "expected one object per task, found a list among them"),
        (Fault(body=b"9" * 5000), "the answer (5000 bytes) is not JSON, or only a part of it"),
        (Fault(breaks="truncated", body=b'{"f3c1": {'), "the answer (5 bytes) is not JSON, or only a part of it"),
        (
            Fault(breaks="amid"),
            "the answer broke off or is garbled: is the server restarting, or a proxy in between broken?",
        ),
        (
            Fault(body=b"{}", headers={"Content-Encoding": "gzip"}),
            "the answer broke off or is garbled: is the server restarting, or a proxy in between broken?",
        ),
        (Fault(breaks="endless"), "the answer holds a text, or spaces, of more than 16 MiB"),
    ],
)
async def test_each_unusable_body_has_its_words(api: StandInApi, fault: Fault, expected: str) -> None:
    assert await words(api, fault, TasksPayloadError) == expected


@pytest.mark.parametrize("fault", [Fault(delay=60), Fault(breaks="trickling")])
async def test_an_answer_that_does_not_end_in_time_is_given_up(api: StandInApi, fault: Fault) -> None:
    told = await words(api, fault, TasksNetworkError, timeout="100ms")
    assert told == "no full answer in 0.1 s (tasks.timeout): is it overloaded, or a firewall in between?"


async def test_a_connection_dropped_before_the_answer_has_its_words(api: StandInApi) -> None:
    told = await words(api, Fault(breaks="before"), TasksNetworkError)
    assert told == "the connection broke before an answer came: is the server restarting?"


async def test_a_refused_connection_has_its_words() -> None:
    with socket.socket() as unlistened:
        unlistened.bind(("127.0.0.1", 0))
        error = await failure(client(f"http://127.0.0.1:{unlistened.getsockname()[1]}"))
    assert type(error) is TasksNetworkError
    assert "connection refused: is the management server running" in str(error)


async def test_an_unknown_name_has_its_words() -> None:
    # RFC 6761: no resolver may ever know it.
    error = await failure(client("http://management.invalid"))
    assert type(error) is TasksNetworkError
    assert "its name cannot be resolved" in str(error)


async def test_a_name_that_cannot_be_one_is_told_as_such() -> None:
    error = await failure(client(f"http://{'a' * 64}.invalid"))
    assert type(error) is TasksNetworkError
    assert "its name cannot be resolved (not a host name)" in str(error)


async def test_a_name_is_looked_up_as_the_system_does(api: StandInApi) -> None:
    assert (await client(api.url.replace("127.0.0.1", "localhost")).tasks(NOW - 60, NOW)).tasks == (TASK,)


def test_a_lookup_that_hangs_delays_neither_the_failure_nor_the_end_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()

    def hang(*_: object, **__: object) -> None:
        release.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    errors = []

    async def ask() -> None:
        errors.append(await failure(client("http://management.invalid", timeout="50ms")))

    service = threading.Thread(target=lambda: asyncio.run(ask()))
    service.start()
    service.join(timeout=30)
    ended = not service.is_alive()
    release.set()
    service.join()
    assert ended
    assert type(errors[0]) is TasksNetworkError


def test_an_answer_that_takes_long_to_decode_does_not_delay_the_end_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, release = threading.Event(), threading.Event()

    def crawl(*_: object) -> None:
        begun.set()
        release.wait()

    monkeypatch.setattr(AnswerReader, "feed", crawl)

    async def ask_and_give_up() -> None:
        async with StandInApi([TASK], token=TOKEN, clock=lambda: NOW) as api:
            asking = asyncio.create_task(client(api.url).tasks(NOW - 60, NOW))
            while not begun.is_set():
                await asyncio.sleep(0.01)
            asking.cancel()
            await asyncio.wait([asking])

    service = threading.Thread(target=lambda: asyncio.run(ask_and_give_up()))
    service.start()
    service.join(timeout=30)
    ended = not service.is_alive()
    release.set()
    service.join()
    assert begun.is_set()
    assert ended


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def tls_api(certificate: Path) -> AsyncIterator[StandInApi]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with StandInApi([TASK], token=TOKEN, clock=lambda: NOW, tls=context) as server:
        yield server


async def test_a_private_authority_can_be_trusted(tls_api: StandInApi, certificate: Path) -> None:
    asked = client(tls_api.url, ca_file=str(certificate.with_suffix(".crt")))
    assert (await asked.tasks(NOW - 60, NOW)).tasks == (TASK,)


async def test_an_authority_of_the_system_is_trusted(tls_api: StandInApi, certificate: Path) -> None:
    with trusting(certificate):
        asked = client(tls_api.url)
    assert (await asked.tasks(NOW - 60, NOW)).tasks == (TASK,)


async def test_an_unknown_authority_is_not_trusted(tls_api: StandInApi) -> None:
    error = await failure(client(tls_api.url))
    assert type(error) is TasksNetworkError
    assert str(error).endswith(
        "TLS failed (self-signed certificate): set tasks.ca_file to the authority that signed the server's certificate"
    )
    assert tls_api.count == 0


async def test_https_to_a_server_without_it_has_its_words(api: StandInApi) -> None:
    error = await failure(client(api.url.replace("http:", "https:")))
    assert type(error) is TasksNetworkError
    assert "TLS failed (WRONG_VERSION_NUMBER): does the server speak https there?" in str(error)


def test_an_unusable_authority_is_named(tmp_path: Path) -> None:
    absent, empty = tmp_path / "absent.pem", tmp_path / "empty.pem"
    empty.touch()
    for path in (absent, empty):
        with pytest.raises(ConfigError, match=rf"^tasks\.ca_file: {path}: expected PEM certificates"):
            client("https://127.0.0.1", ca_file=str(path))


async def test_a_proxy_of_the_environment_never_gets_the_token(
    api: StandInApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with StandInApi([], token=TOKEN) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert (await client(api.url).tasks(NOW - 60, NOW)).tasks == (TASK,)
        assert proxy.count == 0


ECHOES: list[Callable[[bytes], bytes]] = [
    lambda request: request,
    lambda request: b"HTTP/1.1 500 " + request.replace(b"\r\n", b" ") + b"\r\n\r\n",
    lambda request: b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/" + request.split()[-3] + b"\r\n\r\n",
    lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(request), request),
    lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + request,
    lambda request: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + request,
    lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: " + request.replace(b"\r\n", b" ") + b"\r\n\r\n",
    lambda request: b"HTTP/1.1 200 OK\r\n" + request.replace(b":", b"") + b"\r\n\r\n",
    lambda request: _json_reply(json.dumps(request.decode())),
    lambda request: _json_reply(json.dumps({request.decode(): request.decode()})),
    lambda request: _json_reply(json.dumps({"a": {request.decode(): 1}})),
]


def _json_reply(body: str) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body.encode())


@asynccontextmanager
async def echo_server(echo: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(echo(await reader.readuntil(b"\r\n\r\n")))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("echo", ECHOES)
async def test_a_server_that_echoes_the_token_gets_it_into_no_error_and_no_log(
    echo: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with echo_server(echo) as url:
        asked = client(url)
        error = await failure(asked)
    logging.getLogger().error("as a careless caller would log it", exc_info=error)
    shown = [caplog.text, str(error), repr(error), repr(asked), *traceback.format_exception(error)]
    assert TOKEN not in "".join(shown)


async def test_without_a_token_none_is_sent_since_a_proxy_may_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPORTER_TASKS_TOKEN")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    requests = []

    def proxy(request: bytes) -> bytes:
        requests.append(request)
        return _json_reply("{}")

    async with echo_server(proxy) as url:
        assert (await client(url).tasks(NOW - 60, NOW)).tasks == ()
    assert b"authorization" not in requests[0].lower()
