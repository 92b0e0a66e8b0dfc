from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.report.history.samples import united, united_by_series
from tests.support.samples import table


@given(st.lists(st.integers(0, 100), unique=True), st.lists(st.integers(0, 100), unique=True))
def test_samples_read_twice_count_once(some: list[int], more: list[int]) -> None:
    first, second = (table(*((15.0 * n, 15.0 * n) for n in sorted(ticks))) for ticks in (some, more))
    assert united((first, second)).times.tolist() == sorted({15.0 * n for n in (*some, *more)})


def test_pieces_of_a_series_are_put_together_whichever_part_they_are_in() -> None:
    ours, theirs = frozenset({("gpu", "0")}), frozenset({("gpu", "1")})
    whole = united_by_series(({ours: table((30, 30))}, {ours: table((15, 15)), theirs: table((15, 15))}))
    assert {labels: samples.times.tolist() for labels, samples in whole.items()} == {ours: [15, 30], theirs: [15]}
