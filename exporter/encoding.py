"""Both exposition formats, as prometheus_client writes them, at the cost of the values that changed.

Of a line of /metrics nothing but the value changes from one scrape to the next:

    amdgpu_power_watts{gpu="0",gpu_uuid="52f67b3700dcc6f3",hostname="colab-gpu4"} 655.35
    ╰──────────────── encoded once, by prometheus_client, and kept ──────────────╯ ╰─ written now

prometheus_client sorts, checks and escapes all labels of each line anew, and that is most of what a scrape costs. Here
it is asked once for each series: it encodes the family with only those that are new, and of each line what stands
before the value is kept. Of a family without series it makes the head (HELP and TYPE), and of no family at all the end
of the format. So it stays the author of every byte. All that this module knows is that a format is heads, lines and
an end, that a line ends with its value, and that values are written by `floatToGoString`. A value is not even written
anew if it is the very object that was written last. And a family's series are not even looked at if they are made of
the very objects that they were made of last, as are those of owners until the API answers again.

Series that are new are learned some at a time, and between two times others have their turn: after an answer of
thousands of tasks a scrape takes longer, and nobody else waits for it.

What is kept goes with what is shown: a family that is not shown is forgotten, and none keeps more series than it has
just shown. Nothing is kept before the first scrape.

This holds for families whose samples are a name, labels and a value: without timestamps and exemplars, and without the
`_created` samples that the text format moves to the end of a family.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import is_
from typing import Any, Protocol, TypeVar

from prometheus_client.core import Metric
from prometheus_client.utils import floatToGoString

Encoder = Callable[[Any], bytes]
"""One of prometheus_client's: takes a registry."""
Key = TypeVar("Key", bound=Hashable)
_AT_A_TIME = 250
"""Series that are learned before others have their turn: some milliseconds."""


class Table(Protocol[Key]):
    """One metric family as it is now."""

    @property
    def name(self) -> str:
        """What tells it from all other families."""

    @property
    def basis(self) -> Sequence[object] | None:
        """All that the series are made of; None where that is other objects at each scrape."""

    @property
    def is_shown_empty(self) -> bool:
        """Whether it is shown without series, too."""

    def series(self) -> Sequence[tuple[Key, float]]:
        """Returns what tells each series from the others of the family, and its value; in the order of their lines."""

    def metric(self, series: Iterable[tuple[Key, float]]) -> Metric:
        """Returns the family with these of its series."""


@dataclass(slots=True, eq=False)
class _Line:
    """Of one series."""

    beginning: str
    """Up to the value, and the space before it."""
    value: float
    """As it was written last."""
    text: str
    """The whole line."""


@dataclass(slots=True)
class _Known:
    """What is kept of one family."""

    head: str
    lines: dict[Any, _Line] = field(default_factory=dict)
    basis: Sequence[object] | None = None
    text: str = ""
    """All lines, where there is a basis."""


class Encoding:
    """One format: gives, byte for byte, what `encoder` gives for a registry of the same families."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._end = encoder(_Registry(())).decode()
        self._known: dict[str, _Known] = {}

    def encode(self, tables: Iterable[Table[Any]]) -> Generator[None, None, bytes]:
        """Encodes these families, and forgets all others.

        Yields:
            Whenever others may have their turn, but for those who encode.

        Returns:
            The bytes.
        """
        before, self._known = self._known, {}
        parts: list[str] = []
        for table in tables:
            known = self._known[table.name] = before.get(table.name) or _Known(self._text(table.metric(())))
            basis = table.basis
            if basis is not None and known.basis is not None and _are_the_same(known.basis, basis):
                text = known.text
            else:
                text = "".join((yield from self._lines(table, known)))
                known.basis, known.text = basis, text if basis is not None else ""
            if text or table.is_shown_empty:
                parts += known.head, text
            else:
                del self._known[table.name]
        parts.append(self._end)
        return "".join(parts).encode()

    def _lines(self, table: Table[Any], known: _Known) -> Generator[None, None, list[str]]:
        series, lines = table.series(), known.lines
        if new := [one for one in series if one[0] not in lines]:
            for first in range(0, len(new), _AT_A_TIME):
                self._learn(new[first : first + _AT_A_TIME], table, known)
                yield
        texts = []
        for key, value in series:
            line = lines[key]
            if line.value is not value:
                line.value, line.text = value, line.beginning + floatToGoString(value) + "\n"  # type: ignore[no-untyped-call]  # it only lacks annotations
            texts.append(line.text)
        if len(lines) > len(series):
            known.lines = {key: lines[key] for key, _ in series}
        return texts

    def _learn(self, new: Iterable[tuple[Any, float]], table: Table[Any], known: _Known) -> None:
        written = self._text(table.metric(new)).removeprefix(known.head).removesuffix("\n").split("\n")
        for (key, value), line in zip(new, written, strict=True):
            labels, space, _ = line.rpartition(" ")
            known.lines[key] = _Line(labels + space, value, line + "\n")

    def _text(self, metric: Metric) -> str:
        return self._encoder(_Registry((metric,))).decode().removesuffix(self._end)


def _are_the_same(some: Sequence[object], others: Sequence[object]) -> bool:
    """Tells whether these are the very objects that those are: 0.0 equals -0.0, and reads otherwise."""
    return len(some) == len(others) and all(map(is_, some, others))


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
    def basis(self) -> Sequence[object]:
        """See Table: a family that may have changed is collected anew."""
        return (self.collected,)

    @property
    def is_shown_empty(self) -> bool:
        """See Table."""
        return True

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
