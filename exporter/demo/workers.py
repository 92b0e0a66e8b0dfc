"""Processes that compute for the demo, on all cores, while its event loop stays free."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def workers() -> Iterator[ProcessPoolExecutor]:
    """Yields a pool that is ended at once, whatever it is at, when its user fails or is cancelled."""
    pool = ProcessPoolExecutor(initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    try:
        yield pool
    except BaseException:
        for child in multiprocessing.active_children():
            child.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


async def spread(pool: ProcessPoolExecutor, jobs: Iterable[Callable[[], T]], done: Callable[[], None]) -> list[T]:
    """Returns what each job returns, in their order.

    Args:
        pool: Runs the jobs.
        jobs: To be run in any order; each can be pickled.
        done: Called after each.
    """
    loop = asyncio.get_running_loop()

    async def run(job: Callable[[], T]) -> T:
        result = await loop.run_in_executor(pool, job)
        done()
        return result

    return await asyncio.gather(*map(run, jobs))
