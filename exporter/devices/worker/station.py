"""One GPU's thread: reads it in a rhythm that it keeps."""

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
from exporter.errors import DeviceError, GpuLostError, PermissionDeniedError, ReadTimeoutError, UnknownTableError
from exporter.model import Gpu, Health, Reading

_INSPECT_SECONDS = 60.0
_MISSES = 3
"""Readings without amdsmi after which the kernel's files are said to stand in."""


class Station:
    """Reads one GPU for ever.

    Args:
        address: domain, bus and device.
        plan: the rhythm, and the time limit.
        tree: where the kernel's files are.
        desk: asks the library.
        outbox: hears everything.
        covered: the kernel has files of this GPU.
    """

    def __init__(self, address: str, plan: Plan, tree: Tree, desk: Desk, outbox: Outbox, *, covered: bool) -> None:
        self.address = address
        self.covered = covered
        self.heard = threading.Event()
        """Set once anything was said of this GPU."""
        self._plan = plan
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
        self._lost = False
        self._misses = 0
        self._said: DeviceError | None = None
        self._busy_since: float | None = None
        self._inspector: threading.Thread | None = None
        self._inspect_at = 0.0

    def start(self) -> None:
        """Begins; the thread ends with the process."""
        threading.Thread(target=self._run, name=self.address, daemon=True).start()

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

    def _run(self) -> None:
        beat = time.monotonic()
        while True:
            began = self._busy_since = time.monotonic()
            answer = self._answer()
            self._busy_since = None
            took = time.monotonic() - began if answer is None or self.covered else answer[1]
            beats = self._beats(beat, took)
            if answer is not None and took <= self._plan.timeout:  # else `watch` has said that it is late
                self._say(answer[0], took, beats * self._plan.interval if beats > 1 else 0.0)
            self._inspect()
            beat += beats * self._plan.interval
            time.sleep(max(0.0, beat - time.monotonic()))

    def _answer(self) -> tuple[Reading, float] | None:
        """Returns a reading and the seconds it took; None where there is none, which is told."""
        try:
            answer = self._covered_reading() if self.covered else self._bare_reading()
            if answer is not None:
                self._tell_who()
        except DeviceError as error:
            self._failed(error)
            return None
        return answer

    def _beats(self, beat: float, took: float) -> int:
        """Returns after how many intervals to read next: a slow GPU is read less often, and no rhythm drifts."""
        rest = 0.0 if self.covered else self._desk.rest(self.address)
        if took > self._plan.timeout:
            rest = max(rest, took)  # one that hangs time and again is not asked all the time
        return max(1, math.ceil((time.monotonic() + rest - beat) / self._plan.interval))

    def _say(self, reading: Reading, took: float, period: float) -> None:
        if period:
            reading = replace(reading, period=period)
        address = self.address
        self._outbox.put(lambda batch: batch.readings.append((address, took, reading)))
        self.heard.set()

    def _covered_reading(self) -> tuple[Reading, float]:
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
            return kernel, 0.0
        answer = self._desk.read(self.address)
        self._misses = 0 if answer else self._misses + 1
        if answer is None:
            self._economy.compared(kernel.taken, agreed=False)
            return kernel, 0.0
        served = self._reconciler.served(kernel, answer[0], self._files.read)
        self._economy.compared(kernel.taken, agreed=self._reconciler.kernel_suffices)
        return served, answer[1]

    def _bare_reading(self) -> tuple[Reading, float] | None:
        """Asks amdsmi, which is all that there is.

        Raises:
            DeviceError: it cannot tell; not again where this worker does not ask again.
        """
        if self._kernel_gpu is None:
            self._kernel_gpu = self._tree.identify(self.address)
        error = self._desk.given_up(self.address)
        if error is None:
            return self._desk.read(self.address)
        if error is self._said:
            return None
        with contextlib.suppress(DeviceError):
            self._tell_who()
        raise error

    def _tell_who(self) -> None:
        """Tells who this GPU is, and where its readings come from, if that changed.

        Raises:
            PermissionDeniedError: nothing tells its id.
        """
        try:
            gpu = self._identity()
        except PermissionDeniedError as error:
            self._desk.give_up(self.address, error)
            raise
        if gpu != self._told:
            self._told = gpu
            address = self.address
            self._outbox.put(lambda batch: batch.gpus.append((address, gpu)))

    def _identity(self) -> Gpu:
        library = self._desk.gpu(self.address)
        gpu = merged(self._kernel_gpu, library)
        if not self.covered or not self._decoded:
            return replace(gpu, source="amdsmi")
        reasons = dict(self._reconciler.reasons)
        if self._misses >= _MISSES or library is None:
            silence = self._desk.silence(self.address) or ("amdsmi does not answer" if library else "")
            return replace(gpu, source="sysfs", stand_in=silence)
        words = "; ".join(f"{field.replace('_', ' ')}: {reason}" for field, reason in sorted(reasons.items()))
        return replace(gpu, source="both", stand_in=words)

    def _failed(self, error: DeviceError) -> None:
        self._said = error
        address, failure = self.address, Failure.of(error)
        self._outbox.put(lambda batch: batch.failures.append((address, failure)))
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
