"""What /metrics shows: the current snapshot and the exporter's own work, rendered once per sweep."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, disable_created_metrics
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from exporter import metrics
from exporter.encoding import Encoder, Encoding, InstrumentTable, Table
from exporter.errors import OF_ONE_GPU, DeviceError, TasksError
from exporter.model import Gpu, Snapshot


class SeldomCounter(Counter):
    """A counter of many series that seldom change: it is collected anew only after `changed`."""

    _collected: list[Metric] | None = None

    def changed(self) -> None:
        """Takes note that a series is new, or grew."""
        self._collected = None

    def collect(self) -> Iterable[Metric]:
        """Returns what the series are; the very object of last time while nothing changed."""
        if self._collected is None:
            self._collected = list(super().collect())
        return self._collected


class Instruments:
    """What the exporter counts of its own work."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Registers them; those with known labels start at 0."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it only lacks annotations
        prefix = "amdgpu_exporter"
        self.read_seconds = Histogram(
            f"{prefix}_device_read_duration_seconds",
            "Time to read one GPU.",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5),
            registry=registry,
        )
        self.device_errors = SeldomCounter(
            f"{prefix}_device_errors",
            "Failures of a GPU, or, with empty labels, of the whole source of readings.",
            ("gpu", "gpu_uuid", "kind"),
            registry=registry,
        )
        self.worker_restarts = Counter(
            f"{prefix}_worker_restarts", "Worker processes started anew.", ("reason",), registry=registry
        )
        for reason in ("timeout", "crash", "start", "rescan", "retry"):
            self.worker_restarts.labels(reason)
        self.refresh_seconds = Histogram(
            f"{prefix}_task_refresh_duration_seconds",
            "Time until the consumption API answered, or failed to.",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=registry,
        )
        self.refreshes = Counter(
            f"{prefix}_task_refreshes", "Refreshes of task ownership by result.", ("result",), registry=registry
        )
        for result in ("ok", *(kind.result for kind in TasksError.__subclasses__())):
            self.refreshes.labels(result)

    def found(self, gpu: Gpu) -> None:
        """Starts a GPU's error counts at 0, so that the first error is an increase."""
        for kind in OF_ONE_GPU:
            self.device_errors.labels(str(gpu.index), gpu.uuid, kind.kind)
        self.device_errors.changed()

    def failed(self, gpu: Gpu | None, error: DeviceError) -> None:
        """Counts one failure."""
        index, uuid = (str(gpu.index), gpu.uuid) if gpu else ("", "")
        self.device_errors.labels(index, uuid, error.kind).inc()
        self.device_errors.changed()

    def read(self, seconds: float) -> None:
        """Counts one reading of one GPU, and how long it took."""
        self.read_seconds.observe(seconds)

    def restarted(self, reason: str) -> None:
        """Counts one worker process started anew."""
        self.worker_restarts.labels(reason).inc()

    def refreshed(self, result: str, seconds: float) -> None:
        """Counts one refresh of the tasks that ended so (`ok`, or a TasksError's `result`), and how long it took."""
        self.refreshes.labels(result).inc()
        self.refresh_seconds.observe(seconds)


_VERSION = re.compile(r"(?<=openmetrics-text; version=)[^;]*")
_ESCAPING = re.compile(r"escaping=(dots|values)$")

_FORMATS = 2
"""Of which something is kept at once, of the six that can be asked for."""


class Exposition:
    """Renders a node and its instruments; asked again before anything was read anew, it gives the same bytes.

    However many servers scrape, and whatever versions and parameters they name, a node so pays for one rendering of
    a format per sweep, and in it for the values that changed.

    Args:
        snapshot: Returns the node as it is now.
        instruments: What counts the exporter's own work.
        lifetime: Seconds for which a rendering may be given again.
        monotonic: CLOCK_MONOTONIC.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        instruments: CollectorRegistry,
        lifetime: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._snapshot = snapshot
        self._instruments = instruments
        self._lifetime = lifetime
        self._monotonic = monotonic
        self._rendered: dict[Encoder, bytes] = {}
        self._encodings: dict[Encoder, Encoding] = {}
        self._outdated_at = -math.inf
        self._news = asyncio.Event()
        self._rendering = asyncio.Lock()

    async def __call__(self, accept: str | None) -> tuple[bytes, str]:
        """Renders for the value of a header Accept; the loop has its turns meanwhile.

        Returns:
            The body, and its content type: Prometheus text or OpenMetrics.
        """
        encoder, content_type = _chosen(accept or "")
        if self._monotonic() - self._outdated_at >= self._lifetime:
            self.outdated()
        if (body := self._rendered.get(encoder)) is not None:
            return body, content_type
        async with self._rendering:
            if (body := self._rendered.get(encoder)) is None:  # by one who asked the same and came first
                rendered = self._rendered
                body = rendered[encoder] = await self._render(encoder)
        return body, content_type

    def outdated(self) -> None:
        """Takes note that something was read anew; what is being rendered is not kept."""
        self._news.set()
        self._rendered = {}
        self._outdated_at = self._monotonic()

    async def news(self) -> None:
        """Waits until something was read anew since this returned last."""
        await self._news.wait()
        self._news.clear()

    async def _render(self, encoder: Encoder) -> bytes:
        encoding = self._encodings.get(encoder)
        if encoding is None:
            if len(self._encodings) >= _FORMATS:
                self._encodings.clear()
            encoding = self._encodings[encoder] = Encoding(encoder)
        steps = encoding.encode(self._tables())
        while True:
            try:
                next(steps)
            except StopIteration as done:
                body: bytes = done.value
                return body
            await asyncio.sleep(0)

    def _tables(self) -> Iterator[Table[Any]]:
        yield from metrics.shown(self._snapshot())
        yield from map(InstrumentTable, self._instruments.collect())


def _chosen(accept: str) -> tuple[Encoder, str]:
    """Returns an encoder, the same one for all who are given the same bytes, and the content type of what it makes."""
    try:
        _, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # what it makes of a version that is no number
        _, content_type = choose_encoder("")
    # The client's own version, which it would say back, is not what is rendered.
    content_type = _VERSION.sub("1.0.0", content_type)
    escaping = _ESCAPING.search(content_type)
    return _encoder(
        escaping[1] if escaping else "", content_type.startswith("application/openmetrics-text")
    ), content_type


@lru_cache(maxsize=6)
def _encoder(escaping: str, is_openmetrics: bool) -> Encoder:
    """Returns what renders a format; only two escapings change our names, as both double underscores."""
    if not is_openmetrics:
        return partial(generate_latest, escaping=escaping or openmetrics.UNDERSCORES)
    # ALLOWUTF8 gives what UNDERSCORES gives, in two thirds of the time.
    return partial(openmetrics.generate_latest, escaping=escaping or openmetrics.ALLOWUTF8)
