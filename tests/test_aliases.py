from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.aliases import GpuNames, HostNames

SHORT, LONG, OTHER = "gpu1", "gpu1.example.org", "gpu1.example.net"


def test_an_id_that_nobody_tells_of_means_itself() -> None:
    names = GpuNames(["a"])
    assert [names.key(uuid) for uuid in "xa"] == ["x", "a"]
    assert [len(names.known_as(uuid)) for uuid in "xa"] == [0, 1]
    assert [uuid in names for uuid in "xa"] == [False, True]


def test_an_alias_means_the_gpu_that_claims_it() -> None:
    names = GpuNames(["a", "b"], [("a", "x"), ("a", "y"), ("b", "b")])
    assert [names.key(uuid) for uuid in "xyab"] == ["a", "a", "a", "b"]
    assert names.aliases("a") == {"a", "x", "y"}


def test_an_alias_that_two_gpus_claim_means_neither() -> None:
    names = GpuNames(["a", "b"], [("a", "x"), ("b", "x")])
    assert [names.key(uuid) for uuid in "xab"] == ["x", "a", "b"]


def test_two_ids_of_one_gpu_may_claim_the_same_alias() -> None:
    names = GpuNames(["a", "b"], [("a", "b"), ("b", "a"), ("a", "x"), ("b", "x")])
    assert {names.key(uuid) for uuid in "xab"} == {"a"}
    assert names.known_as("x") == {"a", "b"}


ids = st.sampled_from("abcdefgh")


@given(st.sets(ids), st.lists(st.tuples(ids, ids)))
def test_every_id_means_one_gpu_and_all_its_ids_agree(known: set[str], claims: list[tuple[str, str]]) -> None:
    names = GpuNames(known, claims)
    for uuid in "abcdefgh":
        key = names.key(uuid)
        assert names.key(key) == key
        assert uuid in names.aliases(uuid)
        assert {names.key(alias) for alias in names.aliases(uuid)} == {key}


@pytest.mark.parametrize("name", [SHORT, LONG, "GPU1", "gpu1.", "Gpu1.Example.Org."])
@pytest.mark.parametrize("seen", [SHORT, LONG])
def test_a_host_that_exporters_tell_of_has_the_name_they_give_it(seen: str, name: str) -> None:
    assert HostNames({seen: {"a"}}, mentioned=[name]).name(name) == seen


def test_hosts_with_gpus_of_their_own_are_two() -> None:
    names = HostNames({SHORT: {"a"}, LONG: {"b"}}, mentioned=[OTHER])
    assert [names.name(name) for name in (SHORT, LONG, OTHER)] == [SHORT, LONG, SHORT]


def test_hosts_that_had_the_same_gpu_are_one_under_the_latest_name() -> None:
    names = HostNames({SHORT: {"a", "b"}, LONG: {"b"}}, since={SHORT: 0.0, LONG: 7.0})
    assert [names.name(name) for name in (SHORT, LONG)] == [LONG, LONG]


def test_a_gpu_that_moved_does_not_make_one_host_of_two() -> None:
    names = HostNames({"gpu1": {"a"}, "gpu2": {"a"}})
    assert [names.name(name) for name in ("gpu1", "gpu2")] == ["gpu1", "gpu2"]


def test_a_short_name_that_fits_two_hosts_means_neither() -> None:
    names = HostNames({LONG: {"a"}, OTHER: {"b"}}, mentioned=[SHORT])
    assert [names.name(name) for name in (SHORT, LONG, OTHER)] == [SHORT, LONG, OTHER]
    unseen = HostNames(mentioned=[LONG, OTHER, SHORT])
    assert [unseen.name(name) for name in (SHORT, LONG, OTHER)] == [SHORT, LONG, OTHER]


@pytest.mark.parametrize("mentioned", [[SHORT, LONG], [LONG, SHORT]])
def test_of_names_that_no_exporter_gives_the_first_is_printed(mentioned: list[str]) -> None:
    names = HostNames({"gpu10": {"a"}}, mentioned=mentioned)
    assert {names.name(name) for name in mentioned} == {mentioned[0]}
    assert names.name("gpu10") == "gpu10"


def test_a_host_without_a_name_is_no_other_host() -> None:
    assert HostNames({SHORT: {"a"}}, mentioned=["", SHORT]).name("") == ""
