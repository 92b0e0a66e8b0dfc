"""`exporter status --watch`: the cluster in place, again and again, until somebody presses q."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import time
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.live import Live
from rich.text import Text

from exporter.config import Config
from exporter.errors import HistoryError
from exporter.live.command import Choice, Look, look, shown
from exporter.speech import speech

_SECONDS: Final = 5.0
"""Between two looks."""
_ENDS: Final = frozenset(b"qQ\x03\x04")


async def watch(settings: Config, choice: Choice) -> None:
    """Redraws every few seconds, and when the terminal changes its size.

    A Prometheus that goes away leaves the last answer where it is, and its age above.

    Raises:
        ConfigError, HistoryError, ReportError, UsageError: As `look` does, at the first look.
    """
    found, problem = await look(settings, choice, time.time()), ""
    console = Console(highlight=False)
    async with _keys() as (ended, resized):
        with Live(_drawn(settings, choice, found, problem, console), console=console, screen=True) as live:
            while not ended.is_set():
                await _first_of(ended, resized, within=_SECONDS)
                if ended.is_set():
                    break
                if resized.is_set():
                    resized.clear()
                else:
                    found, problem = await _again(settings, choice, found)
                live.update(_drawn(settings, choice, found, problem, console), refresh=True)


async def _again(settings: Config, choice: Choice, last: Look) -> tuple[Look, str]:
    """Returns the next look, or the last one and what is wrong."""
    try:
        return await look(settings, choice, time.time()), ""
    except HistoryError as error:
        return last, str(error)


def _drawn(settings: Config, choice: Choice, found: Look, problem: str, console: Console) -> Text:
    words = speech(settings.report.language)
    at = datetime.fromtimestamp(found.cluster.time, ZoneInfo(settings.report.timezone))
    head = words.gettext("{time} · q ends").format(time=f"{at:%Y-%m-%d %H:%M:%S}")
    lines = [head, *([problem] if problem else []), "", shown(settings, choice, found, console.width)]
    return Text("\n".join(lines), no_wrap=True, overflow="crop")


@asynccontextmanager
async def _keys() -> AsyncIterator[tuple[asyncio.Event, asyncio.Event]]:
    """Gives events of a key that ends it, and of a new size; the terminal is as it was afterwards."""
    ended, resized = asyncio.Event(), asyncio.Event()
    loop, descriptor = asyncio.get_running_loop(), sys.stdin.fileno()

    def pressed() -> None:
        keys = os.read(descriptor, 64)
        if not keys or _ENDS.intersection(keys):
            ended.set()

    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, pressed)
    loop.add_signal_handler(signal.SIGWINCH, resized.set)
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    loop.add_signal_handler(signal.SIGINT, ended.set)
    try:
        yield ended, resized
    finally:
        for number in (signal.SIGWINCH, signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


async def _first_of(*events: asyncio.Event, within: float) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiting, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()
