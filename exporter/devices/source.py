"""The seam between a source of readings and the node that accounts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from exporter.errors import DeviceError
from exporter.model import Gpu, Health, Process, Reading


class DeviceSink(Protocol):
    """What a source tells; every call returns at once."""

    def found(self, gpus: Sequence[Gpu]) -> None:
        """All GPUs there are now; those of earlier calls that are missing are gone."""

    def read(self, uuid: str, reading: Reading, seconds: float) -> None:
        """A reading, and how long it took."""

    def inspected(self, uuid: str, health: Health) -> None:
        """The slow facts of one GPU."""

    def used_by(self, uuid: str, processes: Sequence[Process]) -> None:
        """The processes that hold VRAM of one GPU now, most first."""

    def failed(self, gpu: Gpu | None, error: DeviceError) -> None:
        """One failed read of a GPU, or, without a GPU, one failure of the whole source."""

    def recovered(self, gpu: Gpu | None) -> None:
        """What `failed` said of it last is over."""

    def restarted(self, reason: str) -> None:
        """A worker process was started anew.

        Args:
            reason: `timeout` (it, or a call in it, did not come back), `crash`, `start` (it could not begin), `rescan`
                (GPUs came, or came back) or `retry` (of the library, where it failed).
        """


class DeviceSource(Protocol):
    """Readings, for ever."""

    async def run(self, sink: DeviceSink) -> None:
        """Reads until cancelled; no fault of library, driver or GPU ends it."""
