"""Which GPUs there are and what was heard of each; tells the sink."""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from exporter.devices.plausibility import plausible
from exporter.devices.protocol import Batch
from exporter.devices.source import DeviceSink
from exporter.devices.supervisor.faults import Faults
from exporter.errors import DeviceError, ImplausibleError, ReadFailedError
from exporter.model import Gpu, Reading
from exporter.origins import origin

_logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Package:
    """One GPU on the bus; its partitions share it."""

    address: str
    """Domain, bus and device: 0000:05:00."""
    gpu: Gpu | None = None
    """None until it is identified."""
    covered: bool = False
    """The kernel's files tell of it."""
    is_lost: bool = False
    """It cannot be read now, so its identity may be stale."""
    read_at: float = -math.inf
    """When its last reading was taken."""
    failed_at: float = -math.inf
    """When it last could not be read."""


class Roster:
    """The GPUs of this machine.

    What a worker told as a successor is heard once it is the incumbent, hence after what the one before it told since.
    So words are taken by the instants that they speak of, not in the order in which they come.
    """

    def __init__(self, sink: DeviceSink) -> None:
        self._sink = sink
        self._announced: list[Gpu] = []
        self._told: dict[str, tuple[str, str]] = {}
        """By unique id, what was logged of where its readings come from."""
        self.faults = Faults(sink)
        self.packages: dict[str, Package] = {}
        """By address, in order: all that were ever seen, so that each keeps its index while another is away."""

    def hear(self, batch: Batch) -> None:
        """Takes what a worker tells."""
        if batch.present is not None:
            self._enter(batch.present, batch.covered or [])
        failures = [told for told in batch.failures if told[1] > self._package(told[0]).read_at]
        for address, _, _ in failures:
            self._package(address).is_lost = True
        self._identify(batch.gpus)
        self._announce()
        for address, at, failure in failures:
            self._failed(self._package(address), at, failure.error())
        for address, seconds, reading in batch.readings:
            if (gpu := self._gpu(address)) is not None:
                self._read(self.packages[address], gpu, reading, seconds)
        for address, health in batch.health:
            if (gpu := self._gpu(address)) is not None:
                self._sink.inspected(gpu.uuid, health)
        for address, processes in batch.processes:
            if (gpu := self._gpu(address)) is not None:
                self._sink.used_by(gpu.uuid, processes)

    def failed(self, address: str, error: DeviceError) -> None:
        """Takes one failure of one GPU, of now."""
        self._failed(self._package(address), time.monotonic(), error)

    def is_covered(self, address: str) -> bool:
        """Tells whether the kernel's files stand in for a GPU that the library does not read."""
        return address in self.packages and self.packages[address].covered

    @property
    def has_covered(self) -> bool:
        """The kernel's files tell of some GPU."""
        return any(package.covered for package in self.packages.values())

    def _package(self, address: str) -> Package:
        return self.packages.setdefault(address, Package(address))

    def _gpu(self, address: str) -> Gpu | None:
        return self.packages[address].gpu if address in self.packages else None

    def _failed(self, package: Package, at: float, error: DeviceError) -> None:
        package.is_lost, package.failed_at = True, at
        self.faults.failed(package.address, package.gpu, error)

    def _read(self, package: Package, gpu: Gpu, reading: Reading, seconds: float) -> None:
        if reading.taken <= package.read_at:
            return
        package.read_at = reading.taken
        whole, faults = plausible(reading, gpu.vram_total_bytes)
        if reading.taken >= package.failed_at:
            package.is_lost = False
            self._judge(package, gpu, faults)
        self._sink.read(gpu.uuid, whole, seconds)

    def _judge(self, package: Package, gpu: Gpu, faults: Collection[str]) -> None:
        """Takes what cannot be in a GPU's latest reading, in words; nothing: it is as it should be."""
        if faults:
            words = "; ".join(faults)
            self.faults.failed(package.address, gpu, ImplausibleError(f"{words}: cannot be, and is left out"))
        else:
            self.faults.over(package.address, gpu)

    def _enter(self, addresses: Iterable[str], covered: Collection[str]) -> None:
        known = {address: self.packages.get(address) or Package(address) for address in addresses}
        self.packages = dict(sorted({**self.packages, **known}.items()))
        for package in self.packages.values():
            package.covered = package.address in covered

    def _identify(self, gpus: Iterable[tuple[str, Gpu]]) -> None:
        """Takes who GPUs are. One that says to be another, which can be read, is refused.

        Of those that cannot be read the identity is stale where another bears it now: they changed places.
        """
        gpus = sorted(((address, gpu) for address, gpu in gpus if address in self.packages), key=lambda told: told[0])
        for address, gpu in gpus:
            if (known := self.packages[address].gpu) is not None and known.uuid != gpu.uuid:
                self.packages[address].gpu = None
        for address, gpu in gpus:
            if (twin := self._twin(address, gpu.uuid)) is not None:
                message = f"it has the unique id {gpu.uuid}, as the GPU at {twin.address} has"
                self.failed(address, ReadFailedError(message))
            else:
                self.packages[address].gpu = gpu

    def _twin(self, address: str, uuid: str) -> Package | None:
        """Returns the package elsewhere that has this id and can be read."""
        for other in self.packages.values():
            if other.address != address and other.gpu is not None and other.gpu.uuid == uuid:
                if not other.is_lost:
                    return other
                other.gpu = None
        return None

    def _announce(self) -> None:
        """Tells the sink which GPUs there are, if that changed."""
        for index, package in enumerate(self.packages.values()):
            if package.gpu is not None and package.gpu.index != index:
                package.gpu = replace(package.gpu, index=index)
        gpus = [package.gpu for package in self.packages.values() if package.gpu is not None]
        if gpus and gpus != self._announced:
            self._announced = gpus
            self._sink.found(gpus)
            self._log_sources(gpus)

    def _log_sources(self, gpus: Iterable[Gpu]) -> None:
        """Logs once where readings come from, and each change of it, GPUs of one kind together."""
        changed: dict[tuple[str, str], list[int]] = defaultdict(list)
        for gpu in gpus:
            source = origin(gpu), gpu.stand_in
            if self._told.get(gpu.uuid) != source and (gpu.source != "sysfs" or gpu.stand_in):
                self._told[gpu.uuid] = source
                changed[source].append(gpu.index)
        for (words, stand_in), indices in changed.items():
            listed = ", ".join(map(str, indices))
            _logger.info("readings of GPU %s come from %s%s", listed, words, f": {stand_in}" if stand_in else "")
