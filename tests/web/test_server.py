from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator

import pytest

from exporter.errors import ListenError
from exporter.web import page
from tests.support.endpoint import CONTENT_TYPE, GET_METRICS, METRICS, Endpoint, answered, endpoint, until_closed
from tests.support.snapshots import HOSTILE_NODE, node, owned

PATHS = ("/", "/metrics", "/-/healthy", "/-/ready")


@pytest.fixture
async def served() -> AsyncIterator[Endpoint]:
    async with endpoint() as served:
        yield served


async def test_metrics_are_what_the_exposition_returns_for_the_accept_header(served: Endpoint) -> None:
    answer = await served.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert answer.status == 200
    assert gzip.decompress(answer.body) == METRICS
    assert answer.headers["Content-Type"] == CONTENT_TYPE
    assert served.accepts == ["application/openmetrics-text"]


@pytest.mark.parametrize(
    ("accept_encoding", "compressed"),
    [
        ("gzip", True),
        ("deflate, gzip;q=0.5", True),
        ("GZIP; q=1.0", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*;q=0", False),
        ("br", False),
    ],
)
async def test_gzip_is_sent_only_to_who_accepts_it(served: Endpoint, accept_encoding: str, compressed: bool) -> None:
    answer = await served.get("/metrics", headers={"Accept-Encoding": accept_encoding})
    assert (answer.headers.get("Content-Encoding") == "gzip") is compressed
    assert (gzip.decompress(answer.body) if compressed else answer.body) == METRICS
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"


async def test_a_short_body_is_not_compressed(served: Endpoint) -> None:
    served.metrics = b"up 1\n"
    answer = await served.get("/metrics")
    assert answer.body == b"up 1\n"
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize("path", PATHS)
async def test_head_has_the_headers_of_get_and_no_body(served: Endpoint, path: str) -> None:
    head, get = await served.get(path, method="HEAD"), await served.get(path)
    assert (head.status, head.body) == (200, b"")
    assert {**head.headers, "Date": ""} == {**get.headers, "Date": ""}
    assert int(head.headers["Content-Length"]) == len(get.body)


async def test_ready_is_503_until_there_were_readings(served: Endpoint) -> None:
    served.ready = False
    assert (await served.get("/-/ready")).status == 503
    assert (await served.get("/-/healthy")).status == 200
    served.ready = True
    assert (await served.get("/-/ready")).status == 200


@pytest.mark.parametrize("path", ["/favicon.ico", "/metrics/", "/../etc/passwd", "/%00", "//metrics", "/-/quit"])
async def test_every_other_path_is_a_short_404(served: Endpoint, path: str) -> None:
    answer = await served.get(path)
    assert answer.status == 404
    assert len(answer.body) < 100


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
async def test_other_methods_are_refused(served: Endpoint, method: str) -> None:
    answer = await served.get("/metrics", method=method, skip_auto_headers=["Content-Length"])
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"


async def test_a_body_is_refused_and_the_connection_closed(served: Endpoint) -> None:
    reply = await served.send(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
    assert reply.startswith(b"HTTP/1.1 413 ")


async def test_security_headers_are_on_every_answer(served: Endpoint) -> None:
    served.failure = RuntimeError()
    answers = [await served.get(path) for path in (*PATHS, "/nothing")]
    answers.append(await served.get("/", method="POST", data=b"x"))
    answers.append(await served.get("/", method="DELETE", skip_auto_headers=["Content-Length"]))
    assert {answer.status for answer in answers} == {200, 404, 405, 413, 500}
    heads = ["\n".join(f"{name}: {value}" for name, value in answer.headers.items()) for answer in answers]
    heads.append((await served.send(b"no HTTP at all\r\n\r\n")).decode())
    for head in heads:
        for line in (
            "Content-Security-Policy: default-src 'none'",
            "frame-ancestors 'none'",
            "X-Content-Type-Options: nosniff",
            "Referrer-Policy: no-referrer",
            "Cache-Control: no-store",
            "Server: mi300x-exporter",
        ):
            assert line in head


async def test_the_page_shows_the_current_snapshot(served: Endpoint) -> None:
    served.snapshot = HOSTILE_NODE
    answer = await served.get("/", headers={"Accept-Encoding": "identity"})
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"] == page.CONTENT_SECURITY_POLICY
    assert b"a-very-long-host-name" in answer.body


@pytest.mark.parametrize(
    ("accept_language", "tag"),
    [
        ("zh-TW", "zh-Hant-TW"),
        ("zh-tw", "zh-Hant-TW"),
        ("zh-Hant", "zh-Hant-TW"),
        ("zh-Hant-HK", "zh-Hant-TW"),
        ("zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7", "zh-Hant-TW"),
        ("fr, en;q=0.3, zh-TW;q=0.7", "zh-Hant-TW"),
        ("en-US,en;q=0.9,zh-TW;q=0.8", "en"),
        ("zh-CN,zh;q=0.9", "en"),
        ("zh-TW;q=0", "en"),
        ("zh-TWX", "en"),
        ("fr", "en"),
        ("*", "en"),
        ("", "en"),
        (";q=,,q;;=", "en"),
    ],
)
async def test_the_page_is_in_the_language_that_a_reader_likes_best(
    served: Endpoint, accept_language: str, tag: str
) -> None:
    answer = await served.get("/", headers={"Accept-Language": accept_language, "Accept-Encoding": "identity"})
    assert answer.headers["Content-Language"] == tag
    assert answer.headers["Vary"] == "Accept-Encoding, Accept-Language"
    assert f'<html lang="{tag}">'.encode() in answer.body


async def test_a_name_that_utf_8_cannot_say_breaks_no_page(served: Endpoint) -> None:
    served.snapshot = node(owned(0, "lone \ud800 surrogate", 0.5, 1))
    answer = await served.get("/", headers={"Accept-Encoding": "identity"})
    assert b"lone ? surrogate" in answer.body


async def test_a_failing_exposition_is_logged_once_and_leaves_the_rest_alone(
    served: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    served.failure = RuntimeError("secret detail")
    for _ in range(3):
        answer = await served.get("/metrics")
        assert answer.status == 500
        assert b"secret" not in answer.body
    assert len(caplog.records) == 1
    assert (await served.get("/")).status == 200
    served.failure = None
    assert (await served.get("/metrics")).status == 200
    served.failure = RuntimeError()
    await served.get("/metrics")
    assert len(caplog.records) == 2


async def test_one_connection_serves_many_scrapes(served: Endpoint) -> None:
    async with served.connected() as (reader, writer):
        for _ in range(5):
            writer.write(GET_METRICS)
            assert (await answered(reader)).endswith(METRICS)


async def test_requests_may_be_sent_ahead_of_their_answers(served: Endpoint) -> None:
    async with served.connected() as (reader, writer):
        writer.write(GET_METRICS * 100)
        for _ in range(100):
            assert (await answered(reader)).endswith(METRICS)


async def test_http_1_0_without_keep_alive_is_closed_after_the_answer(served: Endpoint) -> None:
    reply = await served.send(b"GET /metrics HTTP/1.0\r\n\r\n")
    assert reply.startswith(b"HTTP/1.0 200 ")
    assert reply.endswith(METRICS)


async def test_port_0_is_replaced_by_the_real_one(served: Endpoint) -> None:
    assert served.port > 0
    assert served.server.url == f"http://127.0.0.1:{served.port}/"


@pytest.mark.parametrize(("host", "url"), [("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")])
async def test_every_kind_of_address_answers_at_its_url(host: str, url: str) -> None:
    async with endpoint(host=host) as served:
        assert served.server.url == f"http://{url}:{served.port}/"
        assert (await served.get("/-/healthy")).status == 200


async def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ListenError, match=rf"127\.0\.0\.1 port {port}: another process"):
            async with endpoint(port=port):
                pass


@pytest.mark.parametrize(
    ("host", "advice"),
    [("192.0.2.1", "no such address"), ("fe80::1%none", "does not resolve"), ("a..b", "does not resolve")],
)
async def test_an_impossible_host_is_named(host: str, advice: str) -> None:
    with pytest.raises(ListenError, match=f"cannot listen on {host} port 0: .*{advice}"):
        async with endpoint(host=host):
            pass


async def test_the_port_is_free_again_after_stop_though_clients_were_connected() -> None:
    async with endpoint() as served:
        port = served.port
        reader, writer = await _connect(port)
        writer.write(GET_METRICS)
        await answered(reader)
    assert await until_closed(reader) == b""
    writer.close()
    async with endpoint(port=port) as served:
        assert (await served.get("/metrics")).status == 200


async def _connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)
