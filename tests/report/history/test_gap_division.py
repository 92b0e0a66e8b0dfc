from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.metering.shares import Share, shares
from exporter.model import UNALLOCATED, Amounts, Hold, Owner, Ownership, Task
from exporter.report.history.counters import CounterCurve
from exporter.report.history.gap_division import Gap, OwnerTotals, divided, gaps_of
from tests.support.samples import table

APART, LEAST_GAP = 22.5, 37.5
GAP = Gap(1000.0, 2000.0, starts_at_reset=False, known_until=2600.0)
BUSY = Amounts(1.0, 1.0, 0.0, 0.0, 1e11, 700.0)
HALF = Amounts(1.0, 0.5, 0.25, 0.25, 2e10, 400.0)
IDLE = Amounts(1.0, 0.0, 1.0, 1.0, 5e10, 150.0)
EMPTY = Amounts(1.0, 0.0, 1.0, 0.0, 0.0, 130.0)
NOTHING = Amounts(1.0)
SUM_AFTER = IDLE.times(1500).plus(BUSY.times(1500))
Spell = tuple[str, float, Amounts]
"""Who had the GPU, "" nobody; until when; and what accrued in each second."""

rates = st.builds(
    lambda busy, idle, held, vram, watts: Amounts(1.0, busy * (1 - idle), idle, idle * held, vram * held, watts),
    *[st.floats(0, 1)] * 3,
    st.floats(0, 2e11),
    st.floats(100, 750),
)


def hold(username: str, start: float, end: float) -> Hold:
    return Hold(start, end, Task(f"{username}{start}", username, "LAB", (), start, end))


def owner(username: str) -> Owner:
    return Owner(username, "LAB", Ownership.OWNED) if username else UNALLOCATED


class Life:
    """A GPU from 0 s on, as its exporter knew it."""

    def __init__(self, *spells: Spell) -> None:
        ends = [0.0, *(end for _, end, _ in spells)]
        self.holds = [
            hold(name, start, end) for (name, _, _), (start, end) in zip(spells, pairwise(ends), strict=True) if name
        ]
        rises = [rate.times(end - start) for (_, _, rate), (start, end) in zip(spells, pairwise(ends), strict=True)]
        self.truth = CounterCurve(np.array(ends), np.array([*accumulate(rises, Amounts.plus, initial=Amounts())]))
        self._names = [name for name, _, _ in spells]

    def scraped(self, gap: Gap) -> CounterCurve:
        """What the device counters show that are not scraped in a gap."""
        times = np.array([*np.arange(0, gap.start + 1, 10), *np.arange(gap.end, self.truth.times[-1] + 1, 10)])
        return CounterCurve(times, self.truth.at_each(times))

    def totals(self, until: float) -> OwnerTotals:
        amounts: dict[Owner, Amounts] = {}
        for name, start, end in zip(self._names, self.truth.times, self.truth.times[1:], strict=False):
            if start < until:
                gained = self.truth.at(min(end, until)).minus(self.truth.at(start))
                amounts[owner(name)] = amounts.get(owner(name), Amounts()).plus(known(gained))
        return OwnerTotals(until, amounts)


def bridge(life: Life, before: float = 980.0, after: float = 2040.0, gap: Gap = GAP) -> CounterCurve:
    return divided(life.scraped(gap), gap, life.holds, life.totals(before), life.totals(after))


def known(amounts: Amounts) -> Amounts:
    """Without what no owner series tells."""
    return amounts._replace(idle_vram_held_seconds=0.0)


def test_owners_who_follow_each_other_tell_where_the_counters_stood_between_them() -> None:
    life = Life(("anna", 1100, BUSY), ("", 1500, EMPTY), ("bert", 1600, IDLE), ("carl", 3000, HALF))
    curve = bridge(life)
    for time in (1000, 1050, 1100, 1300, 1500, 1550, 1600, 1900, 2000, 2500):
        assert known(curve.at(time)) == pytest.approx(known(life.truth.at(time)), rel=1e-6, abs=1e-6), time


def test_idle_time_with_vram_held_is_where_vram_is_in_use() -> None:
    life = Life(("anna", 1100, BUSY), ("bert", 1400, IDLE), ("carl", 3000, EMPTY))
    assert bridge(life).at(1400).idle_vram_held_seconds == pytest.approx(300)


@given(st.floats(700, 1000), st.floats(2000, 2600))
def test_what_was_not_booked_yet_at_the_scrapes_changes_nothing(before: float, after: float) -> None:
    life = Life(("anna", 950, IDLE), ("bert", 1300, BUSY), ("carl", 2100, IDLE), ("dora", 3000, BUSY))
    assert bridge(life, before, after).at(1300) == pytest.approx(life.truth.at(1300), rel=1e-6, abs=1e-6)


def test_the_pieces_of_one_owner_are_alike() -> None:
    life = Life(("anna", 1200, BUSY), ("", 1400, EMPTY), ("anna", 3000, IDLE))
    curve = bridge(life)
    of_anna = 200 * BUSY.busy_seconds / 800
    assert curve.at(1200).minus(curve.at(1000)).busy_seconds == pytest.approx(200 * of_anna)
    assert curve.at(1400).minus(curve.at(1200)).busy_seconds == pytest.approx(0, abs=1e-6)
    assert curve.at(2000).minus(curve.at(1400)).busy_seconds == pytest.approx(600 * of_anna)


def test_where_only_one_owner_was_the_line_stays_straight() -> None:
    life = Life(("anna", 1200, BUSY), ("anna", 3000, IDLE))
    straight = life.scraped(GAP)
    assert bridge(life).at(1200) == pytest.approx(straight.at(1200), rel=1e-9)


def test_an_owner_whose_series_was_dropped_gets_what_the_others_leave() -> None:
    life = Life(("anna", 1100, BUSY), ("bert", 3000, HALF))
    after = life.totals(2040)
    after = OwnerTotals(after.until, {who: amounts for who, amounts in after.amounts.items() if who.username != "anna"})
    curve = divided(life.scraped(GAP), GAP, life.holds, life.totals(980), after)
    assert curve.at(1100) == pytest.approx(life.truth.at(1100), rel=1e-6, abs=1e-6)


def test_an_owner_who_is_back_claims_no_more_than_the_time_held() -> None:
    """Its series was dropped, and goes on from where nobody can see it was."""
    life = Life(("bert", 300, IDLE), ("anna", 1100, BUSY), ("bert", 3000, HALF))
    before = life.totals(980)
    before = OwnerTotals(
        before.until, {who: amounts for who, amounts in before.amounts.items() if who.username == "anna"}
    )
    curve = divided(life.scraped(GAP), GAP, life.holds, before, life.totals(2040))
    assert curve.at(1100) == pytest.approx(life.truth.at(1100), rel=1e-6, abs=1e-6)


def test_what_was_booked_to_the_last_owner_since_the_api_was_late_is_the_next_ones() -> None:
    life = Life(("anna", 1100, BUSY), ("bert", 3000, IDLE))
    late = {
        owner("anna"): known(life.truth.at(1190)),
        owner("bert"): known(life.truth.at(2040).minus(life.truth.at(1190))),
    }
    curve = divided(life.scraped(GAP), GAP, life.holds, life.totals(980), OwnerTotals(2040, late))
    assert curve.at(1100).observed_seconds == pytest.approx(1100)
    assert curve.at(1100).minus(curve.at(1000)).busy_seconds == pytest.approx(100, abs=50)


def test_since_an_exporter_started_all_that_was_booked_tells_the_energy_at_its_start() -> None:
    life = Life(("anna", 1100, BUSY), ("anna", 1500, IDLE), ("bert", 3000, IDLE))
    gap = Gap(1200.0, 2000.0, starts_at_reset=True, known_until=2600.0)
    down, since = life.truth.at(1000), life.truth.at(1200)
    shown = {
        owner("anna"): known(life.truth.at(1500).minus(since)),
        owner("bert"): known(life.truth.at(2040).minus(life.truth.at(1500))),
    }
    scraped = life.scraped(GAP)
    guessed = np.array(since._replace(energy_joules=down.energy_joules + 0.2 * 1000 * 200))
    n = np.searchsorted(scraped.times, 2000)
    scraped = CounterCurve(np.insert(scraped.times, n, 1200.0), np.insert(scraped.values, n, guessed, axis=0))
    curve = divided(scraped, gap, life.holds, OwnerTotals(1200, {}), OwnerTotals(2040, shown))
    assert curve.at(1200).energy_joules == pytest.approx(since.energy_joules)
    assert curve.at(1000) == scraped.at(1000)


def test_who_leaves_a_shared_gpu_gets_nothing_of_what_was_done_after() -> None:
    holds = [hold("anna", 0, 1500), hold("bert", 0, 3000), hold("carl", 0, 3000)]
    truth = CounterCurve(np.array([0.0, 1500, 3000]), np.array([Amounts(), IDLE.times(1500), SUM_AFTER]))
    curve = divided(sampled(truth), GAP, holds, booked(truth, holds, 980), booked(truth, holds, 2040))
    assert known(curve.at(1500)) == pytest.approx(known(truth.at(1500)), rel=1e-6, abs=1e-6)


@given(
    st.lists(
        st.tuples(st.sampled_from(["anna", "bert", "carl"]), st.floats(900, 1900), st.floats(10, 1500)), max_size=5
    ),
    st.data(),
)
def test_every_owner_gets_what_its_series_gained_however_they_share(
    held: Sequence[tuple[str, float, float]], data: st.DataObject
) -> None:
    holds = [hold(name, start, start + seconds) for name, start, seconds in held]
    knots = sorted({0.0, 5000.0, *(edge for one in holds for edge in (one.start, one.end))})
    rises = [data.draw(rates).times(end - start) for start, end in pairwise(knots)]
    truth = CounterCurve(np.array(knots), np.array([*accumulate(rises, Amounts.plus, initial=Amounts())]))
    curve = divided(sampled(truth), GAP, holds, booked(truth, holds, GAP.start), booked(truth, holds, GAP.end))
    expected, found = (by_owner(shares(one.at, holds, GAP.start, GAP.end)) for one in (truth, curve))
    for who, amounts in expected.items():
        for name in ("observed_seconds", "busy_seconds", "idle_seconds", "vram_used_byte_seconds", "energy_joules"):
            whole = getattr(truth.at(GAP.end), name)
            assert getattr(found[who], name) == pytest.approx(getattr(amounts, name), abs=1e-5 * max(1.0, whole)), name


def sampled(truth: CounterCurve) -> CounterCurve:
    times = np.array([*np.arange(0, GAP.start + 1, 10), *np.arange(GAP.end, truth.times[-1] + 1, 10)])
    return CounterCurve(times, truth.at_each(times))


def booked(truth: CounterCurve, holds: Sequence[Hold], until: float) -> OwnerTotals:
    """What the series showed, of owners to come, too, at 0."""
    amounts = by_owner(shares(truth.at, holds, 0.0, 5000.0))
    shown = by_owner(shares(truth.at, holds, 0.0, until))
    return OwnerTotals(until, {who: known(shown.get(who, Amounts())) for who in amounts})


def by_owner(each: Sequence[Share]) -> dict[Owner, Amounts]:
    found: dict[Owner, Amounts] = {}
    for share in each:
        found[share.owner] = found.get(share.owner, Amounts()).plus(share.amounts)
    return found


claims = st.builds(Amounts, *[st.floats(-100, 2000)] * 3, st.just(0.0), st.floats(0, 1e15), st.floats(0, 1e7))


@given(
    st.lists(st.tuples(st.sampled_from(["", "anna", "bert"]), st.floats(1, 500), rates), min_size=1, max_size=6),
    st.fixed_dictionaries({}, optional={owner(name): claims for name in ("", "anna", "bert", "carl")}),
    st.fixed_dictionaries({}, optional={owner(name): claims for name in ("", "anna", "bert", "carl")}),
    st.booleans(),
)
@example(  # idle only where nobody claims VRAM, and VRAM only where nobody claims to be idle
    spells=[("", 3.0, NOTHING), ("anna", 302.0, NOTHING)],
    before={},
    after={
        owner(""): Amounts(),
        owner("anna"): Amounts(idle_seconds=199.0),
        owner("bert"): Amounts(),
        owner("carl"): Amounts(vram_used_byte_seconds=1.59e13),
    },
    starts_at_reset=False,
)
def test_whatever_owners_claim_the_result_is_possible_and_keeps_the_sum(
    spells: Sequence[Spell], before: dict[Owner, Amounts], after: dict[Owner, Amounts], starts_at_reset: bool
) -> None:
    lengths = (seconds for _, seconds, _ in spells)
    ends = list(accumulate(lengths, initial=900.0))
    middle = [(name, end, rate) for (name, _, rate), end in zip(spells, ends[1:], strict=True)]
    life = Life(("", 900.0, EMPTY), *middle, ("carl", 5000.0, HALF))
    gap = Gap(GAP.start, GAP.end, starts_at_reset, GAP.known_until)
    straight = life.scraped(gap)
    curve = divided(straight, gap, life.holds, OwnerTotals(gap.start, before), OwnerTotals(gap.end, after))
    outside = straight.times[(straight.times < gap.start) | (straight.times >= gap.end)]
    np.testing.assert_allclose(curve.at_each(outside), straight.at_each(outside), rtol=1e-12)
    elapsed, grown = np.diff(curve.times), np.diff(curve.values, axis=0)
    observed, busy, idle, held, *_ = grown.T
    slack = 1e-6
    assert (np.diff(curve.times) >= 0).all()
    assert (grown >= -1e-9 * curve.values[-1]).all()
    assert (observed <= elapsed + slack).all()
    assert (busy <= observed + slack).all()
    assert (idle <= observed + slack).all()
    assert (held <= idle + slack).all()


def test_a_gap_is_where_tasks_start_or_end_while_scrapes_failed() -> None:
    samples = table((9970, 9970), (9985, 9985), (10000, 10000), (11000, 11000), (11015, 11015), (12000, 12000))
    assert list(gaps_of(samples, LEAST_GAP, [])) == []
    held_before = [hold("anna", 9990, 20_000), hold("bert", 500, 9990)]
    assert list(gaps_of(samples, LEAST_GAP, held_before)) == []
    held_within = [hold("anna", 10_100, 10_200)]
    assert list(gaps_of(samples, LEAST_GAP, held_within)) == [Gap(10_000, 11_000, False, 11_900)]


def test_a_gap_in_which_the_exporter_started_anew_begins_there() -> None:
    held = [hold("anna", 10_100, 20_000)]
    samples = table((10_000, 10_000), (11_000, 300), (11_015, 315), (11_030, 5))
    assert list(gaps_of(samples, LEAST_GAP, held)) == [Gap(10_700, 11_000, True, 11_025)]
    assert list(gaps_of(table((10_000, 10_000), (11_000, 12)), LEAST_GAP, held)) == []
