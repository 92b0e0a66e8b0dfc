"""What the service keeps off its event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from exporter import config, service
from exporter.demo.api import StandInApi
from exporter.model import UNALLOCATED, Answer, GpuState
from exporter.weighing import Question, Verdict, weigh
from tests.support.fleet import fleet

SETTINGS = {"devices": {"source": "simulated", "interval": "20ms"}, "metering": {"birth": "0s"}}


async def shows(node: service.Service, figure: Callable[[GpuState], float]) -> bool:
    """Waits until a figure of the first GPU is above 0."""
    async with asyncio.timeout(30):
        while not any(figure(gpu) > 0 for gpu in node.node.snapshot().gpus[:1]):
            await asyncio.sleep(0.01)
    return True


def booked(gpu: GpuState) -> float:
    return dict(gpu.accounts)[UNALLOCATED].observed_seconds


async def test_an_answer_is_weighed_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()

    def watched(question: Question) -> Verdict:
        threads.add(threading.get_ident())
        return weigh(question)

    monkeypatch.setattr(service, "weigh", watched)
    async with StandInApi([]) as api:
        monkeypatch.setenv("EXPORTER_TASKS_TOKEN", api.token)
        asked = {"url": api.url, "refresh": "50ms", "settle": "0s"}
        async with fleet(1, {**SETTINGS, "tasks": asked}) as (node,):
            assert await shows(node, booked)
    assert threads
    assert threading.get_ident() not in threads


async def test_an_answer_is_booked_though_no_thread_is_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fleet(1, {**SETTINGS, "tasks": {"url": "http://127.0.0.1:1"}}) as (node,):
        await shows(node, lambda gpu: gpu.unbooked_seconds)

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        node.node.reconfigure(config.Tasks.model_validate({"url": "http://127.0.0.1:1", "settle": "0s"}))
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            await node.sink.answered(Answer((), (), time.monotonic()), 0.1)
        assert await shows(node, booked)
