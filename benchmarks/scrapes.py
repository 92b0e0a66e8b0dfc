"""Scrapes, timed: those of the service and those of the bare server in turns."""

from __future__ import annotations

import re
import socket
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from benchmarks.procfs import cpu_seconds

PROMETHEUS = (
    "Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\nAccept-Encoding: gzip\r\n"
)
"""The headers of Prometheus 2."""
PLAIN = "Accept: text/plain;version=0.0.4\r\n"
"""The older format, not compressed."""
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n")
_TURNS_PER_ENCODED = 5
"""As they are slow, and would crowd out what they are compared with."""
_REST_SECONDS = 0.002
"""After an answer, until its process sleeps and the kernel has counted what it did."""


class Server(NamedTuple):
    """A process that listens on loopback."""

    pid: int
    port: int


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one scrape cost."""

    seconds: float
    """From the first byte sent to the last byte received."""
    cpu_seconds: float
    """Of the server."""


@dataclass(slots=True)
class Scrapes:
    """All scrapes of one kind."""

    steady: list[Scrape] = field(default_factory=list)
    """Of the service, at a steady interval as Prometheus does."""
    bare: list[Scrape] = field(default_factory=list)
    """Of the bare server, of as many bytes."""
    encoded: list[Scrape] = field(default_factory=list)
    """Of the bare server, with prometheus_client's encoder."""
    unforeseen: list[Scrape] = field(default_factory=list)
    """Of the service, after a sweep, by one who was never there: what a rendering costs, whenever it is made."""


class Client:
    """A connection that is kept, as Prometheus does."""

    def __init__(
        self, port: int, path: str = "/metrics", headers: str = PROMETHEUS, address: str = "127.0.0.1"
    ) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30.0, source_address=(address, 0))
        self._request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def scrape(self) -> bytes:
        """The body of one answer, as it was sent."""
        self._socket.sendall(self._request)
        received = bytearray()
        while (end := received.find(b"\r\n\r\n") + 4) < 4:
            received += self._receive()
        length = _LENGTH.search(received, 0, end)
        assert length is not None
        assert received.startswith(b"HTTP/1.1 200 ")
        while len(received) < end + int(length[1]):
            received += self._receive()
        return bytes(received[end:])

    def _receive(self) -> bytes:
        chunk = self._socket.recv(2**20)
        assert chunk, "the server hung up"
        return chunk


def take_turns(count: int, pace: float, service: Server, bare: Server, ways: Sequence[str]) -> list[Scrapes]:
    """Scrapes either server in each way, in turns; blocks meanwhile.

    Args:
        count: Scrapes of either in each way.
        pace: Seconds from one turn to the next.
        service: The exporter.
        bare: Serves at /n and /encoded/n what the exporter would in the nth way.
        ways: The headers to send.

    Returns:
        One for each way.
    """
    found = [Scrapes() for _ in ways]
    with ExitStack() as stack:
        services = [stack.enter_context(Client(service.port, headers=way)) for way in ways]
        bares = [stack.enter_context(Client(bare.port, f"/{n}", way)) for n, way in enumerate(ways)]
        encoders = [stack.enter_context(Client(bare.port, f"/encoded/{n}", way)) for n, way in enumerate(ways)]
        for encoder in encoders:
            encoder.scrape()  # reads what it is to encode
        began = time.monotonic()
        for turn in range(count):
            time.sleep(max(0.0, began + turn * pace - time.monotonic()))
            for n, scrapes in enumerate(found):
                scrapes.steady.append(_timed(services[n], service.pid))
                scrapes.bare.append(_timed(bares[n], bare.pid))
            if turn % _TURNS_PER_ENCODED == 0:
                for encoder, scrapes in zip(encoders, found, strict=True):
                    scrapes.encoded.append(_timed(encoder, bare.pid))
    return found


def surprise(found: Sequence[Scrapes], count: int, pace: float, service: Server, ways: Sequence[str]) -> None:
    """Scrapes the exporter in each way, each time from another address of loopback; blocks meanwhile.

    Args:
        found: Where each way's scrapes are added.
        count: Of scrapes in each way; 250 at most.
        pace: Seconds from one turn to the next, of which none finds what the one before had rendered.
        service: The exporter.
        ways: The headers to send.
    """
    for turn in range(count):
        time.sleep(pace)
        for n, (scrapes, way) in enumerate(zip(found, ways, strict=True)):
            with Client(service.port, headers=way, address=f"127.0.{n + 1}.{turn + 1}") as client:
                time.sleep(_REST_SECONDS)
                scrapes.unforeseen.append(_timed(client, service.pid))


def _timed(client: Client, pid: int) -> Scrape:
    spent = cpu_seconds(pid)
    began = time.perf_counter()
    client.scrape()
    seconds = time.perf_counter() - began
    time.sleep(_REST_SECONDS)
    return Scrape(seconds, cpu_seconds(pid) - spent)


def p50(scrapes: Sequence[Scrape]) -> float:
    """Seconds."""
    return statistics.median(scrape.seconds for scrape in scrapes)


def p99(scrapes: Sequence[Scrape]) -> float:
    """Seconds."""
    return sorted(scrape.seconds for scrape in scrapes)[-1 - len(scrapes) // 100]


def cpu(scrapes: Sequence[Scrape]) -> float:
    """CPU seconds of a typical one; the median, since now and then a sweep falls into a scrape."""
    return statistics.median(scrape.cpu_seconds for scrape in scrapes)
