from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from exporter.errors import HistoryUnreachableError
from exporter.portal.latest import Latest


async def test_however_many_look_at_once_it_is_asked_once() -> None:
    asked = 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return asked

    latest = Latest(ask)
    assert await asyncio.gather(*(latest.look() for _ in range(10))) == [1] * 10
    assert await latest.look() == 1


async def test_an_old_answer_is_asked_for_again() -> None:
    answers = iter([1, 2])

    async def ask() -> int:
        return next(answers)

    latest = Latest(ask, lifetime=0)
    assert [await latest.look(), await latest.look()] == [1, 2]


async def test_who_looks_at_an_answer_that_is_not_very_old_does_not_wait_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers, let, now = iter([1, 2]), asyncio.Event(), 1000.0
    monkeypatch.setattr("exporter.portal.latest.monotonic", lambda: now)
    let.set()

    async def ask() -> int:
        await let.wait()
        return next(answers)

    latest = Latest(ask, lifetime=15)
    assert await latest.look() == 1
    let.clear()
    now += 20
    assert (await latest.look(), latest.problem) == (1, None)
    now += 6
    assert (await latest.look(), latest.problem) == (1, "no answer for 6 s")
    let.set()
    now += 6
    assert (await latest.look(), latest.problem) == (2, None)


async def test_a_failure_leaves_the_last_answer_and_says_what_is_wrong() -> None:
    answers: Iterator[int | HistoryUnreachableError] = iter([1, HistoryUnreachableError("refused"), 3])

    async def ask() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    latest = Latest(ask, lifetime=0)
    assert (await latest.look(), latest.problem) == (1, None)
    assert (await latest.look(), latest.problem) == (1, "refused")
    assert (await latest.look(), latest.problem) == (3, None)


async def test_a_failure_is_not_asked_about_again_at_once() -> None:
    asked = 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        raise HistoryUnreachableError("refused")

    latest = Latest(ask)
    assert [await latest.look(), await latest.look()] == [None, None]
    assert (asked, latest.has_answer) == (1, False)


async def test_a_defect_is_a_problem_and_goes_to_the_log() -> None:
    async def ask() -> int:
        raise KeyError("gpu_uuid")

    latest = Latest(ask)
    assert await latest.look() is None
    assert latest.problem == "the portal has failed; its log says why"


async def test_who_has_waited_long_enough_gets_the_last_answer() -> None:
    asked, let = 0, asyncio.Event()

    async def ask() -> int:
        nonlocal asked
        asked += 1
        if asked > 1:
            await let.wait()
        return asked

    latest = Latest(ask, lifetime=0)
    assert await latest.look() == 1
    latest._patience = 0
    assert await latest.look() == 1
    assert (latest.problem or "").startswith("no answer for ")
    let.set()
    latest.close()
