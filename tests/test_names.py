from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.names import joined, natural

NAMES = ["node", "node1", "node02", "node2", "node9", "node010", "node10", "node11", "node" + "9" * 5000]


@given(st.permutations(NAMES))
def test_numbers_in_names_are_in_order_of_their_value(names: list[str]) -> None:
    assert sorted(names, key=natural) == NAMES


@given(st.text("a01\n"), st.text("a01\n"))
def test_only_equal_names_are_on_a_par(one: str, other: str) -> None:
    assert (natural(one) == natural(other)) == (one == other)


def test_ordinary_names_are_joined_as_they_are() -> None:
    assert joined(["amy", "CORP\\alice", "itrd"]) == "amy+CORP\\alice+itrd"
    assert joined(["amy", "amy+gpu@example.org"]) == "amy+amy\\+gpu@example.org"


@given(st.lists(st.text("a+\\"), min_size=1), st.lists(st.text("a+\\"), min_size=1))
def test_only_equal_lists_of_names_read_the_same(some: list[str], others: list[str]) -> None:
    assert (joined(some) == joined(others)) == (some == others)
