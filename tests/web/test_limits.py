"""Clients that mean harm or are broken, on real sockets, while /metrics goes on for the others."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import resource
import socket
from collections.abc import AsyncIterator

import pytest

from exporter.web import connection, listener
from tests.support.endpoint import GET_METRICS, METRICS, PATIENCE_SECONDS, Endpoint, answered, endpoint, until_closed

GARBAGE = {
    "noise": bytes(range(256)) * 8,
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a bad version": b"GET /metrics HTTP/9.9\r\n\r\n",
    "a header without colon": b"GET /metrics HTTP/1.1\r\nHost x\r\n\r\n",
    "two lengths": b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a negative length": b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "length and chunks": b"GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a broken chunk": b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a long line": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
    "a long header": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
}


@pytest.fixture
async def served(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Endpoint]:
    """An endpoint that must still serve, and must not have logged a thing, when the test is over."""
    async with endpoint() as served:
        yield served
        assert (await served.get("/metrics")).status == 200
        assert caplog.records == []


def shorten_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep-alive stays at its 90 s, so that only the deadline can close a connection within a test."""
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 1.0)


async def pour(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Sends the same again and again for as long as the server takes it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            writer.write(data)
            await writer.drain()


@pytest.mark.parametrize("request_bytes", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_is_answered_400_without_an_echo(served: Endpoint, request_bytes: bytes) -> None:
    reply = await served.send(request_bytes)
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] in {b"400", b"413"}
    assert body in {b"bad request\n", b"no request here takes a body\n"}


@pytest.mark.parametrize("headers", [b"Content-Length: 1000000000", b"Transfer-Encoding: chunked"])
async def test_a_huge_body_is_cut_off(served: Endpoint, headers: bytes) -> None:
    async with served.connected() as (_, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n\r\n")
        with pytest.raises(ConnectionError):
            await pour(writer, b"10000\r\n" + b"a" * 65536 + b"\r\n")


async def test_headers_without_end_are_cut_off(served: Endpoint) -> None:
    async with served.connected() as (_, writer):
        writer.write(b"GET / HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            await pour(writer, b"X-Header: " + b"a" * 1000 + b"\r\n")


@pytest.mark.parametrize("sent", [b"", b"GET /met", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_half_open_connection_is_closed_at_the_deadline(
    served: Endpoint, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    shorten_deadline(monkeypatch)
    assert await served.send(sent) == b""


async def test_bytes_that_drip_do_not_extend_the_deadline(served: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_deadline(monkeypatch)
    async with served.connected() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"a")
                await writer.drain()
                await asyncio.sleep(0.01)
        assert await until_closed(reader) == b""


async def test_a_second_request_that_stalls_meets_the_deadline_too(
    served: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served.connected() as (reader, writer):
        writer.write(GET_METRICS)
        await answered(reader)
        shorten_deadline(monkeypatch)
        writer.write(b"GET /metrics HT")
        assert await until_closed(reader) == b""


async def test_a_client_that_does_not_read_its_answer_is_dropped_at_the_deadline(
    served: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_deadline(monkeypatch)
    served.metrics = b"#" * 64 * 2**20
    async with served.connected() as (reader, writer):
        writer.write(GET_METRICS)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Content-Length: 67108864" in head
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        clients = served.server._listener._clients  # type: ignore[union-attr]
        (client,) = clients
        await asyncio.wait_for(client.closed, PATIENCE_SECONDS)
        served.metrics = METRICS


async def test_requests_piled_up_behind_an_answer_that_is_not_read_are_cut_off(
    served: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 1000.0)
    served.metrics = b"#" * 64 * 2**20
    async with served.connected() as (reader, writer):
        writer.write(GET_METRICS)
        await reader.readuntil(b"\r\n\r\n")
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        with pytest.raises(ConnectionError):
            await pour(writer, b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 8000 + b"\r\n\r\n")
    served.metrics = METRICS


async def test_a_burst_of_connections_is_cut_down_at_once(served: Endpoint) -> None:
    excess = 30
    with contextlib.ExitStack() as stack:
        burst = [
            stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
            for _ in range(listener.MAX_CONNECTIONS + excess)
        ]
        for client in burst:
            client.setblocking(False)
        loop = asyncio.get_running_loop()
        ends = [asyncio.create_task(loop.sock_recv(client, 1)) for client in burst]
        async with asyncio.timeout(PATIENCE_SECONDS):
            for end in itertools.islice(asyncio.as_completed(ends), excess):
                assert await end == b""
        for end in ends:
            end.cancel()
        assert len(served.server._listener._clients) == listener.MAX_CONNECTIONS  # type: ignore[union-attr]


async def test_a_flood_from_one_address_leaves_the_scrapes_of_another_alone(served: Endpoint) -> None:
    async with served.connected(local="127.0.0.2") as (reader, writer), contextlib.AsyncExitStack() as flood:
        for _ in range(3 * listener.MAX_CONNECTIONS):
            await flood.enter_async_context(served.connected())
        writer.write(GET_METRICS)
        assert (await answered(reader)).endswith(METRICS)
        assert len(served.server._listener._clients) <= listener.MAX_CONNECTIONS  # type: ignore[union-attr]


async def test_at_the_limit_a_newcomer_displaces_the_connection_longest_without_an_answer(served: Endpoint) -> None:
    async with contextlib.AsyncExitStack() as stack:
        oldest, second, *_ = [
            await stack.enter_async_context(served.connected()) for _ in range(listener.MAX_CONNECTIONS)
        ]
        oldest[1].write(GET_METRICS)
        await answered(oldest[0])
        newcomer = await stack.enter_async_context(served.connected())
        newcomer[1].write(GET_METRICS)
        assert (await answered(newcomer[0])).endswith(METRICS)
        assert await until_closed(second[0]) == b""
        oldest[1].write(GET_METRICS)
        assert (await answered(oldest[0])).endswith(METRICS)


async def test_a_lack_of_file_descriptors_is_survived(served: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "_PAUSE_SECONDS", 0.01)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as client:
        lowest_free = os.dup(client.fileno())
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            client.connect(("127.0.0.1", served.port))
            client.sendall(GET_METRICS)
            for _ in range(10):  # turns of the event loop, in which the connection is there to be accepted
                await asyncio.sleep(0)
            assert served.accepts == []
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        client.setblocking(False)
        answer = asyncio.get_running_loop().sock_recv(client, 1024)
        assert (await asyncio.wait_for(answer, PATIENCE_SECONDS)).startswith(b"HTTP/1.1 200 ")
