"""A real service that lives through seeded faults: of devices, API, clients and clocks, with restarts.

Real are the service with all its parts, the API, and every request on loopback. What GPUs say is simulated, and the
clocks are virtual: an hour passes in a second or two. Virtual time is told by `World.now`, in seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import aiohttp

from exporter import config
from exporter.demo.api import Fault, StandInApi
from exporter.devices.simulated import SimulatedGpus, Workload
from exporter.devices.source import DeviceSink
from exporter.errors import DeviceError, GpuLostError, ReadTimeoutError, TasksError
from exporter.model import Answer, Scope, Task, TaskGpu
from exporter.service import Service, Sink

GPUS = 3
EPOCH = 1_753_113_600.0
"""True Unix time when `now` is 0."""
INTERVAL = 5
"""Seconds between readings."""
SETTLE = 5.0
USERS = ("itrd", "tku_csie", "nycubme")
HARDWARE = SimulatedGpus(Workload(7, GPUS))
_LONGEST_TASK = 900
_OUTAGES = (
    Fault(status=500),
    Fault(status=401),
    Fault(status=302),
    Fault(breaks="before"),
    Fault(breaks="amid"),
    Fault(breaks="truncated"),
    Fault(body=b"<html>Sign in</html>"),
    Fault(body=b'{"f3": null}'),
    Fault(body=b"[" * 5000),
)
_SENSELESS = (
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: \xff;q=nan\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost:",
    b"",
)
_ACCEPTED = ("", "application/openmetrics-text;version=1.0.0", "application/openmetrics-text;version=x", "*/*;q=nan")


class _Devices:
    """A DeviceSource that finds its GPUs, and else says what it is made to say."""

    async def run(self, sink: DeviceSink) -> None:
        sink.found(HARDWARE.gpus)
        await asyncio.Event().wait()


@dataclass(frozen=True)
class _Watched(Sink):
    """The service's own sink, which puts answers on the virtual clock and knows when the refresher rests."""

    monotonic: Callable[[], float]
    rests: asyncio.Event
    asked_at: list[float]
    time_passes: Callable[[], None]

    def wanted_since(self) -> float:
        self.rests.clear()
        return super().wanted_since()

    def scope(self) -> Scope:
        self.asked_at.append(time.monotonic())
        self.time_passes()
        return super().scope()

    async def answered(self, answer: Answer, seconds: float) -> None:
        age = round(max(0.0, self.asked_at[-1] - answer.as_of))
        await super().answered(replace(answer, as_of=self.monotonic() - age), seconds)
        self.rests.set()

    def refused(self, error: TasksError, seconds: float) -> None:
        super().refused(error, seconds)
        self.rests.set()


@dataclass(slots=True)
class World:
    """All that a seed decides, and the node that lives in it.

    Args:
        seed: Of every choice.
        directory: For the token file.
    """

    seed: int
    directory: Path
    now: float = 0.0
    born: float = 0.0
    """When the service that runs now began."""
    tasks: list[Task] = field(default_factory=list)
    """By the server's clock."""
    has_entries_of_nobody: bool = False
    """Whether the API tells of entries that cannot be accounted."""
    service: Service = field(init=False)
    _random: random.Random = field(init=False)
    _api: StandInApi = field(init=False)
    _sink: _Watched = field(init=False)
    _broken: dict[int, DeviceError | None] = field(default_factory=dict)
    """GPUs that are not read, and what is said of them; None: nothing is, as it hangs."""
    _server_ahead: int = 0
    """The server's clock less true time."""
    _node_ahead: int = 0
    """The node's wall clock less true time."""
    _accept: str = ""
    """Which format this life's scraper wants."""
    _cached: int = 0
    """Seconds for which a cache has kept the next answer."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._server_ahead = self._random.choice((0, 0, 3600, -300))
        self.tasks = [self._task(number) for number in range(self._random.randint(5, 40))]
        self._api = StandInApi(self.tasks, clock=lambda: self.server_time - self._cached)

    @property
    def server_time(self) -> float:
        """The API's Unix time."""
        return EPOCH + self.now + self._server_ahead

    def held_seconds(self, username: str, uuid: str) -> float:
        """What of the life of this service a user at most had of a GPU."""
        lives = self.born + EPOCH + self._server_ahead, self.server_time
        held = [task for task in self.tasks if task.username == username and uuid in {gpu.uuid for gpu in task.gpus}]
        return sum(max(0.0, min(task.end, lives[1]) - max(task.start, lives[0])) for task in held)

    def tasks_of(self, username: str) -> int:
        """How many tasks a user has in all."""
        return sum(task.username == username for task in self.tasks)

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Runs a new service until the block is left."""
        self.born, self._broken, self._accept = self.now, {}, self._random.choice(_ACCEPTED)
        self.service = Service(self._config(), _Devices(), monotonic=self._monotonic, wall=self._wall)
        own = self.service.sink
        parts = own.node, own.instruments, own.exposition, own.refresher
        self._sink = self.service.sink = _Watched(*parts, self._monotonic, asyncio.Event(), [], self._pass)
        self._well()
        async with self.service.running():
            await self._answered()
            yield

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Runs the API until the block is left."""
        token = self.directory / f"token {self.seed}"
        token.write_text(self._api.token, encoding="ascii")
        token.chmod(0o600)
        async with self._api:
            yield

    async def happens(self) -> None:
        """Does one thing, whatever it is; all of them can follow each other."""
        events = {
            self._read: 8, self._refresh: 5, self._outage: 3, self._break: 2, self._mend: 2, self._step_clock: 1,
            self._speak_senselessly: 2, self._idle: 1, self._vanish: 1, self._reload: 1, self._nobody: 1,
        }  # fmt: skip
        (event,) = self._random.choices(list(events), list(events.values()))
        await event()

    async def scrape(self) -> str:
        """What /metrics shows a second later, when nothing is given again that was rendered before."""
        self.now += 1
        url = f"{self.service.web.url}metrics"
        async with aiohttp.ClientSession() as session, session.get(url, headers={"Accept": self._accept}) as response:
            assert response.status == 200
            return await response.text()

    async def recover(self) -> None:
        """Ends every fault, and lets the API be heard of all there is."""
        await self._mend()
        self._read_all(12, soundly=True)
        await self._refresh(cached=0)
        await self._refresh(cached=0)  # the first may have learned that the clocks differ

    # What happens.

    async def _read(self) -> None:
        self._read_all(self._random.randint(1, 30))

    async def _refresh(self, cached: int | None = None) -> None:
        agree = self._server_ahead == self._node_ahead == 0
        self._well(cached if cached is not None else agree * self._random.choice((0, 0, 0, 20, 55)))
        await self._ask()

    async def _outage(self) -> None:
        self._api.fault = self._random.choice(_OUTAGES)
        await self._ask()
        self._read_all(self._random.choice((1, 10, 140)))

    async def _break(self) -> None:
        gpu = HARDWARE.gpus[self._random.randrange(GPUS)]
        error = self._random.choice((None, ReadTimeoutError("hung"), GpuLostError("gone")))
        self._broken[gpu.index] = error
        if error is not None:
            self._sink.failed(gpu, error)

    async def _mend(self) -> None:
        for index in list(self._broken):
            self._sink.recovered(HARDWARE.gpus[index])
        self._broken.clear()

    async def _step_clock(self) -> None:
        self._node_ahead = self._random.choice((0, 300, -300, 86400))

    async def _speak_senselessly(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.service.web.port)
        writer.write(self._random.choice(_SENSELESS))
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            if self._random.random() < 0.5:
                writer.write_eof()
                await reader.read()
        writer.transport.abort()

    async def _idle(self) -> None:
        """Nobody does anything: the machine slept, or every GPU hung."""
        self.now += self._random.choice((20, 300, 4000))

    async def _vanish(self) -> None:
        """A rescan finds a GPU less, and the next one finds it again."""
        gone = self._random.randrange(GPUS)
        self._sink.found([gpu for gpu in HARDWARE.gpus if gpu.index != gone])
        self._read_all(self._random.randint(1, 5), leaving_out=gone)
        self._sink.found(HARDWARE.gpus)

    async def _reload(self) -> None:
        """The config file changes; now and then nobody is to be asked any more, for a while."""
        if self._random.random() < 0.3:
            self.service.reconfigure(self._config(url=None))
            self._read_all(5)
        self._well()
        self._sink.rests.clear()
        self.service.reconfigure(self._config())
        await self._answered()

    async def _nobody(self) -> None:
        """From now on, for the rest of the seed, an entry of a GPU cannot be placed in time."""
        self.has_entries_of_nobody = True
        uuid = HARDWARE.gpus[0].uuid
        self._api.extra = {"odd": {"username": "odd", "gpus": [{"uuid": f"APU-{uuid}"}], "start": "?", "end": ""}}

    # How.

    def _pass(self) -> None:
        """Requests follow each other in time."""
        self.now += 0.01

    def _monotonic(self) -> float:
        return 1000.0 + self.now

    def _wall(self) -> float:
        return EPOCH + self.now + self._node_ahead

    def _config(self, **tasks: Any) -> config.Config:
        asked: Mapping[str, Any] = {
            "url": self._api.url, "token_file": str(self.directory / f"token {self.seed}"), "refresh": "590s",
            "settle": f"{SETTLE}s", **tasks,
        }  # fmt: skip
        settings = {
            "hostname": "colab-gpu1",
            "listen": {"host": "127.0.0.1", "port": 0},
            "devices": {"source": "simulated", "interval": f"{INTERVAL}s"},
            "metering": {"birth": "0s"},  # all that is booked is shown
            "tasks": asked,
        }
        return config.parse(settings, where="test")

    async def _ask(self) -> None:
        self._sink.rests.clear()
        self.service.refresher.hurry()
        await self._answered()

    async def _answered(self) -> None:
        """Waits until the refresher rests, whose answer may make it ask once more."""
        async with asyncio.timeout(60):
            while not self._sink.rests.is_set():
                await self._sink.rests.wait()

    def _well(self, cached: int = 0) -> None:
        """Has the API answer; a cache has kept that for so many seconds."""
        self._cached = cached
        date = formatdate(time.time() + self.server_time - self._wall() - cached, usegmt=True)
        self._api.fault = Fault(headers={"Date": date, **({"Age": str(cached)} if cached else {})})

    def _read_all(self, times: int, *, leaving_out: int | None = None, soundly: bool = False) -> None:
        for _ in range(times):
            self.now += INTERVAL
            for gpu in HARDWARE.gpus:
                if gpu.index in self._broken or gpu.index == leaving_out:
                    continue
                reading = HARDWARE.reading(gpu.index, EPOCH + self.now, self._monotonic())
                match None if soundly else self._random.randrange(40):
                    case 0:  # it comes late, and after a younger one
                        reading = replace(reading, taken=max(reading.taken - 2 * INTERVAL, 1000.0 + self.born))
                    case 1:
                        reading = replace(reading, utilization=None)
                    case 2:
                        reading = replace(reading, vram_used_bytes=None, energy_joules=None)
                    case 3:
                        continue
                self._sink.read(gpu.uuid, reading, 0.001)

    def _task(self, number: int) -> Task:
        start = EPOCH + self._server_ahead + self._random.randrange(-600, 7200)
        gpus = self._random.sample(HARDWARE.gpus, self._random.randint(1, GPUS))
        held = tuple(TaskGpu(gpu.uuid, str(gpu.index)) for gpu in gpus)
        end = start + self._random.randrange(1, _LONGEST_TASK)
        return Task(f"task {number}", self._random.choice(USERS), "LAB", held, start, end, "colab-gpu1")
