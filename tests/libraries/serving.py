"""The exporter on a machine: as a service that is scraped, and as `exporter check`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import yaml

from tests.libraries.machine import Machine
from tests.support.exporter import ExporterProcess

_CONFIG = "etc/exporter.yaml"
_PATIENCE_SECONDS = 240.0
"""For what takes a start of Python and several pauses of the supervisor, on a machine that has much else to do."""


class Checked(NamedTuple):
    """What `exporter check` said."""

    status: int
    text: str


@asynccontextmanager
async def serving(
    machine: Machine, settings: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> AsyncIterator[ExporterProcess]:
    """Runs `exporter serve` on a machine until the block is left, which it must end in good order.

    Args:
        machine: Where.
        settings: Of the config, beside the endpoint and quick readings.
        environment: Variables.
    """
    config = machine.folder / "changes" / _CONFIG
    config.parent.mkdir(parents=True, exist_ok=True)
    quick = {"listen": {"host": "127.0.0.1", "port": 0}, "devices": {"interval": "200ms", "timeout": "2s"}}
    config.write_text(yaml.safe_dump(quick | dict(settings or {})), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *machine.python("-m", "exporter", "serve", "--config", f"/{_CONFIG}", **(environment or {})),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    running = ExporterProcess(process, config, _PATIENCE_SECONDS)
    reader = asyncio.create_task(running.read_log())
    try:
        await running.logged("serving ")
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
        status = await process.wait()
        await reader
        sys.stderr.write("\n".join([*running.log, ""]))  # shown by pytest where a test fails
    assert status == 0, running.log


async def checked(machine: Machine) -> Checked:
    """Runs `exporter check` on a machine."""
    process = await asyncio.create_subprocess_exec(
        *machine.python("-m", "exporter", "check"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(_PATIENCE_SECONDS):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return Checked(process.returncode, output.decode())
