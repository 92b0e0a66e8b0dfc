"""Both exposition formats, as prometheus_client writes them, at the cost of the values that changed.

Of a line of /metrics nothing but the value changes from one scrape to the next:

    amdgpu_power_watts{gpu="0",gpu_uuid="52f67b3700dcc6f3",hostname="colab-gpu4"} 655.35
    ╰──────────────── encoded once, by prometheus_client, and kept ──────────────╯ ╰─ written now

prometheus_client sorts, checks and escapes all labels of each line anew, and that is most of what a scrape costs. Here
it is asked once for each series: it encodes the family with only those that are new, and of each line what stands
before the value is kept. Of a family without series it makes the head (HELP and TYPE), and of no family at all the end
of the format. So it stays the author of every byte. All that this module knows is that a format is heads, lines and
an end, that a line ends with its value, and that values are written by `floatToGoString`. A value is not even written
anew if it is the very object that was written last, as are those of owners until the API answers again.

What is kept goes with what is shown: a family that is not shown is forgotten, and none keeps more series than it has
just shown. Nothing is kept before the first scrape.

This holds for families whose samples are a name, labels and a value: without timestamps and exemplars, and without the
`_created` samples that the text format moves to the end of a family.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from prometheus_client.core import Metric
from prometheus_client.utils import floatToGoString

Encoder = Callable[[Any], bytes]
"""One of prometheus_client's: takes a registry."""
Key = TypeVar("Key", bound=Hashable)


class Table(Protocol[Key]):
    """One metric family as it is now."""

    @property
    def name(self) -> str:
        """What tells it from all other families."""

    @property
    def series(self) -> Sequence[tuple[Key, float]]:
        """What tells each series from the others of the family, and its value; in the order of their lines."""

    def metric(self, series: Iterable[tuple[Key, float]]) -> Metric:
        """Returns the family with these of its series."""


@dataclass(slots=True)
class _Line:
    """Of one series."""

    beginning: str
    """Up to the value, and the space before it."""
    value: float
    """As it was written last."""
    ending: str
    """The value in words, and the end of the line."""


@dataclass(slots=True)
class _Known:
    """What is kept of one family."""

    head: str
    lines: dict[Any, _Line] = field(default_factory=dict)


class Encoding:
    """One format: gives, byte for byte, what `encoder` gives for a registry of the same families."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._end = encoder(_Registry(())).decode()
        self._known: dict[str, _Known] = {}

    def __call__(self, tables: Iterable[Table[Any]]) -> bytes:
        """Encodes these families, and forgets all others."""
        before, self._known = self._known, {}
        parts: list[str] = []
        for table in tables:
            known = before.get(table.name) or _Known(self._text(table.metric(())))
            self._known[table.name] = known
            self._append(parts, table, known)
        parts.append(self._end)
        return "".join(parts).encode()

    def _append(self, parts: list[str], table: Table[Any], known: _Known) -> None:
        shown, lines = table.series, known.lines
        if new := [one for one in shown if one[0] not in lines]:
            self._learn(new, table, known)
        parts.append(known.head)
        for key, value in shown:
            line = lines[key]
            if line.value is not value:
                line.value, line.ending = value, floatToGoString(value) + "\n"  # type: ignore[no-untyped-call]  # it only lacks annotations
            parts += line.beginning, line.ending
        if len(lines) > len(shown):
            known.lines = {key: lines[key] for key, _ in shown}

    def _learn(self, new: Iterable[tuple[Any, float]], table: Table[Any], known: _Known) -> None:
        written = self._text(table.metric(new)).removeprefix(known.head).removesuffix("\n").split("\n")
        for (key, value), line in zip(new, written, strict=True):
            labels, space, number = line.rpartition(" ")
            known.lines[key] = _Line(labels + space, value, number + "\n")

    def _text(self, metric: Metric) -> str:
        return self._encoder(_Registry((metric,))).decode().removesuffix(self._end)


@dataclass(frozen=True, slots=True)
class _Registry:
    """What an encoder takes for one."""

    families: tuple[Metric, ...]

    def collect(self) -> tuple[Metric, ...]:
        return self.families


@dataclass(frozen=True, slots=True)
class InstrumentTable:
    """A family that prometheus_client itself counts; a histogram's series differ by name, too."""

    collected: Metric

    @property
    def name(self) -> str:
        """See Table."""
        return self.collected.name

    @property
    def series(self) -> Sequence[tuple[_Named, float]]:
        """See Table."""
        return [((sample.name, tuple(sample.labels.items())), sample.value) for sample in self.collected.samples]

    def metric(self, series: Iterable[tuple[_Named, float]]) -> Metric:
        """See Table."""
        collected = self.collected
        metric = Metric(collected.name, collected.documentation, collected.type, collected.unit)
        for (name, labels), value in series:
            metric.add_sample(name, dict(labels), value)
        return metric


_Named = tuple[str, tuple[tuple[str, str], ...]]
"""A sample's name and labels."""
