"""Reads one GPU, in a rhythm that it keeps."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from dataclasses import replace

from exporter.devices.economy import Economy
from exporter.devices.identity import merged
from exporter.devices.protocol import Failure, Plan
from exporter.devices.reconcile import Reconciler
from exporter.devices.sysfs.files import Files
from exporter.devices.sysfs.tree import Tree
from exporter.devices.worker.desk import Desk
from exporter.devices.worker.outbox import Outbox
from exporter.devices.worker.rota import Beat
from exporter.errors import DeviceError, GpuLostError, PermissionDeniedError, ReadTimeoutError, UnknownTableError
from exporter.model import Gpu, Health, Reading

_INSPECT_SECONDS = 60.0
_MISSES = 3
"""Readings without amdsmi after which the kernel's files are said to stand in."""


class Station:
    """Reads one GPU when it has its turn.

    Args:
        address: domain, bus and device.
        plan: the time limit.
        tree: where the kernel's files are.
        desk: asks the library.
        outbox: hears everything.
        beat: the rhythm.
        covered: the kernel has files of this GPU.
    """

    def __init__(
        self, address: str, plan: Plan, tree: Tree, desk: Desk, outbox: Outbox, *, beat: Beat, covered: bool
    ) -> None:
        self.due = time.monotonic()
        """As on the rota."""
        self._turn_at = self.due
        self.address = address
        self.covered = covered
        self.heard = threading.Event()
        """Set once anything was said of this GPU."""
        self._plan = plan
        self._beat = beat
        self._tree = tree
        self._desk = desk
        self._outbox = outbox
        self._files = Files(tree.folder(address))
        self._reconciler = Reconciler()
        self._economy = Economy(plan.check)
        self._decoded = True
        """The kernel's table is of a revision that is known here."""
        self._kernel_gpu: Gpu | None = None
        self._told: Gpu | None = None
        self._grounds: tuple[object, ...] = ()
        """What it was told on."""
        self._lost = False
        self._misses = 0
        self._said: DeviceError | None = None
        self._busy_since: float | None = None
        self._inspector: threading.Thread | None = None
        self._inspect_at = 0.0

    @property
    def is_at_it(self) -> bool:
        """It reads just now, and nobody was told that this takes too long."""
        return self._busy_since is not None

    def watch(self) -> None:
        """Tells once of a read that takes longer than it may; called by another thread."""
        since = self._busy_since
        if self.covered and since is not None and time.monotonic() - since > self._plan.timeout:
            self._busy_since = None
            self._failed(
                ReadTimeoutError(
                    f"no answer within {self._plan.timeout:g} s, so the driver hangs: see dmesg; "
                    "the GPU is read again as soon as that ends"
                )
            )

    def turn(self) -> None:
        """Reads the GPU, or has the desk read it."""
        self._turn_at, self.due = self.due, math.inf
        if self.covered:
            self._read()
        else:
            self._ask()

    def _read(self) -> None:
        """Reads the kernel's files, and asks the library."""
        began = self._busy_since = time.monotonic()
        answer: Reading | DeviceError
        try:
            answer = self._covered_reading()
        except DeviceError as error:
            answer = error
        self._busy_since = None
        self._done(answer, time.monotonic() - began)

    def _done(self, answer: Reading | DeviceError, took: float, rest: float = 0.0) -> None:
        """Ends a turn: says what came of it, and rests until the first beat after it, or after so many seconds more.

        A slow GPU is so read less often, one that hangs time and again is not asked all the time, and no rhythm drifts.
        """
        if took > self._plan.timeout:
            rest = max(rest, took)
        due = self._beat.after(time.monotonic() + rest)
        beats = round((due - self._turn_at) / self._beat.interval)
        try:
            if isinstance(answer, DeviceError):
                raise answer
            self._tell_who()
            if took <= self._plan.timeout:  # else it was said that it is late
                self._say(answer, took, beats * self._beat.interval if beats > 1 else 0.0)
        except DeviceError as error:
            self._failed(error)
        self._inspect()
        self.due = due

    def _say(self, reading: Reading, took: float, period: float) -> None:
        if period:
            reading = replace(reading, period=period)
        address = self.address
        self._outbox.put(lambda batch: batch.readings.append((address, took, reading)), waits=True)
        self.heard.set()

    def _covered_reading(self) -> Reading:
        """Reads the kernel's files, then asks amdsmi: so it is never asked about a GPU that hangs in the kernel.

        While both say the same it is asked now and then only, as `economy` has it.
        """
        if self._kernel_gpu is None:
            self._kernel_gpu = self._tree.identify(self.address)
            if self._kernel_gpu.uuid:
                self._tell_who()  # before the first read, which may hang
            if self._lost:
                self._lost = False
                self._desk.outdated()
        try:
            kernel = self._files.read()
            self._decoded = True
        except GpuLostError:
            self._lost, self._kernel_gpu = True, None
            raise
        except UnknownTableError:
            # A library newer than this program may know it. No other failure is one to ask the library about: it reads
            # the same file, and makes values of whatever is in there.
            self._decoded = False
            if (answer := self._desk.read(self.address)) is None:
                raise
            return answer
        if not self._economy.must_compare(kernel.taken):
            return kernel
        answer = self._desk.read(self.address)
        self._misses = 0 if answer else self._misses + 1
        if answer is None:
            self._economy.compared(kernel.taken, agreed=False)
            return kernel
        served = self._reconciler.served(kernel, answer, self._files.read)
        self._economy.compared(kernel.taken, agreed=self._reconciler.kernel_suffices)
        return served

    def _ask(self) -> None:
        """Has the desk read the GPU, where amdsmi is all that there is.

        Where this worker asks no more, that is told once.
        """
        if self._kernel_gpu is None:
            self._kernel_gpu = self._tree.identify(self.address)
        error = self._desk.given_up(self.address)
        if error is None and self._desk.ask(self.address, self._answered):
            return
        if error is not None and error is not self._said:
            with contextlib.suppress(DeviceError):
                self._tell_who()
            self._failed(error)
        self.due = self._beat.after(time.monotonic())

    def _answered(self, answer: Reading | DeviceError, took: float) -> None:
        """Takes what the desk has found, on its thread."""
        self._done(answer, took, self._desk.rest(self.address))

    def _tell_who(self) -> None:
        """Tells who this GPU is, and where its readings come from, if that changed.

        Raises:
            PermissionDeniedError: nothing tells its id.
        """
        library, silence = self._desk.gpu(self.address), self._desk.silence(self.address)
        if library is not None and self._misses >= _MISSES:
            silence = silence or "amdsmi does not answer"
        reasons = tuple(self._reconciler.reasons.items())
        grounds = self._kernel_gpu, library, silence, self._decoded, reasons
        if grounds == self._grounds:
            return
        try:
            gpu = self._identity(library, silence)
        except PermissionDeniedError as error:
            self._desk.give_up(self.address, error)
            raise
        self._grounds = grounds
        if gpu != self._told:
            self._told = gpu
            address = self.address
            self._outbox.put(lambda batch: batch.gpus.append((address, gpu)))

    def _identity(self, library: Gpu | None, silence: str) -> Gpu:
        gpu = merged(self._kernel_gpu, library)
        if not self.covered or not self._decoded:
            return replace(gpu, source="amdsmi")
        if silence or library is None:
            return replace(gpu, source="sysfs", stand_in=silence)
        reasons = sorted(self._reconciler.reasons.items())
        words = "; ".join(f"{field.replace('_', ' ')}: {reason}" for field, reason in reasons)
        return replace(gpu, source="both", stand_in=words)

    def _failed(self, error: DeviceError) -> None:
        self._said = error
        failure = self.address, time.monotonic(), Failure.of(error)
        self._outbox.put(lambda batch: batch.failures.append(failure))
        self.heard.set()

    def _inspect(self) -> None:
        """Has the slow facts read each minute, by a thread that may hang: then there are none."""
        now = time.monotonic()
        if now < self._inspect_at or (self._inspector is not None and self._inspector.is_alive()):
            return
        if self._told is None:
            return
        self._inspect_at = now + _INSPECT_SECONDS
        self._inspector = threading.Thread(target=self._inspection, name=f"inspect {self.address}", daemon=True)
        self._inspector.start()

    def _inspection(self) -> None:
        health = self._files.inspect() if self.covered else Health()
        if health == Health():
            health = self._desk.inspect(self.address) or health
        if health != Health():
            address = self.address
            self._outbox.put(lambda batch: batch.health.append((address, health)))
