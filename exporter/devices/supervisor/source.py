"""The source of readings of real GPUs: keeps a worker that reads all that can be read, whatever happens to it."""

from __future__ import annotations

import asyncio

from exporter.config import Devices
from exporter.devices.protocol import Plan
from exporter.devices.source import DeviceSink
from exporter.devices.supervisor.process import Workers
from exporter.devices.supervisor.supervision import Supervision

_START_SECONDS = 30.0
"""In which the library begins: all GPUs' drivers, on a machine that is busy."""
_CHECK_SECONDS = 60.0
"""Between looks whether what is read cheaply is what amdsmi says."""


class HardwareSource:
    """Readings of this machine's GPUs, through amdsmi, the kernel's files, or both.

    Args:
        settings: where readings come from, how often, and how long a GPU may take to answer.
        sysfs: where the kernel's files are mounted.
        proc: where processes are.
    """

    def __init__(self, settings: Devices, *, sysfs: str = "/sys", proc: str = "/proc") -> None:
        self._settings = settings
        self._plan = Plan(
            source=settings.source,
            interval=settings.interval,
            timeout=settings.timeout,
            start=_START_SECONDS,
            check=_CHECK_SECONDS,
            processes=settings.processes,
            sysfs=sysfs,
            proc=proc,
        )

    async def run(self, sink: DeviceSink) -> None:
        """Reads until cancelled; no fault of library, driver or GPU ends it."""
        async with Workers() as workers, asyncio.TaskGroup() as tasks:
            await Supervision(self._plan, self._settings.expected or 0, sink, workers, tasks).run()
