from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
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
from exporter.report.history.client import MAX_STEPS, PrometheusClient
from exporter.report.history.queries import Question
from exporter.report.history.responses import Remark, Series, Unsound
from tests.support.certificates import self_signed, trusting

QUESTION = Question("a question", "x{}")
SECRET = "s3cr3t-token"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The URL of a real server on loopback that answers everything with the handler."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def answering(*answers: web.Response) -> Handler:
    """One answer after the other, then the last for ever."""
    left = list(answers)

    async def handler(_: web.Request) -> web.Response:
        answer = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(body=answer.body, status=answer.status, headers=answer.headers)

    return handler


def matrix(*series: tuple[dict[str, str], list[list[Any]]], **more: Any) -> web.Response:
    result = [{"metric": labels, "values": values} for labels, values in series]
    return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": result}, **more})


async def asked(url: str, **settings: Any) -> list[Series]:
    """The answer to one question."""
    async with PrometheusClient(config.Prometheus(url=url, **settings)) as client:
        return await client.instant(QUESTION, 1000.0)


async def test_staleness_markers_are_no_samples() -> None:
    values = [[1, "0.5"], [2, "NaN"], [3, "7"]]
    async with (
        serving(answering(matrix(({"a": "b"}, values)))) as url,
        PrometheusClient(config.Prometheus(url=url)) as client,
    ):
        (series,) = await client.instant(QUESTION, 3.0)
    assert series.labels == {"a": "b"}
    assert series.times.tolist() == [1.0, 3.0]
    assert series.values.tolist() == [0.5, 7.0]
    assert client.unsound == ()


async def test_no_range_query_nears_the_servers_limit_of_points() -> None:
    asked_for: list[tuple[float, float, float]] = []

    async def handler(request: web.Request) -> web.Response:
        form = await request.post()
        start, end, step = (float(str(form[name])) for name in ("start", "end", "step"))
        asked_for.append((start, end, step))
        return matrix(({"a": "b"}, [[start, "1"], [end, "2"]]))

    steps = 2 * MAX_STEPS + 5
    async with serving(handler) as url, PrometheusClient(config.Prometheus(url=url)) as client:
        (series,) = await client.range(QUESTION, 60.0, 60.0 * steps, 60.0)
    assert [1 + (end - start) / step for start, end, step in asked_for] == [MAX_STEPS, MAX_STEPS, 5]
    assert series.times[0] == 60.0
    assert series.times[-1] == 60.0 * steps
    assert all(later[0] - earlier[1] == 60.0 for earlier, later in pairwise(asked_for))


async def test_token_and_tenant_are_sent_and_never_shown(tmp_path: Path) -> None:
    seen: list[tuple[str | None, str | None]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.headers.get("Authorization"), request.headers.get("X-Scope-OrgID")))
        return web.Response(status=401, text=f"bad {request.headers['Authorization']}")

    (tmp_path / "token").write_text(SECRET + "\n", encoding="utf-8")
    async with serving(handler) as url:
        with pytest.raises(HistoryAuthError) as caught:
            await asked(url, token_file=tmp_path / "token", headers={"X-Scope-OrgID": SecretStr("tenant-7")})
    assert seen == [(f"Bearer {SECRET}", "tenant-7")]
    assert SECRET not in str(caught.value)
    assert "tenant-7" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "two\nlines", "señor"])
async def test_a_token_that_cannot_be_sent_is_refused_unseen(tmp_path: Path, token: str) -> None:
    (tmp_path / "token").write_text(token, encoding="utf-8")
    with pytest.raises(ConfigError, match="expected one line of printable ASCII") as caught:
        await asked("http://127.0.0.1:9", token_file=tmp_path / "token")
    assert not token or token not in str(caught.value)


async def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no-such-file"):
        await asked("http://127.0.0.1:9", token_file=tmp_path / "no-such-file")


async def test_values_that_cannot_be_are_left_out_and_told() -> None:
    values = [[1, "0.5"], [2, "+Inf"], [3, "-Inf"], [4, "-1"], [5, "1e300"], [6, "7"]]
    async with (
        serving(answering(matrix(({"a": "b"}, values), ({"a": "c"}, [[1, "+Inf"]])))) as url,
        PrometheusClient(config.Prometheus(url=url)) as client,
    ):
        (series,) = await client.instant(QUESTION, 6.0)
    assert (series.times.tolist(), series.values.tolist()) == ([1.0, 6.0], [0.5, 7.0])
    assert client.unsound == (("a question", Unsound.IMPOSSIBLE),)


@pytest.mark.parametrize(
    "answer",
    [
        matrix(({"a": "b"}, [[1, "1"], [1, "9"], [2, "2"]])),
        matrix(({"a": "b"}, [[1, "1"], [2, "2"]]), ({"a": "b"}, [[1, "9"], [2, "9"]])),
        matrix(({"a": "b"}, [[2, "2"], [1, "1"], [2, "9"]])),
    ],
    ids=["samples", "series", "out of order"],
)
async def test_what_is_told_twice_counts_once_and_is_told(answer: web.Response) -> None:
    async with serving(answering(answer)) as url, PrometheusClient(config.Prometheus(url=url)) as client:
        (series,) = await client.instant(QUESTION, 6.0)
    assert (series.times.tolist(), series.values.tolist()) == ([1.0, 2.0], [1.0, 2.0])
    assert client.unsound == (("a question", Unsound.TWICE),)


async def test_samples_of_other_times_than_asked_for_are_refused() -> None:
    async with (
        serving(answering(matrix(({"a": "b"}, [[2.7e9, "1"]])))) as url,
        PrometheusClient(config.Prometheus(url=url)) as client,
    ):
        for question in (client.instant(QUESTION, 1.7e9), client.range(QUESTION, 1.7e9, 1.7e9 + 600, 600)):
            with pytest.raises(HistoryPayloadError, match="a question: the answer tells of other times"):
                await question


async def test_a_series_without_a_label_that_was_asked_for_is_refused() -> None:
    question = Question("a question", "x{}", frozenset({"gpu_uuid"}))
    async with (
        serving(answering(matrix(({"a": "b"}, [[1, "1"]])))) as url,
        PrometheusClient(config.Prometheus(url=url)) as client,
    ):
        with pytest.raises(HistoryPayloadError, match="gpu_uuid"):
            await client.instant(question, 1.0)


def gzipped(mebibytes: int) -> web.Response:
    packed = gzip.compress(bytes(2**20) * mebibytes, compresslevel=1)
    return web.Response(body=packed, headers={"Content-Encoding": "gzip"})


async def test_an_answer_that_unpacks_to_more_than_any_could_be_is_left() -> None:
    async with serving(answering(gzipped(80))) as url:
        with pytest.raises(HistoryPayloadError, match="a question: the answer is larger than 64 MiB"):
            await asked(url)


async def test_an_answer_without_end_is_left() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(bytes(2**20))
        return response

    async with serving(handler) as url:
        with pytest.raises(HistoryPayloadError, match="larger than 64 MiB"):
            await asked(url)


NESTED = "[" * 200_000 + "]" * 200_000
HTML = web.Response(text="<html><body>Sign in</body></html>", content_type="text/html")


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (HTML, HistoryPayloadError, "Sign in"),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:9/login"}), HistoryPayloadError, "302"),
        (web.Response(status=404, text="404 page not found"), HistoryPayloadError, "path prefix"),
        (web.Response(text='{"status":"success","data":{"resu'), HistoryPayloadError, "expected Prometheus' JSON"),
        (web.Response(text="[]"), HistoryPayloadError, "expected Prometheus' JSON"),
        (web.Response(text=f'{{"status":"success","data":{NESTED}}}'), HistoryPayloadError, "Prometheus' JSON"),
        (matrix(({"a": "b"}, [[float("nan"), "1"]])), HistoryPayloadError, "times and numbers"),
        (matrix(({"a": 5}, [[1, "1"]])), HistoryPayloadError, "times and numbers"),  # type: ignore[dict-item]
        (matrix((None, [[1, "1"]])), HistoryPayloadError, "times and numbers"),  # type: ignore[arg-type]
        (web.Response(text='{"status":"success","data":{"resultType":"scalar"}}'), HistoryPayloadError, "series"),
        (
            web.Response(
                text='{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1]}]}}'
            ),
            HistoryPayloadError,
            "series",
        ),
        (
            web.json_response({"status": "error", "errorType": "bad_data", "error": "parse error: x"}, status=400),
            HistoryQueryError,
            "a question: the server says: parse error: x",
        ),
        (web.json_response({"status": "error", "error": "too many"}), HistoryQueryError, "too many"),
        (web.Response(status=403, text="no"), HistoryAuthError, "token_file"),
        (web.Response(status=500, text="oops"), HistoryUnreachableError, "500"),
    ],
)
async def test_each_bad_answer_has_its_error_and_its_words(
    answer: web.Response, error: type[HistoryError], words: str
) -> None:
    async with serving(answering(answer)) as url:
        with pytest.raises(error, match=words):
            await asked(url)


async def test_what_may_pass_is_tried_again() -> None:
    async with serving(answering(web.Response(status=503, text="starting"), matrix())) as url:
        assert await asked(url) == []


async def test_what_does_not_pass_is_told_after_three_attempts() -> None:
    attempts = 0

    async def handler(_: web.Request) -> web.Response:
        nonlocal attempts
        attempts += 1
        return web.Response(status=503, text="overloaded")

    async with serving(handler) as url:
        with pytest.raises(HistoryUnreachableError, match="503"):
            await asked(url)
    assert attempts == 3


@pytest.mark.parametrize("kind", ["timeout", "canceled"])
async def test_a_query_that_took_too_long_is_not_tried_again(kind: str) -> None:
    attempts = 0

    async def handler(_: web.Request) -> web.Response:
        nonlocal attempts
        attempts += 1
        return web.json_response({"status": "error", "errorType": kind, "error": "query timed out"}, status=503)

    async with serving(handler) as url:
        with pytest.raises(HistoryQueryError, match="timed out"):
            await asked(url)
    assert attempts == 1


async def test_a_lost_connection_is_tried_again() -> None:
    attempts = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            assert request.transport is not None
            request.transport.abort()
        return matrix()

    async with serving(handler) as url:
        assert await asked(url) == []
    assert attempts == 2


async def test_an_answer_that_breaks_off_is_no_answer() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"status":"success"')
        assert request.transport is not None
        request.transport.abort()
        return response

    async with serving(handler) as url:
        with pytest.raises(HistoryPayloadError, match="broke off"):
            await asked(url)


async def test_a_server_that_does_not_answer_is_left_after_the_timeout() -> None:
    over = asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        await over.wait()
        return matrix()

    async with serving(handler) as url:
        with pytest.raises(HistoryUnreachableError, match=r"no answer within 0\.05 s"):
            await asked(url, timeout="50ms")
        over.set()


async def test_a_refused_connection_asks_for_the_url() -> None:
    with pytest.raises(HistoryUnreachableError, match=r"is prometheus\.url right"):
        await asked("http://127.0.0.1:9")


async def test_remarks_are_passed_on_once_and_in_order() -> None:
    async with (
        serving(
            answering(matrix(warnings=["partial"], infos=["hint"]), matrix(warnings=["partial"], isPartial=True))
        ) as url,
        PrometheusClient(config.Prometheus(url=url)) as client,
    ):
        for _ in range(3):
            await client.instant(QUESTION, 1.0)
    hint, storage, partial = client.remarks
    assert (hint, partial) == (Remark("hint", lacks_data=False), Remark("partial", lacks_data=True))
    assert "storage nodes" in storage.text
    assert storage.lacks_data


async def test_a_remark_that_once_was_a_warning_stays_one() -> None:
    async with (
        serving(answering(matrix(infos=["late"]), matrix(warnings=["late"]), matrix(infos=["late"]))) as url,
        PrometheusClient(config.Prometheus(url=url)) as client,
    ):
        for _ in range(3):
            await client.instant(QUESTION, 1.0)
    assert client.remarks == (Remark("late", lacks_data=True),)


async def test_few_queries_are_under_way_at_once() -> None:
    under_way, most = 0, 0
    four = asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 4:
            four.set()
        await four.wait()
        under_way -= 1
        return matrix()

    async with serving(handler) as url, PrometheusClient(config.Prometheus(url=url)) as client:
        await asyncio.gather(*(client.instant(QUESTION, 1.0) for _ in range(12)))
    assert most == 4


async def test_label_sets_that_are_none_are_refused() -> None:
    async with (
        serving(answering(web.Response(text=json.dumps({"status": "success", "data": ["a"]})))) as url,
        PrometheusClient(config.Prometheus(url=url)) as client,
    ):
        with pytest.raises(HistoryPayloadError):
            await client.label_sets(QUESTION, 0.0, 1.0)


async def test_over_https_the_authorities_of_the_system_are_trusted_and_nobody_else(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    async with serving(answering(matrix(({}, [[15, "1"]]))), tls) as url:
        async with PrometheusClient(config.Prometheus(url=url)) as client:
            with pytest.raises(HistoryUnreachableError, match="certificate"):
                await client.instant(QUESTION, 15)
        with trusting(certificate):
            async with PrometheusClient(config.Prometheus(url=url)) as client:
                assert len(await client.instant(QUESTION, 15)) == 1
