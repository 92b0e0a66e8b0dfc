from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from functools import partial

import pytest

from exporter.demo.workers import spread, workers


async def test_results_come_in_the_order_of_the_jobs_each_told_when_done() -> None:
    told: list[int] = []
    with workers() as pool:
        found = await spread(pool, [partial(pow, n, 2) for n in range(20)], lambda: told.append(1))
    assert found == [n * n for n in range(20)]
    assert len(told) == 20


async def test_a_user_who_leaves_waits_for_no_job() -> None:
    async def use() -> None:
        with workers() as pool:
            started.set()
            await spread(pool, [partial(signal.pause)] * 8, lambda: None)

    started = asyncio.Event()
    using = asyncio.create_task(use())
    await started.wait()
    while not multiprocessing.active_children():
        await asyncio.sleep(0)
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert multiprocessing.active_children() == []


async def test_a_job_that_fails_ends_the_others() -> None:
    with pytest.raises(ZeroDivisionError), workers() as pool:
        await spread(pool, [partial(divmod, 1, 0), *[partial(signal.pause)] * 2], lambda: None)
    assert multiprocessing.active_children() == []


async def test_a_worker_that_dies_is_told_of() -> None:
    with pytest.raises(Exception, match="terminated abruptly"), workers() as pool:
        await spread(pool, [partial(os._exit, 1)], lambda: None)
