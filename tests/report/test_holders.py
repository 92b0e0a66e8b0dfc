from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from exporter import config
from exporter.demo.api import Fault, StandInApi
from exporter.errors import ConfigError, TasksServerError
from exporter.model import Task, TaskGpu
from exporter.report.holders import Holders, holders
from exporter.report.window import Window, window

NOW = datetime(2026, 4, 1, tzinfo=UTC).timestamp()
DAY = window("2026-03-03", None, "Asia/Taipei", NOW)
WEEK = window("2026-03-03", "2026-03-09", "Asia/Taipei", NOW)
HOUR = 3600.0
UUID = "52f67b3700dcc6f3"


def task(name: str, start: float, end: float) -> Task:
    """From and to these hours of the first day."""
    return Task(name, "itrd", "LAB", (TaskGpu(UUID),), DAY.start + start * HOUR, DAY.start + end * HOUR, "colab-gpu1")


@dataclass(slots=True)
class Desk:
    """A real server of tasks, and the settings that lead to it."""

    directory: Path
    api: StandInApi
    tasks: list[Task] = field(default_factory=list)

    def holders(self, *, use_cache: bool = True) -> Holders:
        token = self.directory / "token"
        token.touch(mode=0o600)
        token.write_text(self.api.token, encoding="utf-8")
        settings = {
            "tasks": {"url": self.api.url, "token_file": str(token)},
            "report": {"cache": str(self.directory / "cache")},
        }
        found = holders(config.parse(settings, where="test"), NOW, use_cache=use_cache)
        assert found is not None
        return found

    async def names(self, span: Window, *, use_cache: bool = True) -> list[str]:
        held = await self.holders(use_cache=use_cache).held(span)
        return sorted(one.task_id for one in held.tasks)


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    tasks: list[Task] = []
    async with StandInApi(tasks, clock=lambda: NOW) as api:
        yield Desk(tmp_path, api, tasks)


async def test_the_tasks_that_overlap_the_window_are_told_once_and_by_whom(desk: Desk) -> None:
    desk.tasks += [task("before", -5, 0), task("across", -5, 30), task("within", 3, 4), task("after", 24, 30)]
    held = await desk.holders().held(DAY)

    assert [one.task_id for one in held.tasks] == ["across", "within"]
    assert (held.malformed, held.source) == ((), "api")
    assert [hold.task for hold in held.holdings.holds({UUID})] == list(held.tasks)
    assert await desk.names(WEEK) == ["across", "after", "within"]


async def test_each_day_is_asked_for_by_itself_and_once_if_it_is_kept(desk: Desk) -> None:
    desk.tasks += [task("long", 3, 100)]
    await desk.names(WEEK)
    assert desk.api.count == 7
    await desk.names(WEEK)
    assert desk.api.count == 7


async def test_without_the_cache_every_day_is_asked_for_and_kept_anew(desk: Desk) -> None:
    await desk.names(DAY)
    desk.tasks += [task("late", 3, 4)]
    assert await desk.names(DAY) == []
    assert await desk.names(DAY, use_cache=False) == ["late"]
    assert await desk.names(DAY) == ["late"]


async def test_of_a_task_that_several_days_show_the_last_days_word_counts(desk: Desk) -> None:
    desk.tasks += [task("moved", 3, 100), task("ended", 3, 100)]
    await desk.names(DAY)
    desk.tasks[:] = [task("moved", 3, 30)]
    held = await desk.holders().held(WEEK)

    assert {one.task_id: (one.end - DAY.start) / HOUR for one in held.tasks} == {"moved": 30, "ended": 24}


async def test_a_task_whose_start_was_corrected_is_one_task(desk: Desk) -> None:
    desk.tasks += [task("long", 3, 100)]
    await desk.names(DAY)
    desk.tasks[:] = [task("long", 2, 30)]
    held = await desk.holders().held(WEEK)

    assert [((one.start - DAY.start) / HOUR, (one.end - DAY.start) / HOUR) for one in held.tasks] == [(2, 30)]


async def test_an_id_that_is_used_again_is_another_task(desk: Desk) -> None:
    once, again = task("t", 6, 12), replace(task("t", 33, 34), username="amy")
    desk.tasks += [once]
    await desk.names(DAY)
    desk.tasks[:] = [again]
    held = await desk.holders().held(WEEK)

    assert [((one.start - DAY.start) / HOUR, (one.end - DAY.start) / HOUR) for one in held.tasks] == [(6, 12), (33, 34)]
    assert [one.username for one in held.tasks] == ["itrd", "amy"]


async def test_an_id_used_again_from_midnight_on_is_another_task(desk: Desk) -> None:
    desk.tasks += [task("t", 6, 26)]
    await desk.names(DAY)
    desk.tasks[:] = [task("t", 24, 30)]
    held = await desk.holders().held(WEEK)

    assert [((one.start - DAY.start) / HOUR, (one.end - DAY.start) / HOUR) for one in held.tasks] == [(6, 24), (24, 30)]


async def test_entries_that_cannot_be_accounted_are_told_too_each_once(desk: Desk) -> None:
    desk.tasks += [task("sound", 0, 200)]
    desk.api.extra = {"x": {"gpus": 3}}
    held = await desk.holders().held(WEEK)
    assert {entry.task_id for entry in held.malformed} == {"x"}
    assert held.malformed_count == 1


async def test_an_entry_that_cannot_be_placed_is_unknown_on_the_days_whose_answers_hold_it(desk: Desk) -> None:
    await desk.names(WEEK)
    last = WEEK.days()[-1]
    desk.api.extra = {"x": {"username": "amy", "gpus": [{"uuid": UUID}], "start": "soon", "end": ""}}
    (desk.directory / "cache" / f"{_kept(desk, last)}").unlink()
    held = await desk.holders().held(WEEK)

    assert [(entry.start, entry.end) for entry in held.malformed] == [(last.start, last.end)]
    assert [(hold.start, hold.end) for hold in held.holdings.holds({UUID})] == [(last.start, last.end)]


def _kept(desk: Desk, day: Window) -> str:
    (name,) = [file.name for file in (desk.directory / "cache").iterdir() if str(day.first) in file.name]
    return name


async def test_a_stretch_of_time_is_asked_for_itself(desk: Desk) -> None:
    desk.tasks += [task("before", -5, -1), task("across", -5, 30), task("after", 24, 30)]
    desk.api.extra = {"x": {"username": "amy", "gpus": [{"uuid": UUID}], "start": "soon", "end": ""}}
    start, end = DAY.start - 2 * HOUR, DAY.start - 0.5 * HOUR
    held = await desk.holders().between(start, end)

    assert [one.task_id for one in held.tasks] == ["before", "across"]
    assert [(entry.start, entry.end) for entry in held.malformed] == [(start, end)]


async def test_a_source_that_fails_is_no_answer(desk: Desk) -> None:
    desk.api.fault = Fault(status=500)
    with pytest.raises(TasksServerError):
        await desk.holders().held(DAY)


def test_without_a_url_there_is_nobody_to_ask() -> None:
    assert holders(config.Config(), NOW, use_cache=True) is None


def test_settings_that_cannot_be_used_are_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    settings = {"tasks": {"url": "https://127.0.0.1:9", "ca_file": str(tmp_path / "none.pem")}}
    with pytest.raises(ConfigError, match="ca_file"):
        holders(config.parse(settings, where="test"), NOW, use_cache=True)


async def test_a_file_of_bookings_is_asked_anew_each_time_as_it_may_be_mended(tmp_path: Path) -> None:
    bookings = tmp_path / "bookings.yaml"
    settings = {"tasks": {"source": "file", "file": str(bookings)}, "report": {"cache": str(tmp_path / "cache")}}
    for user in ("amy", "bob"):
        bookings.write_text(f"bookings: [{{user: {user}, gpus: [{UUID}], from: 2026-03-03T08:00+08:00}}]")
        found = holders(config.parse(settings, where="test"), NOW, use_cache=True)
        assert found is not None
        assert [one.username for one in (await found.held(DAY)).tasks] == [user]
    assert not (tmp_path / "cache").exists()


def test_a_source_without_a_past_is_not_asked_about_days_that_are_over() -> None:
    assert holders(config.parse({"tasks": {"source": "slurm"}}, where="test"), NOW, use_cache=False) is None
