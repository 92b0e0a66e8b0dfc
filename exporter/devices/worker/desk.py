"""The one thread that calls AMD's library; the stations hand in what they want to know.

No GPU may use it for more than its part: one that answers slowly is asked less often, and those that answer quickly
are served first.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from exporter.devices.amdsmi.library import ACCESS, Library
from exporter.devices.protocol import LIBRARY, Failure, LibraryNews, LibraryState, Plan, Progress, inspection
from exporter.devices.worker.outbox import Outbox
from exporter.errors import DeviceError, GpuLostError, PermissionDeniedError
from exporter.model import Gpu, Health, Reading

_TOO_MANY_FAILURES = 10
_TOO_OFTEN_SLOW = 3
_PROMPT_SECONDS = 0.25
"""In which a GPU that has the kernel's files answers, or they are served."""
_PATIENCE = 1 / 3
"""The part of the time limit after which others should be read by another worker, if this is all they have."""


@dataclass(order=True, slots=True)
class _Request:
    """Something that a station wants to know."""

    usual_seconds: float
    number: int
    address: str = field(compare=False)
    tell: Callable[[Any, float], object] = field(compare=False)
    """Is called by the desk with the answer, be it a DeviceError, and the seconds it took."""
    inspects: bool = field(compare=False)
    withdrawn: bool = field(compare=False, default=False)


class Desk:
    """Asks the library on behalf of the stations.

    Args:
        plan: what must not be asked.
        progress: where a call that is under way is noted.
        outbox: hears how the library does.
        covers: tells of a GPU whether it has the kernel's files.
        may_be: tells of an address whether a GPU can be there.
    """

    def __init__(
        self,
        plan: Plan,
        progress: Progress,
        outbox: Outbox,
        covers: Callable[[str], bool],
        may_be: Callable[[str], bool],
    ) -> None:
        self._plan = plan
        self._progress = progress
        self._outbox = outbox
        self._covers = covers
        self._may_be = may_be
        self._requests: queue.PriorityQueue[_Request] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._call: tuple[str, float] | None = None
        """The key of the call under way, and since when."""
        self._usual: dict[str, float] = {}
        """Seconds that a call of a key took last."""
        self._slow: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._given_up: dict[str, DeviceError] = {}
        self._addresses: list[str] = []
        self._gpus: dict[str, Gpu] = {}
        self._told: LibraryNews | None = None
        self._outdated = False
        self.error: DeviceError | None = None
        """Why the library refuses."""
        wanted = plan.source != "sysfs" and LIBRARY not in plan.left_out
        self.state = LibraryState.STARTING if wanted else LibraryState.UNUSED
        if wanted:
            threading.Thread(target=self._run, name="desk", daemon=True).start()
        self._tell()

    # What the stations ask.

    @property
    def addresses(self) -> list[str]:
        """The GPUs that the library lists, once it serves."""
        return self._addresses if self.state is LibraryState.SERVING else []

    def gpu(self, address: str) -> Gpu | None:
        """Returns who the library says a GPU is; None where it does not."""
        return self._gpus.get(address) if self.state is LibraryState.SERVING else None

    def given_up(self, address: str) -> DeviceError | None:
        """Returns why this worker asks the library no more about a GPU; None if it does, or never did."""
        return self._given_up.get(address)

    def give_up(self, address: str, error: DeviceError) -> None:
        """Asks no more about a GPU: a fresh worker may fare better."""
        self._given_up[address] = error
        self._tell()

    def silence(self, address: str) -> str:
        """Returns why the library is not asked about a GPU; empty where it is, or has just been started."""
        plan = self._plan.left_out.get(LIBRARY) or self._plan.left_out.get(address)
        error = self.error or self._given_up.get(address)
        if plan or error:
            return plan or str(error)
        if self.state is LibraryState.SERVING and address not in self._addresses:
            return "amdsmi does not list it"
        if self.state is LibraryState.STARTING and self._late()[1]:
            return "amdsmi does not begin"
        return ""

    def ask(self, address: str, tell: Callable[[Reading | DeviceError, float], object]) -> bool:
        """Has a GPU read that has nothing but the library; tells whether it is asked.

        Args:
            address: whose reading.
            tell: is called by the library's thread, with it, or why there is none, and the seconds it took.
        """
        if self.state is not LibraryState.SERVING or self.silence(address):
            return False
        self._put(address, tell, inspects=False)
        return True

    def read(self, address: str) -> Reading | None:
        """Returns the library's reading of a GPU that has the kernel's files, which does without after a moment."""
        answers: queue.SimpleQueue[Reading | DeviceError] = queue.SimpleQueue()
        if self.state is not LibraryState.SERVING or self.silence(address):
            return None
        request = self._put(address, lambda answer, _: answers.put(answer), inspects=False)
        try:
            answer = answers.get(timeout=_PROMPT_SECONDS)
        except queue.Empty:
            request.withdrawn = True
            return None
        return answer if isinstance(answer, Reading) else None

    def inspect(self, address: str) -> Health | None:
        """Returns what the library says of a GPU's health; None where it is not asked, or fails."""
        if self.state is not LibraryState.SERVING or self.silence(address):
            return None
        if {inspection(address)} & {*self._plan.left_out, *self._given_up}:
            return None
        answers: queue.SimpleQueue[Health | DeviceError] = queue.SimpleQueue()
        self._put(address, lambda answer, _: answers.put(answer), inspects=True)
        answer = answers.get()
        return answer if isinstance(answer, Health) else None

    def rest(self, address: str) -> float:
        """Returns for how long a GPU should not be asked: the others' part of the time that it took, within reason."""
        return min(2 * len(self._addresses) * self._usual.get(address, 0.0), 2 * self._plan.timeout)

    def outdated(self) -> None:
        """Notes that there are GPUs that this library does not know well."""
        if self.state is LibraryState.SERVING and not self._outdated:
            self._outdated = True
            self._tell()

    @property
    def is_at_it(self) -> bool:
        """A call is under way."""
        return self._call is not None

    @property
    def is_late(self) -> bool:
        """A call takes too long."""
        return self._late()[0] is not None

    def watch(self) -> None:
        """Tells of a call that takes too long, and that it is over."""
        self._tell()

    def _put(self, address: str, tell: Callable[[Any, float], object], *, inspects: bool) -> _Request:
        key = inspection(address) if inspects else address
        request = _Request(self._usual.get(key, 0.0), next(self._numbers), address, tell, inspects)
        self._requests.put(request)
        return request

    # What the thread does.

    def _run(self) -> None:
        try:
            library = self._timed(LIBRARY, Library, self._plan.check)
            self._addresses = self._believed(library.addresses)
            for address in self._addresses:
                self._meet(library, address)
        except DeviceError as error:
            self.error, self.state = error, LibraryState.REFUSED
            self._tell()
            return
        self.state = LibraryState.SERVING
        self._tell()
        while True:
            request = self._requests.get()
            if not request.withdrawn:
                self._answer(library, request)
            if self._requests.empty():
                self._outbox.flush()

    def _believed(self, addresses: list[str]) -> list[str]:
        """Returns the GPUs that are there: without access to /dev/dri some libraries list whatever was in memory.

        Raises:
            PermissionDeniedError: none is.
        """
        if not (believed := [address for address in addresses if self._may_be(address)]):
            raise PermissionDeniedError(f"amdsmi names no GPU that the kernel has; {ACCESS}")
        return believed

    def _meet(self, library: Library, address: str) -> None:
        """Asks a GPU everything it must be able to answer, once."""
        if address in self._plan.left_out:
            return
        try:
            self._gpus[address] = self._timed(address, library.identify, address)
            self._timed(address, library.read, address)
        except DeviceError as error:
            self._given_up[address] = error

    def _answer(self, library: Library, request: _Request) -> None:
        address = request.address
        key = inspection(address) if request.inspects else address
        try:
            answer = self._timed(key, library.inspect if request.inspects else library.read, address)
        except DeviceError as error:
            answer = error
            self._failed(address, error)
        else:
            self._failures.pop(address, None)
        seconds = self._usual[key]
        if self._covers(address) and not request.inspects:
            self._judge_speed(address, seconds)
        request.tell(answer, seconds)

    def _failed(self, address: str, error: DeviceError) -> None:
        self._failures[address] = self._failures.get(address, 0) + 1
        if isinstance(error, GpuLostError) or self._failures[address] >= _TOO_MANY_FAILURES:
            self.give_up(address, error)

    def _judge_speed(self, address: str, seconds: float) -> None:
        self._slow[address] = self._slow.get(address, 0) + 1 if seconds > _PROMPT_SECONDS else 0
        if self._slow[address] >= _TOO_OFTEN_SLOW:
            self.give_up(address, DeviceError(f"amdsmi takes {seconds:.1f} s for it"))

    def _timed(self, key: str, call: Callable[..., Any], *arguments: object) -> Any:
        began = time.monotonic()
        self._call = key, began
        self._progress.enter(key)
        try:
            return call(*arguments)
        finally:
            self._progress.leave()
            self._call = None
            self._usual[key] = time.monotonic() - began

    def _tell(self) -> None:
        late, overdue = self._late()
        news = LibraryNews(
            state=self.state,
            error=Failure.of(self.error) if self.error else None,
            listed=self.addresses,
            given_up={key: Failure.of(error) for key, error in tuple(self._given_up.items())},
            late=late,
            overdue=overdue,
            outdated=self._outdated,
        )
        if news != self._told:
            self._told = news
            self._outbox.put(lambda batch: setattr(batch, "library", news))

    def _late(self) -> tuple[str | None, bool]:
        """The key of the call under way if it is late, and whether it is later than it may ever be."""
        if (call := self._call) is None:
            return None, False
        key, began = call
        limit = self._plan.start if key == LIBRARY else self._plan.timeout
        seconds = time.monotonic() - began
        patience = max(limit * _PATIENCE, 2 * self._usual.get(key, 0.0))
        return (key if seconds > min(patience, limit) else None), seconds > limit
