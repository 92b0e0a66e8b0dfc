"""The seam between a source of readings and the node that accounts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from exporter.errors import DeviceError
from exporter.model import Gpu, Health, Reading


class DeviceSink(Protocol):
    """What a source tells; every call returns at once."""

    def found(self, gpus: Sequence[Gpu]) -> None:
        """All GPUs there are now; those of earlier calls that are missing are gone."""

    def read(self, uuid: str, reading: Reading, seconds: float) -> None:
        """A reading, and how long it took."""

    def inspected(self, uuid: str, health: Health) -> None:
        """The slow facts of one GPU."""

    def failed(self, gpu: Gpu | None, error: DeviceError) -> None:
        """One failed read of a GPU, or, without a GPU, one failure of the whole source."""

    def recovered(self, gpu: Gpu | None) -> None:
        """What `failed` said of it last is over."""

    def restarted(self, reason: str) -> None:
        """The worker process was started anew: `timeout`, `crash`, `start` (it could not begin) or `rescan`."""


class DeviceSource(Protocol):
    """Readings, for ever."""

    async def run(self, sink: DeviceSink) -> None:
        """Reads until cancelled; no fault of library, driver or GPU ends it."""
