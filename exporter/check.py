"""`exporter check`: tries config, GPUs, consumption API, Prometheus and where reports go to, and says what to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from exporter.config import Config, ConfigFile, Prometheus
from exporter.devices.source import DeviceSource
from exporter.errors import OF_ONE_GPU, ConfigError, DeliveryError, DeviceError, ExporterError, TasksError
from exporter.model import Gpu, Health, Process, Reading
from exporter.origins import origin, stand_ins
from exporter.report.delivery.send import try_url
from exporter.report.delivery.target import url
from exporter.tasks.refresher import clock_difference
from exporter.tasks.source import task_source
from exporter.web.settings import of_section
from exporter.web.tls import Tls

_NO_FILE = ConfigFile()
_START_SECONDS = 35.0
"""A worker has 30 s to start."""


class Verdict(StrEnum):
    """How a probe ended."""

    OK = "ok"
    NOTE = "note"
    """Nothing is broken, but one should know."""
    FAULT = "FAULT"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one probe found."""

    verdict: Verdict
    part: str
    words: str


@dataclass(slots=True)
class _Look:
    """A sink that waits until every GPU was read or failed, or the whole source did."""

    gpus: dict[str, Gpu] = field(default_factory=dict)
    readings: dict[str, Reading] = field(default_factory=dict)
    failures: dict[str, tuple[int | None, str]] = field(default_factory=dict)
    """Index and words by unique id; the empty id, without index, is the source, or a GPU that cannot be identified."""
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    two_sources: bool = False
    """The kernel's files may stand in for amdsmi, which takes longer to answer, or to fail."""

    def found(self, gpus: Sequence[Gpu]) -> None:
        self.gpus = {gpu.uuid: gpu for gpu in gpus}
        self._settle()

    def read(self, uuid: str, reading: Reading, _seconds: float) -> None:
        self.readings[uuid] = reading
        self._settle()

    def inspected(self, uuid: str, health: Health) -> None:
        """Nobody waits for slow facts here."""

    def used_by(self, uuid: str, processes: Sequence[Process]) -> None:
        """Nobody waits for processes here."""

    def failed(self, gpu: Gpu | None, error: DeviceError) -> None:
        self.failures[gpu.uuid if gpu else ""] = (gpu.index if gpu else None, str(error))
        if gpu is None and not isinstance(error, OF_ONE_GPU):
            self.settled.set()
        self._settle()

    def recovered(self, gpu: Gpu | None) -> None:
        self.failures.pop(gpu.uuid if gpu else "", None)

    def restarted(self, reason: str) -> None:
        """Nobody counts here."""

    def _settle(self) -> None:
        if not self.gpus or not self.gpus.keys() <= self.readings.keys() | self.failures.keys():
            return
        if not self.two_sources or all(gpu.source != "sysfs" or gpu.stand_in for gpu in self.gpus.values()):
            self.settled.set()


async def check(config: Config, source: DeviceSource, file: ConfigFile = _NO_FILE) -> AsyncIterator[Finding]:
    """Probes one part after the other.

    Args:
        config: The settings; the files that they name are tried here.
        source: Where readings come from.
        file: Where the settings are from, for messages.
    """
    yield _endpoint(config, file)
    look = _Look(two_sources=config.devices.source == "auto")
    async for finding in _devices(config, source, look):
        yield finding
    known = frozenset[str]().union(*(gpu.aliases for gpu in look.gpus.values()))
    async for finding in _tasks(config, file, known):
        yield finding
    async for finding in _prometheus(config, file):
        yield finding
    async for finding in _deliveries(config):
        yield finding


def _endpoint(config: Config, file: ConfigFile) -> Finding:
    try:
        with file.named():
            if (tls := of_section(config.listen).tls) is not None:
                Tls(tls)
    except ConfigError as error:
        return Finding(Verdict.FAULT, "config", str(error))
    return Finding(Verdict.OK, "config", f"node {config.node_name}, endpoint {config.listen.host}:{config.listen.port}")


async def _devices(config: Config, source: DeviceSource, look: _Look) -> AsyncIterator[Finding]:
    reading = asyncio.create_task(source.run(look))
    try:
        async with asyncio.timeout(_START_SECONDS + 2 * config.devices.timeout):
            await look.settled.wait()
            if look.gpus:  # one that hangs while it is identified is told of only now
                await asyncio.sleep(config.devices.timeout)
    except TimeoutError:
        look.failures.setdefault("", (None, "no reading came: the driver seems to hang (dmesg tells more)"))
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    for words in _faults(look):
        yield Finding(Verdict.FAULT, "devices", words)
    for uuid, gpu in sorted(look.gpus.items(), key=lambda item: item[1].index):
        if (one := look.readings.get(uuid)) is not None:
            words = f"GPU {gpu.index} {uuid} {gpu.model}: {_shown(one)}, from {origin(gpu)}"
            yield Finding(Verdict.OK, "devices", words)
    for reason, indices in stand_ins(look.gpus.values()):
        words = f"the kernel's files stand in on GPU {_listed(indices)}: {reason}"
        yield Finding(Verdict.NOTE, "devices", words)
    expected = config.devices.expected
    if expected is not None and len(look.gpus) != expected:
        yield Finding(Verdict.FAULT, "devices", f"{len(look.gpus)} GPUs found, devices.expected says {expected}")


def _faults(look: _Look) -> Iterator[str]:
    """What is wrong, once for all GPUs with which it is."""
    indices: dict[str, list[int]] = {}
    for index, words in look.failures.values():
        indices.setdefault(words, []).extend([] if index is None else [index])
    for words, of_gpus in indices.items():
        yield f"GPU {_listed(of_gpus)}: {words}" if of_gpus else words


def _listed(indices: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(indices)))


def _shown(reading: Reading) -> str:
    utilization = "–" if reading.utilization is None else f"{reading.utilization:.0%}"
    vram = "–" if reading.vram_used_bytes is None else f"{reading.vram_used_bytes / 2**30:.1f} GiB"
    return f"utilization {utilization}, VRAM {vram}"


async def _tasks(config: Config, file: ConfigFile, known: frozenset[str]) -> AsyncIterator[Finding]:
    now = time.time()
    try:
        with file.named():
            source = task_source(config.tasks)
        if source is None:
            yield Finding(Verdict.NOTE, "tasks", "tasks.url is not set: every GPU-second is booked to `unknown`")
            return
        answer = await source.tasks(now - 60, now)
        if answer.clock_offset:  # it was asked for an hour of ours, which is not its own
            now += answer.clock_offset
            answer = await source.tasks(now - 60, now)
    except (TasksError, ConfigError) as error:
        yield Finding(Verdict.FAULT, "tasks", str(error))
        return
    running = [task for task in answer.tasks if task.start <= now < task.end]
    named = {gpu.uuid for task in running for gpu in task.gpus}
    yield Finding(
        Verdict.OK,
        "tasks",
        f"{source.name}: {len(running)} tasks run on {len(named)} GPUs, {len(named & known)} of them on this node",
    )
    if (difference := clock_difference(answer.clock_offset or 0.0)) is not None:
        yield Finding(Verdict.NOTE, "tasks", f"its clock is {difference}")
    if answer.malformed:
        first = answer.malformed[0]
        words = f"{len(answer.malformed)} entries cannot be accounted, such as {first.task_id!r}: {first.reason}"
        yield Finding(Verdict.NOTE, "tasks", words)


async def _prometheus(config: Config, file: ConfigFile) -> AsyncIterator[Finding]:
    settings = config.prometheus
    try:
        from exporter.report.history.client import PrometheusClient
        from exporter.report.history.queries import PRESENCE
    except ImportError:
        yield Finding(
            Verdict.NOTE, "prometheus", "not tried: only `exporter report` needs it, and its extra is not installed"
        )
        return
    # On a GPU node nobody sets it: Prometheus comes to us.
    unreachable = Verdict.NOTE if settings == Prometheus() else Verdict.FAULT
    try:
        with file.named():
            async with PrometheusClient(settings) as client:
                found = await client.instant(PRESENCE.ask(client.scope()), time.time())
    except ExporterError as error:
        yield Finding(unreachable, "prometheus", f"{error}; only `exporter report` needs it")
        return
    count = int(found[0].values[-1]) if found else 0
    words = f"{settings.url}: scrapes {count} GPUs"
    yield Finding(Verdict.OK if count else unreachable, "prometheus", words)


async def _deliveries(config: Config) -> AsyncIterator[Finding]:
    """Tries where reports go to; sends nothing."""
    for place, target in enumerate(config.report.deliver):
        try:
            await asyncio.to_thread(try_url, url(target))
        except DeliveryError as error:
            yield Finding(Verdict.FAULT, "deliver", f"report.deliver[{place}]: {error}")
        else:
            yield Finding(Verdict.OK, "deliver", f"report.deliver[{place}]: Apprise knows it; nothing was sent")
