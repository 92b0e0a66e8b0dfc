"""The two engines that every query is tried on, as real processes on loopback."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from exporter.demo.process import ServerProcess
from exporter.demo.prometheus import PrometheusServer
from exporter.demo.remote_write import Column, write_series

_STARTED = re.compile(r"started VictoriaMetrics in")
"""Versions since 2024 no longer say that they begin to listen."""


@asynccontextmanager
async def prometheus(directory: Path, columns: Sequence[Column] = ()) -> AsyncIterator[str]:
    """The URL of a Prometheus that holds the columns."""
    async with PrometheusServer(directory) as server:
        await write_series(server.url, columns)
        yield server.url


@asynccontextmanager
async def victoria_metrics(directory: Path, columns: Sequence[Column] = ()) -> AsyncIterator[str]:
    """The URL of a VictoriaMetrics that holds the columns."""
    port = free_port()
    command = (
        "victoria-metrics",
        f"-storageDataPath={directory / 'data'}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y",
    )
    async with ServerProcess(command, package="victoria-metrics", milestones=(_STARTED,)):
        url = f"http://127.0.0.1:{port}"
        await asyncio.wait_for(_listening(port), timeout=120)
        await write_series(url, columns)
        await flushed(url)
        yield url


async def flushed(url: str) -> None:
    """Lets all that was written be read: VictoriaMetrics takes a second otherwise, and others know no such thing."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/internal/force_flush"):
        pass


ENGINES = {"prometheus": prometheus, "victoria-metrics": victoria_metrics}


async def _listening(port: int) -> None:
    """VictoriaMetrics says that it starts to listen, but not when it does."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return


def free_port() -> int:
    """For servers that do not tell which port they took if left to choose."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
