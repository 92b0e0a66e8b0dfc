"""What happens on one simulated node, and what goes wrong, to the second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from exporter.devices.simulated.chance import number

READ_SECONDS = 15
"""Readings lie on the knots of the simulated load, where the trapezoid rule is exact."""

Stretch = tuple[float, float]
"""[start, end) in Unix seconds."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong, and when."""

    stopped: Sequence[tuple[str, Stretch]] = ()
    """The exporter of a node is down, and starts anew afterwards with all its counters at 0."""
    unscraped: Sequence[tuple[str, Stretch]] = ()
    """Scrapes of a node fail, while it goes on: Prometheus marks its series stale."""
    blind: Sequence[Stretch] = ()
    """Prometheus is down, and leaves no marks."""
    unreadable: Sequence[tuple[str, int, Stretch]] = ()
    """A GPU of a node cannot be read."""
    api_down: Sequence[Stretch] = ()
    """The consumption API does not answer."""
    api_lag: float = 3.0
    """Seconds by which the API learns late of a task's start, and of its end."""
    api_late: Sequence[tuple[Stretch, float]] = ()
    """Tasks that start in a stretch it learns of later yet: by so many seconds."""


NO_FAULTS = Faults()


@dataclass(frozen=True, slots=True)
class Schedule:
    """The instants of one node's readings and of one server's scrapes, in whole Unix seconds.

    A scrape finds a reading of its own second, as it finds a fresh one in life, and further readings are
    taken on every knot of the load.
    """

    hostname: str
    start: int
    """The exporter starts then for the first time."""
    end: int
    scrape_seconds: int
    faults: Faults = NO_FAULTS
    replica: str = ""
    """Of the server; each scrapes in a phase of its own."""

    def lives(self) -> Iterator[tuple[int, int]]:
        """Returns [start, end) of each run of the exporter."""
        since = self.start
        for hostname, (begin, finish) in sorted(self.faults.stopped):
            if hostname == self.hostname:
                if since < begin:
                    yield since, int(begin)
                since = max(since, int(finish))
        if since < self.end:
            yield since, self.end

    def readings(self, start: int, end: int) -> list[int]:
        """Returns all of one run."""
        return [
            second
            for second in range(start, end)
            if second == start or second % READ_SECONDS == 0 or self._is_due(second)
        ]

    def is_readable(self, gpu: int, second: int) -> bool:
        """Returns whether a GPU can be read."""
        return not any(
            (hostname, index) == (self.hostname, gpu) and begin <= second < end
            for hostname, index, (begin, end) in self.faults.unreadable
        )

    def is_scraped(self, second: int) -> bool:
        """Returns whether the server scrapes, with or without success."""
        return self._is_due(second) and not within(self.faults.blind, second)

    def is_reachable(self, second: int) -> bool:
        """Returns whether the node would answer a scrape, if its exporter runs."""
        return not any(
            hostname == self.hostname and begin <= second < end for hostname, (begin, end) in self.faults.unscraped
        )

    def scrape_ms(self, second: int) -> int:
        """Returns the timestamp of a scrape: somewhere within its second."""
        return 1000 * second + _chance(self.hostname, self.replica, "milliseconds") % 1000

    def _is_due(self, second: int) -> bool:
        return (second - _chance(self.hostname, self.replica, "phase")) % self.scrape_seconds == 0


_chance = lru_cache(number)


def within(stretches: Sequence[Stretch], instant: float) -> bool:
    """Returns whether an instant lies in any of them."""
    return any(begin <= instant < end for begin, end in stretches)
