"""A worker's main thread: meets the GPUs, sends what is heard of them, and watches those who read them."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from exporter.devices.protocol import Batch, Failure, LibraryState, Plan, Progress, encode
from exporter.devices.sysfs.processes import running
from exporter.devices.sysfs.tree import Tree
from exporter.devices.worker.desk import Desk
from exporter.devices.worker.outbox import Outbox
from exporter.devices.worker.rota import PATIENCE, Beat, Rota
from exporter.devices.worker.station import Station
from exporter.errors import DriverMissingError

_LOOK_SECONDS = 10.0
"""Between looks for GPUs that came, and for processes."""
_NOTHING = Batch()
_SPEAK = 3
"""Times in `Plan.timeout` that a line is sent with nothing in it, which costs the service, too: the worker lives."""
_WATCH = 6
"""Times in `Plan.timeout` that those are looked after who are at something."""
_NO_DRIVER = "amdgpu holds no GPU of this machine: load the driver with modprobe amdgpu, and see dmesg and lspci"


class Writer(Protocol):
    """Where a worker's words go."""

    def write(self, line: bytes, /) -> object:
        """Writes one line."""


class Crew:
    """All who read in this process.

    Args:
        plan: what to do.
        progress: where the desk notes what it does.
    """

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self._plan = plan
        self._outbox = Outbox()
        self._beat = Beat(plan.interval)
        self._rota = Rota(self._beat, self._outbox)
        self._tree = Tree(plan.sysfs)
        self._stations: dict[str, Station] = {}
        self._meeting = threading.Lock()
        self._looker: threading.Thread | None = None
        self._look_at = 0.0
        of_kernel = self._of_kernel()
        self._covered = set(of_kernel)
        self._desk = Desk(plan, progress, self._outbox, self._covered.__contains__, self._tree.may_have)
        self._meet(of_kernel, covered=True)

    def run(self, writer: Writer) -> None:
        """Works until nobody listens, or there is nothing to read.

        Raises:
            ConnectionError: nobody listens.
        """
        self._await_first_words()
        speak_by = 0.0
        while True:
            self._outbox.wait(self._next_look(speak_by) - time.monotonic())
            self._watch()
            batch = self._outbox.take()
            if not self._stations and self._desk.state in {LibraryState.REFUSED, LibraryState.UNUSED}:
                error = self._desk.error or DriverMissingError(_NO_DRIVER)
                writer.write(encode(Batch(nothing=Failure.of(error))))
                return
            if batch != _NOTHING or time.monotonic() >= speak_by:
                writer.write(encode(batch))
                speak_by = time.monotonic() + self._plan.timeout / _SPEAK

    def _await_first_words(self) -> None:
        """Waits until each GPU was read, or failed, or is late: who hears of the first then hears of all."""
        deadline = time.monotonic() + self._plan.timeout
        for station in tuple(self._stations.values()):
            while not station.heard.wait(PATIENCE) and time.monotonic() < deadline and not self._desk.is_late:
                self._rota.watch()

    def _next_look(self, speak_by: float) -> float:
        """Returns when there may be something to do, though nobody has anything to say."""
        now = time.monotonic()
        due = [speak_by, self._rota.look_at(now)]
        if self._desk.is_at_it or any(station.is_at_it for station in self._stations.values()):
            due.append(now + self._plan.timeout / _WATCH)
        return min(due)

    def _watch(self) -> None:
        self._rota.watch()
        self._desk.watch()
        for station in self._stations.values():
            station.watch()
        if self._meet(self._desk.addresses, covered=False):
            self._await_first_words()
        if time.monotonic() >= self._look_at and not (self._looker and self._looker.is_alive()):
            self._look_at = time.monotonic() + _LOOK_SECONDS
            self._looker = threading.Thread(target=self._look, name="look", daemon=True)
            self._looker.start()

    def _look(self) -> None:
        """Looks for GPUs that came since, and for processes; in a thread of its own, as /proc and sysfs may hang."""
        known = set(self._stations)
        self._meet(self._of_kernel(), covered=True)
        if self._desk.addresses and set(self._stations) - known:
            self._desk.outdated()
        if not self._plan.processes:
            return
        found = running(self._tree, self._plan.sysfs, self._plan.proc)
        if found is not None:
            self._outbox.put(lambda batch: batch.processes.extend(found.items()))

    def _of_kernel(self) -> list[str]:
        return [] if self._plan.source == "amdsmi" else self._tree.addresses()

    def _meet(self, addresses: list[str], *, covered: bool) -> bool:
        """Gives each GPU that is new a station; tells whether one is."""
        with self._meeting:
            new = [address for address in addresses if address not in self._stations]
            if not new:
                return False
            if covered:
                self._covered.update(new)
            for address in new:
                station = Station(
                    address, self._plan, self._tree, self._desk, self._outbox, beat=self._beat, covered=covered
                )
                self._stations[address] = station
                self._rota.add(station)
            present, of_kernel = sorted(self._stations), sorted(self._covered)
        self._outbox.put(lambda batch: _announce(batch, present, of_kernel))
        return True


def _announce(batch: Batch, present: list[str], covered: list[str]) -> None:
    batch.present, batch.covered = present, covered
