"""The files of one GPU: what it says now, and how it is."""

from __future__ import annotations

import os
import re
import time

from exporter.devices import decode
from exporter.devices.sysfs import gpu_metrics, read
from exporter.errors import DeviceError, GpuLostError, ReadFailedError
from exporter.model import Health, Reading

_COUNT = re.compile(r"^(ce|ue|de):\s*([0-9]{1,20})$", re.MULTILINE)
_SEVERITIES = {"ce": "correctable", "ue": "uncorrectable", "de": "deferred"}


class Files:
    """Reads one GPU; each call may hang in the driver for as long as that does.

    Args:
        folder: of its PCI device.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._ras = f"{folder}/ras"
        self._metrics = f"{folder}/gpu_metrics"
        self._vram_used = f"{folder}/mem_info_vram_used"

    def read(self) -> Reading:
        """Returns what the GPU says now.

        Raises:
            GpuLostError: it is gone.
            DeviceError: it cannot be read.
        """
        try:
            table = read.contents(self._metrics)
        except GpuLostError as error:
            if not os.path.isdir(self._folder):  # noqa: PTH112
                raise
            raise ReadFailedError(f"{error}: the driver tells nothing of this GPU; see dmesg") from error
        taken = time.monotonic()
        try:
            vram_used: int | None = int(read.contents(self._vram_used))
        except (DeviceError, ValueError):
            vram_used = None
        return decode.reading(gpu_metrics.decode(table), vram_used, taken)

    def inspect(self) -> Health:
        """Returns errors counted over all blocks of the GPU, and retired pages; empty without RAS."""
        errors: dict[str, int] = {}
        for name in read.names(self._ras):
            if name.endswith("_err_count"):
                for kind, count in _COUNT.findall(read.text(f"{self._ras}/{name}")):
                    errors[_SEVERITIES[kind]] = errors.get(_SEVERITIES[kind], 0) + int(count)
        try:
            pages: int | None = len(read.contents(f"{self._ras}/gpu_vram_bad_pages").splitlines())
        except DeviceError:
            pages = None
        return Health(errors, pages)
