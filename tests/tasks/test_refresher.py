from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import config
from exporter.demo.api import Fault, StandInApi
from exporter.errors import ConfigError, TasksAuthError, TasksError, TasksNetworkError, TasksServerError
from exporter.model import Answer, Scope, Task, TaskGpu
from exporter.tasks.consumption.client import PATH
from exporter.tasks.refresher import TaskRefresher, pause

TOKEN = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl"
NOW = 1753142430.5
TASK = Task("f3c1", "itrd", "WEBAPP", (TaskGpu("52f67b3700dcc6f3", "27"),), NOW - 3600.5)
BAD = {"username": "itrd", "gpus": [], "start": "Tue, 22 Jul 2025 00:00:00 GMT"}


class Sink:
    """Keeps what it is told."""

    def __init__(self, wanted_since: float = NOW - 65) -> None:
        self.told: asyncio.Queue[Answer | TasksError] = asyncio.Queue()
        self.seconds: list[float] = []
        self._wanted_since = wanted_since

    def wanted_since(self) -> float:
        return self._wanted_since

    def scope(self) -> Scope:
        return Scope("colab-gpu4", frozenset({"52f67b3700dcc6f3"}))

    async def answered(self, answer: Answer, seconds: float) -> None:
        self.told.put_nowait(answer)
        self.seconds.append(seconds)

    def refused(self, error: TasksError, seconds: float) -> None:
        self.told.put_nowait(error)
        self.seconds.append(seconds)

    async def answer(self) -> Answer:
        told = await soon(self.told.get())
        assert isinstance(told, Answer)
        return told

    async def error(self) -> TasksError:
        told = await soon(self.told.get())
        assert isinstance(told, TasksError)
        return told


T = TypeVar("T")


async def soon(event: Awaitable[T]) -> T:
    async with asyncio.timeout(30):
        return await event


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORTER_TASKS_TOKEN", TOKEN)


@pytest.fixture
async def api() -> AsyncIterator[StandInApi]:
    async with StandInApi([TASK], token=TOKEN, clock=lambda: NOW) as server:
        yield server


def settings(url: str | None, *, refresh: str = "10ms") -> config.Tasks:
    return config.Tasks.model_validate({"url": url, "refresh": refresh, "expire_after": "2h"})


@asynccontextmanager
async def running(refresher: TaskRefresher, sink: Sink) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(refresher.run(sink))
    try:
        yield task
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_the_first_answer_comes_at_once_and_more_follow(api: StandInApi) -> None:
    sink = Sink()
    async with running(TaskRefresher(settings(api.url), now=lambda: NOW), sink):
        for _ in range(3):
            assert (await sink.answer()).tasks == (TASK,)
    assert all(0 < seconds < 30 for seconds in sink.seconds)


async def test_the_window_reaches_from_the_oldest_unbooked_instant_to_now_in_whole_minutes(api: StandInApi) -> None:
    sink = Sink(wanted_since=NOW - 65)
    async with running(TaskRefresher(settings(api.url), now=lambda: NOW), sink):
        await sink.answer()
    assert api.requests[0] == {"start_t": "2025-07-21 23:59:00", "end_t": "2025-07-22 00:01:00"}


async def test_a_clock_that_stepped_back_still_asks_for_a_window(api: StandInApi) -> None:
    sink = Sink(wanted_since=NOW + 3600)
    async with running(TaskRefresher(settings(api.url), now=lambda: NOW), sink):
        await sink.answer()
    assert api.requests[0] == {"start_t": "2025-07-22 00:00:00", "end_t": "2025-07-22 00:01:00"}


async def test_failures_are_told_and_end_nothing(api: StandInApi) -> None:
    sink = Sink()
    async with running(TaskRefresher(settings(api.url)), sink):
        api.fault = Fault(status=401)
        while not isinstance(error := await soon(sink.told.get()), TasksAuthError):
            assert isinstance(error, Answer)
        api.fault = Fault()
        while not isinstance(await soon(sink.told.get()), Answer):
            pass


async def test_a_failure_is_logged_when_it_begins_changes_and_ends(
    api: StandInApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "exporter")
    sink = Sink()
    api.fault = Fault(status=503)
    async with running(TaskRefresher(settings(api.url)), sink):
        for _ in range(3):
            await sink.error()
        api.fault = Fault(status=401)
        while not isinstance(await sink.error(), TasksAuthError):
            pass
        api.fault = Fault()
        while not isinstance(await soon(sink.told.get()), Answer):
            pass
        await sink.answer()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]
    assert "answered 503" in caplog.messages[0]
    assert "answered 401" in caplog.messages[1]
    assert caplog.messages[2] == f"consumption API {api.url}{PATH}: answers again"
    assert TOKEN not in caplog.text


async def test_a_malformed_entry_is_logged_once_while_it_is_there(
    api: StandInApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "exporter")
    sink = Sink()
    api.extra = {"bad\n": BAD}
    async with running(TaskRefresher(settings(api.url)), sink):
        for _ in range(3):
            assert len((await sink.answer()).malformed) == 1
    assert caplog.messages == [
        rf"consumption API {api.url}{PATH}: task 'bad\n' is not accounted in full: it names no GPU by a usable uuid"
    ]


async def test_many_malformed_entries_do_not_flood_the_log(api: StandInApi, caplog: pytest.LogCaptureFixture) -> None:
    sink = Sink()
    api.extra = {str(number): BAD for number in range(100)}
    async with running(TaskRefresher(settings(api.url)), sink):
        answer = await sink.answer()
        assert len(answer.malformed) + answer.more_malformed == 100
    assert len(caplog.messages) == 11
    assert caplog.messages[-1] == f"consumption API {api.url}{PATH}: nor are 90 more tasks"


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
async def test_a_server_whose_clock_is_off_is_asked_again_for_its_own_hour(
    api: StandInApi, caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    caplog.set_level(logging.INFO, "exporter")
    sink = Sink(wanted_since=NOW)
    api.fault = Fault(headers={"Date": formatdate(time.time() + seconds, usegmt=True)})
    async with running(TaskRefresher(settings(api.url, refresh="1h"), now=lambda: NOW), sink):
        for _ in range(2):
            answer = await sink.answer()
        assert answer.since <= NOW + seconds <= answer.until
        assert len(caplog.messages) == 1
        assert f"its clock is 3600 s {'ahead of' if seconds > 0 else 'behind'} this machine's" in caplog.messages[0]


async def test_a_clock_that_agrees_again_is_told_as_well(api: StandInApi, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "exporter")
    sink = Sink()
    api.fault = Fault(headers={"Date": formatdate(time.time() + 60, usegmt=True)})
    async with running(TaskRefresher(settings(api.url)), sink):
        while not (await sink.answer()).clock_offset:
            pass
        api.fault = Fault()
        while (await sink.answer()).clock_offset:
            pass
        await sink.answer()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_it_asks_at_once_when_there_is_more_to_be_told(api: StandInApi) -> None:
    sink = Sink()
    refresher = TaskRefresher(settings(api.url, refresh="1h"))
    async with running(refresher, sink):
        await sink.answer()
        refresher.hurry()
        await sink.answer()


async def test_new_settings_are_used_at_once(api: StandInApi) -> None:
    sink = Sink()
    refresher = TaskRefresher(settings(api.url, refresh="1h"), now=lambda: NOW)
    async with running(refresher, sink), StandInApi([], token="renewed") as moved:
        assert (await sink.answer()).tasks == (TASK,)
        refresher.reconfigure(settings(moved.url, refresh="1h"))
        assert isinstance(await sink.error(), TasksAuthError)
        moved.token = TOKEN
        refresher.reconfigure(settings(moved.url, refresh="1h"))
        assert (await sink.answer()).tasks == ()


async def test_unusable_settings_leave_the_old_ones(api: StandInApi) -> None:
    sink = Sink()
    refresher = TaskRefresher(settings(api.url))
    async with running(refresher, sink):
        await sink.answer()
        with pytest.raises(ConfigError):
            refresher.reconfigure(config.Tasks.model_validate({"url": "https://127.0.0.1", "ca_file": "/absent.pem"}))
        await sink.answer()
        await sink.answer()


async def test_a_source_that_remembers_goes_on_when_nothing_of_it_changed() -> None:
    refresher = TaskRefresher(config.Tasks(source="slurm"))
    before = refresher._source
    refresher.reconfigure(config.Tasks(source="slurm"))
    assert refresher._source is before
    refresher.reconfigure(config.Tasks.model_validate({"source": "slurm", "timeout": "5s"}))
    assert refresher._source is not before


async def test_without_an_address_nothing_is_asked_until_there_is_one(api: StandInApi) -> None:
    sink = Sink()
    refresher = TaskRefresher(settings(None))
    async with running(refresher, sink):
        await asyncio.sleep(0)  # it begins, and waits
        refresher.reconfigure(settings(None))
        await asyncio.sleep(0)
        refresher.reconfigure(settings(api.url))
        await sink.answer()
        refresher.reconfigure(settings(None))


async def test_it_can_be_cancelled_while_a_request_hangs(api: StandInApi) -> None:
    api.fault = Fault(delay=3600)
    sink = Sink()
    async with running(TaskRefresher(settings(api.url)), sink):
        await soon(api.asked())
    assert sink.told.empty()


async def test_no_answer_in_time_is_a_failure_like_others(api: StandInApi) -> None:
    api.fault = Fault(delay=3600)
    sink = Sink()
    asked = config.Tasks.model_validate({"url": api.url, "timeout": "50ms", "refresh": "10ms"})
    async with running(TaskRefresher(asked), sink):
        assert isinstance(await sink.error(), TasksNetworkError)
        api.fault = Fault(status=500)
        while not isinstance(await sink.error(), TasksServerError):
            pass


def test_failures_are_retried_ever_less_often_yet_well_before_ownership_expires() -> None:
    longest = [max(pause(config.Tasks(), failures) for _ in range(200)) for failures in range(8)]
    shortest = [min(pause(config.Tasks(), failures) for _ in range(200)) for failures in range(8)]
    for failures, seconds in enumerate([30, 30, 60, 120, 150, 150, 150, 150]):
        assert 0.9 * seconds <= shortest[failures] < longest[failures] <= 1.1 * seconds


@given(st.floats(0.01, 1e5), st.floats(0.01, 1e6), st.integers(0, 10**6))
def test_a_pause_is_never_shorter_than_a_refresh_nor_without_bound(refresh: float, spare: float, failures: int) -> None:
    tasks = config.Tasks.model_construct(refresh=refresh, expire_after=refresh + spare)
    bound = max(refresh, min(300.0, (refresh + spare) / 4))
    assert 0.9 * refresh <= pause(tasks, failures) <= 1.1 * bound
