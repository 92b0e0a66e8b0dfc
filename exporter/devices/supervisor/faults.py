"""Failures told to the sink each time, and to the log once per change."""

from __future__ import annotations

import logging

from exporter.devices.source import DeviceSink
from exporter.errors import DeviceError
from exporter.model import Gpu

_logger = logging.getLogger(__name__)

WHOLE_SOURCE = ""
"""Stands for no one GPU's address."""


class Faults:
    """What kind of thing is wrong now, by bus address."""

    def __init__(self, sink: DeviceSink) -> None:
        self._sink = sink
        self._current: dict[str, tuple[str | None, str]] = {}
        """Unique id, where it is known, and kind."""

    def failed(self, address: str, gpu: Gpu | None, error: DeviceError) -> None:
        """One failure; `gpu` is None where it is not identified yet."""
        self._sink.failed(gpu, error)
        fault = gpu.uuid if gpu else None, error.kind
        if self._current.get(address) != fault:
            self._current[address] = fault
            _logger.error("%s cannot be read: %s", _name(address, gpu) if address else "GPUs", error)

    def over(self, address: str, gpu: Gpu | None) -> None:
        """It works, again or still."""
        if address not in self._current:
            return
        uuid, _ = self._current.pop(address)
        _logger.info("%s can be read again", _name(address, gpu) if address else "GPUs")
        if uuid is not None or all(other is not None for other, _ in self._current.values()):
            self._sink.recovered(gpu if uuid else None)


def _name(address: str, gpu: Gpu | None) -> str:
    if gpu is not None:
        return f"GPU {gpu.index} ({gpu.uuid}, {gpu.bdf})"
    return f"the GPU at {address}"
