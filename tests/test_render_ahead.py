"""What is rendered before it is asked for: what the scrape would have found, whatever happens in between."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
from prometheus_client.openmetrics.exposition import generate_latest

from exporter import config
from exporter.devices.source import DeviceSink
from exporter.errors import GpuLostError, TasksNetworkError
from exporter.model import Answer, Health, Process, Reading
from exporter.service import Service, Sink
from exporter.tasks.source import TaskSink
from tests.support import snapshots
from tests.support.contract import Registry
from tests.support.loopless import at_once

GPU = snapshots.gpu(0)
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
ANSWER = Answer((), (), 0.0)

WORDS: dict[str, Callable[[Sink], object]] = {
    "found": lambda sink: sink.found([GPU, snapshots.gpu(1)]),
    "read": lambda sink: sink.read(GPU.uuid, Reading(1.0, utilization=0.5), 0.001),
    "inspected": lambda sink: sink.inspected(GPU.uuid, Health({"correctable": 3})),
    "used_by": lambda sink: sink.used_by(GPU.uuid, [Process(100, 2**30)]),
    "failed": lambda sink: sink.failed(GPU, GpuLostError("gone")),
    "recovered": lambda sink: sink.recovered(GPU),
    "restarted": lambda sink: sink.restarted("crash"),
    "answered": lambda sink: asyncio.run(sink.answered(ANSWER, 0.1)),
    "refused": lambda sink: sink.refused(TasksNetworkError("away"), 0.1),
}
"""Of DeviceSink and TaskSink, each that tells something."""


class Node:
    """A service whose clock and readings are the test's."""

    def __init__(self) -> None:
        self.now = 100.0
        self.prepared = asyncio.Event()
        settled = config.parse({"hostname": "colab-gpu4", "listen": {"host": "127.0.0.1", "port": 0}}, where="test")
        self.service = Service(settled, self, monotonic=lambda: self.now, wall=lambda: 1.75e9 + self.now)
        self.service.sink.found([GPU])
        prepare = self.service._pages.prepare

        async def watched(seconds: float) -> None:
            await prepare(seconds)
            self.prepared.set()

        self.service._pages.prepare = watched  # type: ignore[method-assign]

    async def run(self, sink: DeviceSink) -> None:  # noqa: ARG002  readings come from the test
        """See DeviceSource."""
        await asyncio.Event().wait()

    async def sweep(self, at: float) -> list[bytes]:
        """Reads its GPU, and returns what is rendered then, before anybody asks."""
        self.now = at
        self.prepared.clear()
        self.service.sink.read(GPU.uuid, Reading(at, utilization=at % 1.0), 0.001)
        await self.prepared.wait()
        return list(self.service.sink.exposition._rendered.values())

    def shown(self) -> bytes:
        """What prometheus_client makes of it now."""
        return bytes(generate_latest(Registry(self.service.node.snapshot(), self.service.sink.exposition._instruments)))  # type: ignore[no-untyped-call]  # it lacks annotations

    async def scrape(self, at: float, headers: dict[str, str] | None = None) -> bytes:
        self.now = at
        url = f"{self.service.web.url}metrics"
        session = aiohttp.ClientSession(auto_decompress=False)
        async with session, session.get(url, headers=headers or {"Accept": OPENMETRICS}) as response:
            assert response.status == 200
            return await response.read()


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    node = Node()
    async with node.service.running():
        yield node


def test_every_word_is_in_the_next_scrape_whatever_was_rendered_before() -> None:
    told = {name for sink in (DeviceSink, TaskSink) for name in vars(sink) if not name.startswith("_")}
    assert WORDS.keys() == told - {"wanted_since", "scope"}

    for say in WORDS.values():
        sink = Node().service.sink
        before, _ = at_once(sink.exposition(OPENMETRICS))
        say(sink)
        assert at_once(sink.exposition(OPENMETRICS))[0] is not before


async def test_what_a_steady_scraper_will_find_is_rendered_at_the_end_of_the_sweep_before(node: Node) -> None:
    for turn in range(4):
        *before, ready = [await node.sweep(101.0 + 15 * turn + second) for second in range(15)]
        body = gzip.decompress(await node.scrape(115.5 + 15 * turn))

        assert before == [[]] * 14
        assert ready == ([body] if turn >= 2 else [])
        assert _without_process(body) == _without_process(node.shown())


async def test_nothing_is_rendered_where_nobody_scrapes(node: Node) -> None:
    for second in range(100):
        assert await node.sweep(101.0 + second) == []


async def test_it_is_rendered_in_the_form_that_each_asks_for(node: Node) -> None:
    forms = [{"Accept": OPENMETRICS}, {"Accept": "text/plain", "Accept-Encoding": "identity"}]
    for at in (101.2, 116.2):
        for form in forms:
            await node.scrape(at, form)
    ready = await node.sweep(131.0)

    assert len(ready) == 2
    assert {gzip.decompress(await node.scrape(131.2, forms[0])), await node.scrape(131.2, forms[1])} == set(ready)


async def test_a_page_that_cannot_be_made_ends_neither_the_service_nor_what_comes_after(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in (101.2, 116.2):
        await node.scrape(at)
    with monkeypatch.context() as broken:
        broken.setattr(node.service.sink.exposition, "_snapshot", lambda: 1 / 0)
        assert await node.sweep(131.0) == []

    assert len(await node.sweep(131.1)) == 1


def _without_process(body: bytes) -> list[bytes]:
    """What the kernel counts of this process changes from one look to the next."""
    return [line for line in body.splitlines() if b"process_" not in line]
