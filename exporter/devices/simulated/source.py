"""The device source `simulated`: simulated GPUs behind the seam of the real ones, without a process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from exporter.config import Devices
from exporter.devices.simulated.gpus import SimulatedGpus
from exporter.devices.simulated.workload import Workload
from exporter.devices.source import DeviceSink

_INSPECTION_SECONDS = 60.0


class SimulatedSource:
    """Reads simulated GPUs each interval, and their slow facts each minute.

    Args:
        devices: the interval; and how many GPUs and which seed, unless `hardware` is given.
        hardware: the GPUs of this node.
        clock: Unix seconds.
        monotonic: seconds that never go back.
        sleep: waits for so many seconds of `monotonic`.
    """

    def __init__(
        self,
        devices: Devices,
        hardware: SimulatedGpus | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._hardware = hardware or SimulatedGpus(Workload(devices.simulated.seed, devices.simulated.gpus))
        self._interval = devices.interval
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep

    async def run(self, sink: DeviceSink) -> None:
        """Reads until cancelled."""
        sink.found(self._hardware.gpus)
        started = self._monotonic()
        # Set once: no step of the wall clock makes the energy counter fall.
        unix = self._clock() - started
        next_inspection = started
        while True:
            now = self._monotonic()
            self._sweep(sink, unix)
            if now >= next_inspection:
                self._inspect(sink, now + unix)
                next_inspection = now + _INSPECTION_SECONDS
            # Beats missed while the machine slept are left out, not made up for.
            now = self._monotonic()
            beats = (now - started) // self._interval + 1
            await self._sleep(started + beats * self._interval - now)

    def _sweep(self, sink: DeviceSink, unix: float) -> None:
        for gpu in self._hardware.gpus:
            taken = self._monotonic()
            reading = self._hardware.reading(gpu.index, taken + unix, taken)
            sink.read(gpu.uuid, reading, self._monotonic() - taken)

    def _inspect(self, sink: DeviceSink, time: float) -> None:
        for gpu in self._hardware.gpus:
            sink.inspected(gpu.uuid, self._hardware.health(gpu.index, time))
