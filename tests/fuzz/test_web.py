"""What strangers send to the endpoint, and what they and Prometheus read there."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter import exposition, speech
from exporter.labels import bounded
from exporter.model import Amounts, Owner, Ownership, Snapshot, Task
from exporter.names import joined, natural, visible
from exporter.web.auth import _decode
from exporter.web.negotiation import accepts_gzip, preferred_language
from tests.fuzz.fuzzing import TEXTS, dear, mutated, reads_or_refuses
from tests.support import snapshots
from tests.support.endpoint import Endpoint, endpoint
from tests.support.loopless import at_once

ACCEPTED = (
    mutated(
        [
            b"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
            b"gzip;q=1.0, identity; q=0.5, *;q=0",
            b"zh-TW,zh-Hant;q=0.9,zh;q=0.8,en;q=0.7",
        ],
        [b";q=", b",", b";", b" " * 2000, b";q=1" * 500, b"1." * 50, b"version=", b"escaping=dots", b"NaN", b"-1"],
    ).map(lambda data: data.decode("latin-1"))
    | TEXTS
)
REQUESTS = mutated(
    [
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\nAccept-Encoding: gzip\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Language: zh-TW\r\nConnection: close\r\n\r\n",
        b"POST /-/healthy HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
    [
        b"\r\n", b"\n", b"\r", b" ", b":", b"HTTP/1.0", b"HTTP/9.9", b"Content-Length: 99999999999999999999\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\nConnection: upgrade\r\n",
        b"X: y\r\n" * 80,
        b"A" * 9000, b"/../..", b"%00", b"%ff", b"http://[::1", b"//", b"?", b"#", b"*", b"\x80",
        b"Authorization: Basic !!\r\n",
    ],
)  # fmt: skip
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(ACCEPTED)
@reads_or_refuses()
def test_what_a_client_accepts(header: str) -> None:
    accepts_gzip(header)
    assert preferred_language(header) in speech.languages()
    encoder, content_type = exposition._chosen(header)
    assert content_type.isascii()
    assert content_type.isprintable()
    assert encoder is exposition._chosen(header)[0]


@given(TEXTS | st.binary(max_size=40).map(lambda data: "Basic " + base64.b64encode(data).decode()) | ACCEPTED)
@reads_or_refuses(ValueError)
def test_authorization(header: str) -> None:
    name, password = _decode(header)
    (name + password).encode()


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[asyncio.Runner, Endpoint]]:
    """One endpoint for all requests, which therefore has to outlive each."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        yield runner, runner.run(stack.enter_async_context(endpoint()))
        runner.run(stack.aclose())


async def said(to: Endpoint, request: bytes) -> bytes:
    async with to.connected() as (reader, writer):
        writer.write(request)
        writer.write_eof()
        received = b""
        try:
            while chunk := await reader.read(65536):
                received += chunk
        except ConnectionError:
            pass
        return received


@given(request_=REQUESTS | st.binary(max_size=100))
@reads_or_refuses()
def test_requests(served: tuple[asyncio.Runner, Endpoint], request_: bytes) -> None:
    runner, to = served
    answer = runner.run(said(to, request_))
    assert not answer or answer.startswith(b"HTTP/1.")
    assert b" 500 " not in answer.split(b"\r\n", 1)[0]
    assert runner.run(to.get("/-/healthy")).status == 200


@st.composite
def nodes(draw: st.DrawFn) -> Snapshot:
    """A node whose every name somebody else chose."""
    state = snapshots.EIGHT.gpus[0]
    task = Task(draw(NAMES), draw(NAMES), draw(NAMES), (), 1.0, hostname=draw(NAMES), image=draw(NAMES))
    owner = Owner(draw(NAMES), draw(NAMES), draw(st.sampled_from(Ownership)))
    gpu = replace(
        state.gpu, model=draw(NAMES), driver_version=draw(NAMES), aliases=frozenset(draw(st.sets(NAMES, max_size=3)))
    )
    gpus = replace(state, gpu=gpu, owner=owner, accounts=((owner, Amounts(1.0, 0.5)),), tasks=(task,))
    return replace(snapshots.EIGHT, hostname=draw(NAMES), gpus=(gpus,))


@dear
@given(nodes())
@reads_or_refuses()
def test_labels_come_back_as_they_were(node: Snapshot) -> None:
    registry = CollectorRegistry(auto_describe=False)
    exposition.Instruments(registry)
    rendered = exposition.Exposition(lambda: node, registry, 1.0, lambda: 0.0)
    state = node.gpus[0]
    for accept, parse in (("", parse_text), ("application/openmetrics-text", parse_openmetrics)):
        samples = [sample for family in parse(at_once(rendered(accept))[0].decode()) for sample in family.samples]
        info = next(sample.labels for sample in samples if sample.name == "amdgpu_info")
        assert (info["hostname"], info["model"], info["driver_version"]) == (
            node.hostname,
            state.gpu.model,
            state.gpu.driver_version,
        )
        owned = next(sample.labels for sample in samples if sample.name == "amdgpu_owner_seconds_total")
        assert Owner(owned["username"], owned["task_type"], Ownership(owned["ownership"])) == state.owner


@given(TEXTS | st.text(max_size=2000))
@reads_or_refuses()
def test_names(name: str) -> None:
    assert len(bounded(name)) <= 256
    assert "\n" not in visible(name)
    natural(name)
    joined([name, name])
