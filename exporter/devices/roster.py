"""Which GPUs there are, which of them are in service, and what was heard of each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from exporter.devices.faults import Faults
from exporter.devices.process import Answer
from exporter.devices.protocol import Verb
from exporter.devices.source import DeviceSink
from exporter.errors import DeviceError, ReadFailedError
from exporter.model import Gpu


@dataclass(slots=True, eq=False)
class Package:
    """One GPU on the bus; its partitions share it."""

    address: str
    """Domain, bus and device: 0000:05:00. A partition is a function of it."""
    gpu: Gpu | None = None
    """None until it is identified."""
    set_aside: bool = False
    """In the ward, which alone touches it."""
    failures: int = 0
    """Since the last good reading."""
    pause: float = 0.0
    """Seconds of the last pause in the ward."""
    returned_at: float = -math.inf
    """CLOCK_MONOTONIC seconds at which the ward last let it go."""
    inspect_at: float | None = None
    """CLOCK_MONOTONIC seconds of its next inspection; None for as soon as may be."""


class Roster:
    """The GPUs of this machine; tells the sink of them."""

    def __init__(self, sink: DeviceSink) -> None:
        self._sink = sink
        self._announced: list[Gpu] = []
        self.faults = Faults(sink)
        self.packages: dict[str, Package] = {}
        """By address."""
        self.outdated = False
        """Some GPU is back that a worker started before cannot know well."""

    def enter(self, addresses: Iterable[str]) -> list[Package]:
        """Takes in the packages that a worker sees; answers with those known before that it does not see."""
        addresses = set(addresses)
        missing = [package for address, package in self.packages.items() if address not in addresses]
        for address in sorted(addresses - self.packages.keys()):
            self.packages[address] = Package(address)
        return missing

    def in_service(self) -> list[Package]:
        """Those that a sweep reads."""
        return [package for package in self.packages.values() if package.gpu is not None and not package.set_aside]

    def heard(self, package: Package, verb: Verb, answer: Answer) -> None:
        """A good answer.

        Raises:
            ReadFailedError: the GPU identifies as one that is at another address.
        """
        if verb is Verb.IDENTIFY:
            self._identified(package, answer.value)
            return
        assert package.gpu is not None
        if verb is Verb.READ:
            package.failures = 0
            self._sink.read(package.gpu.uuid, answer.value, answer.seconds)
            self.faults.over(package.address)
        else:
            self._sink.inspected(package.gpu.uuid, answer.value)

    def failed(self, package: Package, error: DeviceError) -> None:
        """One failure of one GPU."""
        package.failures += 1
        self.faults.failed(package.address, package.gpu, error)

    def announce(self) -> None:
        """Tells the sink which GPUs there are, if that changed."""
        gpus = [package.gpu for package in self.packages.values() if package.gpu is not None]
        gpus.sort(key=lambda gpu: gpu.index)
        if gpus and gpus != self._announced:
            self._announced = gpus
            self._sink.found(gpus)

    def _identified(self, package: Package, gpu: Gpu) -> None:
        for other in self.packages.values():
            if other is not package and other.gpu is not None and other.gpu.uuid == gpu.uuid:
                raise ReadFailedError(f"it has the unique id {gpu.uuid}, as the GPU at {other.address} has")
        package.gpu = gpu
