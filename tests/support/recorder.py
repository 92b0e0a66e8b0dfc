"""A sink of devices that remembers, and lets a test wait for what it wants to see."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from exporter.errors import DeviceError
from exporter.model import Gpu, Health, Process, Reading


class Recorder:
    """Remembers all that a source tells."""

    def __init__(self) -> None:
        self.gpus: list[Gpu] = []
        self.origins: set[tuple[str, str]] = set()
        """Every source that was ever told of a GPU, and why the kernel's files stood in."""
        self.readings: dict[str, list[Reading]] = {}
        self.health: dict[str, Health] = {}
        self.processes: dict[str, tuple[Process, ...]] = {}
        self.failures: list[tuple[str | None, DeviceError]] = []
        self.recoveries: list[str | None] = []
        self.restarts: Counter[str] = Counter()
        self._news = asyncio.Event()

    def found(self, gpus: Sequence[Gpu]) -> None:
        self.gpus = list(gpus)
        self.origins.update((gpu.source, gpu.stand_in) for gpu in gpus)
        self._news.set()

    def read(self, uuid: str, reading: Reading, seconds: float) -> None:
        assert seconds >= 0
        self.readings.setdefault(uuid, []).append(reading)
        self._news.set()

    def inspected(self, uuid: str, health: Health) -> None:
        self.health[uuid] = health
        self._news.set()

    def used_by(self, uuid: str, processes: Sequence[Process]) -> None:
        self.processes[uuid] = tuple(processes)
        self._news.set()

    def failed(self, gpu: Gpu | None, error: DeviceError) -> None:
        self.failures.append((gpu.uuid if gpu else None, error))
        self._news.set()

    def recovered(self, gpu: Gpu | None) -> None:
        self.recoveries.append(gpu.uuid if gpu else None)
        self._news.set()

    def restarted(self, reason: str) -> None:
        self.restarts[reason] += 1
        self._news.set()

    async def until(self, happened: Callable[[], object]) -> None:
        async with asyncio.timeout(120):
            while not happened():
                self._news.clear()
                await self._news.wait()

    async def more(self, uuids: Sequence[str], count: int = 3) -> None:
        """Waits for so many further readings of each GPU."""
        before = {uuid: self.count(uuid) for uuid in uuids}
        await self.until(lambda: all(self.count(uuid) >= before[uuid] + count for uuid in uuids))

    def count(self, uuid: str) -> int:
        return len(self.readings.get(uuid, []))

    def are_joined(self, uuid: str, interval: float) -> bool:
        """Tells whether the meter joins all readings of a GPU by the periods that they announce, be its limit small."""
        return all(
            later.taken - earlier.taken <= 3 * max(interval, earlier.period, later.period)
            for earlier, later in pairwise(self.readings[uuid])
        )

    def kinds(self, uuid: str | None) -> list[type[DeviceError]]:
        return [type(error) for failed, error in self.failures if failed == uuid]


def faults_told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log tells, but for where readings come from."""
    messages = [record.getMessage() for record in caplog.records]
    return [message for message in messages if not message.startswith("readings of GPU")]
