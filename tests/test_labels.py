from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.labels import MAX_CHARS, bounded

LONG = st.text(alphabet="ab\u738b", min_size=MAX_CHARS - 2, max_size=MAX_CHARS + 2)


@given(st.text(max_size=MAX_CHARS))
def test_a_name_of_usual_length_is_itself(name: str) -> None:
    assert bounded(name) == name


@given(LONG, st.text(max_size=600))
def test_a_name_without_end_begins_as_it_does_and_ends_at_the_bound(name: str, rest: str) -> None:
    cut = bounded(name + rest)
    assert len(cut) <= MAX_CHARS
    assert cut[:200] == name[:200]
    assert bounded(cut) == cut


@given(LONG, st.lists(st.text(max_size=3), unique=True))
def test_names_that_differ_stay_different(name: str, ends: list[str]) -> None:
    assert len({bounded(name + end) for end in ends}) == len(ends)


def test_a_name_that_no_encoding_knows_is_cut_too() -> None:
    assert len(bounded("\ud800" * 1000)) == MAX_CHARS
