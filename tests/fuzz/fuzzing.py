"""What every fuzzer shares: hostile inputs, and the bounds within which a parser has to read or to refuse them."""

from __future__ import annotations

import signal
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from types import FrameType
from typing import Final, NoReturn, ParamSpec

from hypothesis import settings
from hypothesis import strategies as st

P = ParamSpec("P")

EXAMPLES: Final[Counter[str]] = Counter()
"""How many inputs each fuzzer tried in this process, by its name."""
PATIENCE_SECONDS: Final = 30.0
"""Of this process' own CPU time, which a busy machine does not spend: whoever takes them over a few kB hangs."""
MOST_BYTES: Final = 32 * 2**20
"""Of Python's memory for one input of a few kB."""

MOST_INPUT_BYTES: Final = 10_000

dear: Final = settings(max_examples=max(1, settings().max_examples // 10))
"""Decorates a fuzzer one of whose inputs takes tens of milliseconds."""

TEXTS: Final = st.text(max_size=40) | st.sampled_from(
    [
        "",
        " ",
        "\0",
        "\n",
        "\ud800",
        "1" * 5000,
        "-1",
        "1e999",
        "NaN",
        "Infinity",
        "٣",
        "²",
        "../x",
        "{}",
        '"',
        "\\",
        "\x1b[2J",
    ]
)
"""Text of every kind that has ever surprised a parser."""
NUMBERS: Final = st.integers() | st.floats() | st.sampled_from([10**400, -(10**400), 2**63, 2**64 - 1, 1e308, -0.0])
SCALARS: Final = st.none() | st.booleans() | NUMBERS | TEXTS
"""What a JSON or YAML document can hold."""


def documents(*keys: str) -> st.SearchStrategy[object]:
    """Any JSON document, in which these keys are likely."""
    names = st.sampled_from(keys or ("a",)) | TEXTS
    return st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5), max_leaves=20
    )


@st.composite
def mutated(draw: st.DrawFn, samples: Sequence[bytes], tokens: Sequence[bytes] = ()) -> bytes:
    """A valid sample in which a few spans are replaced: flipped, cut, grown, repeated, spliced with another sample."""
    data = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 8) | st.integers(0, len(data))))
        other = draw(st.sampled_from(samples))
        new = draw(
            st.binary(max_size=8)
            | st.sampled_from([*tokens, b"", b"\0", b"\xff" * 8, b"\xed\xa0\x80"])
            | st.just(data[start:end] * draw(st.integers(2, 50)))
            | st.just(other[start:])
        )
        data = (data[:start] + new + data[end:])[:MOST_INPUT_BYTES]
    return data


def reads_or_refuses(*refusals: type[Exception]) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Decorates a property, below `given`: it ends in bounded time and memory, or with one of these errors."""

    def decorated(holds: Callable[P, None]) -> Callable[P, None]:
        @wraps(holds)
        def bounded(*args: P.args, **kwargs: P.kwargs) -> None:
            EXAMPLES[holds.__name__] += 1
            with _patience(), _memory(), suppress(*refusals):
                holds(*args, **kwargs)

        return bounded

    return decorated


def _hangs(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise AssertionError(f"no end within {PATIENCE_SECONDS:g} s of CPU time")


@contextmanager
def _patience() -> Iterator[None]:
    before = signal.signal(signal.SIGVTALRM, _hangs)
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextmanager
def _memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_BYTES, f"{peak} bytes at once"
