"""Questions asked at once: the first that fails ends the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, TypeVar

_T = TypeVar("_T")
_U = TypeVar("_U")


async def both(one: Coroutine[Any, Any, _T], other: Coroutine[Any, Any, _U]) -> tuple[_T, _U]:
    """Returns both answers."""
    first, second = asyncio.ensure_future(one), asyncio.ensure_future(other)
    await together((first, second))
    return first.result(), second.result()


async def together(asked: Iterable[Awaitable[_T]]) -> list[_T]:
    """Returns all answers, in the order of the questions."""
    tasks = [asyncio.ensure_future(one) for one in asked]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
