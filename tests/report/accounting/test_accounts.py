from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import ConservationError, ImpossibleError, UsageError
from exporter.model import Amounts, Answer, MalformedTask, Owner, Ownership, Task, TaskGpu
from exporter.ownership import Holdings
from exporter.report.accounting.accounts import GpuAccount, accounts, inventory_gap
from exporter.report.accounting.aggregate import Costs, Filter, build, narrowed
from exporter.report.accounting.checks import check_conservation
from exporter.report.accounting.rows import Report, Sources
from exporter.report.accounting.timeline import timeline
from exporter.report.accounting.usage import Part, Tariff
from exporter.report.observed import OBSERVED, Cells, Floats, ObservedGpu
from exporter.report.window import window
from tests.support.reports import flat

DAY = window("2025-07-22", None, "UTC", datetime(2025, 7, 24, tzinfo=UTC).timestamp())
HOUR = 3600.0
UUID = "52f67b3700dcc6f3"
RATES = Amounts(1.0, 0.5, 0.25, 0.125, 100.0, 700.0)
"""Gained per second."""
FREE = Costs()
SOURCES = Sources(history="prometheus", tasks="api")


def gpu(
    uuid: str = UUID,
    rates: Amounts = RATES,
    seen: tuple[float, float] = (0.0, 24.0),
    index: int = 3,
    owners: dict[Owner, Amounts] | None = None,
) -> ObservedGpu:
    """A GPU observed from and to these hours of the day, with counters that grow evenly."""
    first, last = (DAY.start + hour * HOUR for hour in seen)

    def at(instant: float) -> Amounts:
        return rates.times(min(max(instant - first, 0.0), last - first))

    edges = np.array(DAY.edges)
    values = np.array([at(edge) for edge in edges])
    peaks = np.where(np.diff(values[:, OBSERVED]) > 0, 150.0, np.nan)
    cells = Cells.of(cast("Floats", np.diff(values, axis=0)), peaks, 200)
    return ObservedGpu(uuid, index, "colab-gpu4", "MI300X", "card25", at, cells, owners or {})


def task(start: float, end: float, user: str = "itrd", uuids: Sequence[str] = (UUID,), task_id: str = "") -> Task:
    """A task from and to these hours of the day."""
    gpus = tuple(TaskGpu(uuid, "27") for uuid in uuids)
    return Task(
        task_id or f"{user}-{start}", user, "LAB", gpus, DAY.start + start * HOUR, DAY.start + end * HOUR, "colab-gpu4"
    )


def accounted(
    observed: Sequence[ObservedGpu], tasks: Sequence[Task] = (), malformed: Sequence[MalformedTask] = ()
) -> list[GpuAccount]:
    answer = Answer(tuple(tasks), tuple(malformed), 0.0)
    return accounts(DAY, observed, Holdings(answer), tasks)


def report(found: Sequence[GpuAccount], costs: Costs = FREE) -> Report:
    return build(DAY, found, sources=SOURCES, costs=costs, min_coverage_ratio=0.99)


def test_capacity_is_gpus_times_time_and_splits_into_owned_free_and_unknown() -> None:
    malformed = MalformedTask("x", "no start", (UUID,), DAY.start + 20 * HOUR, DAY.start + 23 * HOUR)
    usage = report(accounted([gpu()], [task(2, 8)], [malformed])).totals

    assert usage.capacity_gpu_hours == 24
    assert (usage.owned_gpu_hours, usage.unknown_gpu_hours, usage.unallocated_gpu_hours) == (6, 3, 15)


def test_a_task_is_clipped_to_the_window() -> None:
    rows = report(accounted([gpu()], [task(-100, 5), task(20, 24, "b"), task(23, 200, "c", task_id="c")])).tasks

    assert [row.usage.owned_gpu_hours for row in rows] == [5, pytest.approx(3.5), pytest.approx(0.5)]
    assert [row.running for row in rows] == [False, False, True]
    assert [row.end for row in rows] == ["2025-07-22T05:00:00+00:00", "2025-07-23T00:00:00+00:00", None]


def test_efficiency_is_busy_while_owned_over_owned_time_observed() -> None:
    usage = report(accounted([gpu(seen=(0, 12))], [task(6, 18)])).users[0].usage

    assert usage.owned_gpu_hours == 12
    assert usage.owned_observed_gpu_hours == pytest.approx(6)
    assert usage.efficiency_ratio == pytest.approx(0.5)
    assert usage.coverage_ratio == pytest.approx(0.5)


def test_what_was_not_observed_is_null_and_never_zero() -> None:
    usage = report(accounted([], [task(6, 18)])).totals

    assert (usage.owned_gpu_hours, usage.observed_gpu_hours, usage.coverage_ratio) == (12, 0, 0)
    assert {usage.busy_gpu_hours, usage.idle_gpu_hours, usage.energy_kwh, usage.mean_utilization_ratio} == {None}
    assert {usage.efficiency_ratio, usage.peak_vram_used_bytes, usage.p95_utilization_ratio} == {None}


def test_a_gpu_that_only_a_task_names_counts_for_the_whole_window() -> None:
    result = report(accounted([], [task(6, 18)]))

    assert result.totals.capacity_gpu_hours == 24
    assert (result.gpus[0].gpu, result.gpus[0].gpu_uuid, result.gpus[0].gpu_id) == (None, UUID, "27")


def test_idle_counts_only_while_owned() -> None:
    usage = report(accounted([gpu()], [task(0, 8)])).totals

    assert usage.idle_gpu_hours == pytest.approx(2)
    assert usage.idle_vram_held_gpu_hours == pytest.approx(1)
    assert usage.active_gpu_hours == pytest.approx(6)
    assert usage.unallocated_busy_gpu_hours == pytest.approx(8)


def test_means_are_weighted_by_observed_time() -> None:
    busy = gpu(rates=Amounts(1.0, 1.0, 0.0, 0.0, 200.0, 0.0), seen=(0, 6))
    idle = gpu("f" * 15 + "0", rates=Amounts(1.0, 0.0, 1.0, 0.0, 0.0, 0.0), index=4)
    usage = report(accounted([busy, idle])).totals

    assert usage.mean_utilization_ratio == pytest.approx(6 / 30)
    assert usage.mean_vram_used_ratio == pytest.approx(6 / 30)
    assert usage.peak_utilization_ratio == pytest.approx(1.0)


def test_the_p95_is_of_ten_minute_means_weighted_by_time_held() -> None:
    busy = gpu(rates=Amounts(1.0, 1.0, 0.0, 0.0, 0.0, 0.0))
    idle = gpu("f" * 15 + "0", rates=Amounts(1.0, 0.25, 0.0, 0.0, 0.0, 0.0), index=4)
    tasks = [task(0, 1), task(0, 23, uuids=["f" * 15 + "0"], task_id="long")]
    usage = report(accounted([busy, idle], tasks)).users[0].usage

    assert usage.p95_utilization_ratio == pytest.approx(0.25)
    assert usage.peak_utilization_ratio == pytest.approx(1.0)


def test_energy_is_in_kwh_and_priced_by_owned_time() -> None:
    costs = Costs(Tariff(flat(2.0), pue=1.5), "TWD")
    result = report(accounted([gpu()], [task(0, 12)]), costs)

    assert result.totals.energy_kwh == pytest.approx(0.7 * 24)
    assert result.totals.facility_energy_kwh == pytest.approx(0.7 * 24 * 1.5)
    assert result.totals.kwh_per_busy_gpu_hour == pytest.approx(1.4)
    assert (result.totals.cost, result.currency) == (24.0, "TWD")


def test_a_shared_gpu_is_divided_and_never_counted_double() -> None:
    result = report(accounted([gpu()], [task(0, 24, "a"), task(12, 24, "b")]))

    assert {row.username: row.usage.owned_gpu_hours for row in result.users} == {"a": 18, "b": 6}
    assert result.totals.owned_gpu_hours == 24


def test_rows_list_the_largest_user_first_and_gpus_by_host_and_index() -> None:
    other = gpu("f" * 15 + "0", index=1)
    result = report(accounted([gpu(), other], [task(0, 2, "a"), task(2, 20, "b")]))

    assert [row.username for row in result.users] == ["b", "a"]
    assert [row.gpu for row in result.gpus] == [1, 3]


def test_the_waste_list_ranks_idle_tasks_with_their_longest_stretch_and_what_it_would_free() -> None:
    idle = gpu(rates=Amounts(1.0, 0.0, 1.0, 1.0, 0.0, 0.0))
    busy = gpu("f" * 15 + "0", rates=Amounts(1.0, 1.0, 0.0, 0.0, 0.0, 0.0), index=4)
    tasks = [task(0, 3, "a"), task(5, 17, "b"), task(0, 24, "c", uuids=["f" * 15 + "0"])]
    costs = Costs(Tariff(flat(2.0)))
    waste = report(accounted([idle, busy], tasks), costs).waste

    assert [(row.username, row.longest_idle_hours, row.gpu_ids) for row in waste] == [
        ("b", 12, ["27"]),
        ("a", 3, ["27"]),
    ]
    assert [row.idle_gpu_hours for row in waste] == pytest.approx([12, 3])
    assert [waste[0].freed_gpus, waste[0].cost] == pytest.approx([0.5, 24])


def test_no_idle_stretch_is_longer_than_all_idle_time() -> None:
    (waste,) = report(accounted([gpu(rates=Amounts(1.0, 0.0, 0.96, 0.0, 0.0, 0.0))], [task(0, 3)])).waste

    assert waste.longest_idle_hours == waste.idle_gpu_hours == pytest.approx(0.96 * 3)


def test_peak_vram_of_a_user_comes_from_cells_wholly_its_own() -> None:
    observed = gpu()
    observed.cells.peak_vram_bytes[:] = 10.0
    observed.cells.peak_vram_bytes[6] = 190.0
    mine, hers = task(0, 1.05, "a"), task(1.05, 24, "b")
    peaks = {row.username: row.usage.peak_vram_used_bytes for row in report(accounted([observed], [mine, hers])).users}

    assert peaks == {"a": 10, "b": 10}
    assert report(accounted([observed])).totals.peak_vram_used_bytes == 190


def test_peak_vram_of_a_gpu_and_of_who_held_it_on_both_sides_counts_the_cell_in_which_tasks_changed() -> None:
    observed = gpu()
    observed.cells.peak_vram_bytes[:] = 10.0
    observed.cells.peak_vram_bytes[6] = 190.0
    changed = report(accounted([observed], [task(0, 1.05, "a"), task(1.05, 24, "b")]))
    kept = report(accounted([observed], [task(0, 1.05, "a"), task(1.05, 24, "a")]))

    for usage in (changed.gpus[0].usage, changed.nodes[0].usage, changed.totals):
        assert usage.peak_vram_used_bytes == 190
    assert kept.users[0].usage.peak_vram_used_bytes == 190


def test_labels_alone_tell_peaks_of_a_whole_gpu_but_not_of_its_owners() -> None:
    owners = {Owner("itrd", "LAB", Ownership.OWNED): Amounts(6 * HOUR, 3 * HOUR, HOUR, 0.0, 600.0, 7e6)}
    result = report(accounts(DAY, [gpu(owners=owners)], None, []))

    for usage in (result.totals, result.nodes[0].usage, result.gpus[0].usage):
        assert usage.peak_vram_used_bytes == 150
        assert usage.p95_utilization_ratio == pytest.approx(0.5)
    assert result.users[0].usage.peak_vram_used_bytes is None


def test_labels_of_an_owner_who_gained_nothing_name_no_user() -> None:
    owners = {Owner("gone", "LAB", Ownership.OWNED): Amounts(1e-9, 0.0, 0.0, 0.0, 0.0, 0.0)}
    result = report(accounts(DAY, [gpu(owners=owners)], None, []))

    assert (result.users, result.gpus[0].users, result.totals.unknown_gpu_hours) == ([], [], 24)


def test_labels_alone_tell_owned_time_observed_and_the_rest_is_unknown() -> None:
    owners = {Owner("itrd", "LAB", Ownership.OWNED): Amounts(6 * HOUR, 3 * HOUR, HOUR, 0.0, 600.0, 7e6)}
    result = report(accounts(DAY, [gpu(owners=owners)], None, []))
    mine = result.users[0].usage

    assert (mine.owned_gpu_hours, mine.busy_gpu_hours, mine.idle_gpu_hours) == (6, 3, 1)
    assert (mine.idle_vram_held_gpu_hours, mine.p95_utilization_ratio) == (None, None)
    assert result.totals.unknown_gpu_hours == 18
    assert result.totals.busy_gpu_hours == pytest.approx(12)
    assert result.tasks == []


def test_labels_that_claim_more_than_was_observed_are_cut_in_proportion() -> None:
    owners = {
        Owner(user, "LAB", Ownership.OWNED): Amounts(hours * HOUR, 0.0, 0.0, 0.0, 0.0, 0.0)
        for user, hours in (("a", 20), ("b", 5))
    }
    result = report(accounts(DAY, [gpu(owners=owners)], None, []))

    assert [row.usage.owned_gpu_hours for row in result.users] == [pytest.approx(19.2), pytest.approx(4.8)]
    assert result.totals.unknown_gpu_hours == pytest.approx(0, abs=1e-9)


def test_labels_tell_the_same_to_the_last_digit_in_whatever_order_a_server_gives_them() -> None:
    claims = [
        (Owner(user, "LAB", Ownership.OWNED), Amounts(*[seconds] * 6))
        for user, seconds in (("a", 1e5 / 3), ("b", 1e5 / 7), ("c", 1e5 / 2))
    ]
    told = [accounts(DAY, [gpu(owners=dict(order))], None, [])[0].parts for order in permutations(claims)]

    assert [[(part.username, part.seconds, part.amounts) for part in parts] for parts in told] == [
        [(part.username, part.seconds, part.amounts) for part in told[0]]
    ] * 6


def test_the_inventory_adds_gpus_nobody_ever_saw_and_tells_of_more_than_listed() -> None:
    found = accounted([gpu()])
    missing, surplus = inventory_gap(DAY, found, {"colab-gpu4": 3, "colab-gpu5": 1}, answered=True)
    result = report([*found, *missing])

    assert [(row.hostname, row.gpu, row.gpu_uuid) for row in result.gpus][1:] == [
        ("colab-gpu4", None, None),
        ("colab-gpu4", None, None),
        ("colab-gpu5", None, None),
    ]
    assert (result.totals.capacity_gpu_hours, result.totals.unallocated_gpu_hours, surplus) == (96, 96, {})
    assert inventory_gap(DAY, found, {"colab-gpu4": 0}, answered=True) == ([], {"colab-gpu4": 1})
    assert inventory_gap(DAY, [], {"x": 1}, answered=False)[0][0].parts[0].ownership is Ownership.UNKNOWN


def test_gpus_nobody_ever_saw_stand_with_the_others_of_their_host() -> None:
    found = accounted([gpu(), replace(gpu("f" * 16), hostname="colab-gpu9")])
    missing, _ = inventory_gap(DAY, found, {"colab-gpu4": 2}, answered=True)
    chosen = narrowed([*found, *missing], Filter(), [])

    assert [(account.gpu.hostname, account.gpu.index) for account in chosen] == [
        ("colab-gpu4", 3),
        ("colab-gpu4", None),
        ("colab-gpu9", 3),
    ]


def test_hosts_and_gpus_stand_in_the_order_that_people_count_in() -> None:
    hosts = ["gpu2", "gpu10", "gpu" + "9" * 5000]
    tasks = [replace(task(n, n + 1, uuids=[f"{n:016x}"]), hostname=host) for n, host in enumerate(reversed(hosts))]
    unobserved = replace(
        task(9, 10), hostname="gpu2", gpus=tuple(TaskGpu(f"{99 - n:016x}", str(n)) for n in (10, 9, 8))
    )
    result = report(accounted([], [*tasks, unobserved]))

    assert [row.hostname for row in result.nodes] == hosts
    assert [row.hostname for row in result.tasks] == ["gpu2", "gpu2", *hosts[1:]]
    assert [row.gpu_id for row in result.gpus][:4] == ["8", "9", "10", "27"]


def test_tasks_stand_in_the_order_of_their_starts_where_clocks_go_back() -> None:
    day = window("2025-10-26", None, "Europe/Berlin", 2e9)
    first, second = (
        replace(task(0, 1, task_id=name), start=day.start + hours * HOUR, end=day.end)
        for name, hours in (("summer", 2.5), ("winter", 3.25))
    )
    found = accounts(day, [], Holdings(Answer((second, first), (), 0.0)), [second, first])
    rows = build(day, found, sources=SOURCES, costs=FREE, min_coverage_ratio=0.99).tasks

    assert [row.start[-14:] for row in rows] == ["02:30:00+02:00", "02:15:00+01:00"]


def test_a_filter_narrows_rows_and_totals_to_shares() -> None:
    found = accounted([gpu(), gpu("f" * 15 + "0", index=4)], [task(0, 6, "a"), task(6, 8, "b")])
    mine = report(narrowed(found, Filter(users=frozenset({"a"})), []))

    assert (mine.totals.capacity_gpu_hours, mine.totals.owned_gpu_hours, mine.totals.unallocated_gpu_hours) == (6, 6, 0)
    assert [row.username for row in mine.users] == ["a"]
    assert len(mine.gpus) == 1
    assert len(report(narrowed(found, Filter(nodes=frozenset({"colab-gpu4"})), [])).gpus) == 2
    assert narrowed(found, Filter(nodes=frozenset({"listed"})), ["listed"]) == []


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Filter(users=frozenset({"nobody"})), "unknown user nobody; in this window there are: a"),
        (Filter(nodes=frozenset({"elsewhere"})), "unknown node elsewhere; in this window there are: colab-gpu4"),
    ],
)
def test_an_unknown_user_or_node_is_refused_naming_those_known(wanted: Filter, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        narrowed(accounted([gpu()], [task(0, 6, "a")]), wanted, [])


def test_the_timeline_joins_stretches_of_the_same_users_and_leaves_no_gap() -> None:
    found = accounted([gpu(seen=(0, 12))], [task(0, 6, "a"), task(6, 8, "a"), task(7, 24, "b")])
    lane = timeline(DAY, found, timed=True).lanes[0]

    assert [(spell.usernames, (spell.end - spell.start) / HOUR) for spell in lane.spells] == [
        (("a",), 7),
        (("a", "b"), 1),
        (("b",), 16),
    ]
    assert np.isnan(lane.utilization[72:]).all()
    assert lane.utilization[:72] == pytest.approx(0.5)


def test_the_timeline_of_a_report_for_some_users_names_nobody_else() -> None:
    found = accounted([gpu()], [task(0, 6, "a"), task(6, 8, "b"), task(8, 12, "c"), task(10, 16, "a")])
    lane = timeline(DAY, found, timed=True, users={"a"}).lanes[0]

    assert [(spell.usernames, spell.has_others, spell.ownership, spell.end) for spell in lane.spells] == [
        (("a",), False, Ownership.OWNED, DAY.start + 6 * HOUR),
        ((), True, Ownership.OWNED, DAY.start + 10 * HOUR),
        (("a",), True, Ownership.SHARED, DAY.start + 12 * HOUR),
        (("a",), False, Ownership.OWNED, DAY.start + 16 * HOUR),
        ((), False, Ownership.UNALLOCATED, DAY.end),
    ]


def test_parts_that_do_not_make_up_the_whole_fail_the_report() -> None:
    part: Part = accounted([gpu()])[0].parts[0]

    with pytest.raises(ConservationError, match="busy_seconds"):
        check_conservation([part], DAY.seconds, part.amounts._replace(busy_seconds=1.0), where="GPU")
    with pytest.raises(ConservationError, match="of time"):
        check_conservation([part, part], DAY.seconds, part.amounts, where="GPU")


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        (RATES._replace(observed_seconds=1.001), "observed_seconds"),
        (RATES._replace(busy_seconds=1.001), "busy_seconds"),
        (RATES._replace(idle_seconds=1.001), "idle_seconds"),
        (RATES._replace(idle_vram_held_seconds=0.251), "idle_vram_held_seconds"),
        (RATES._replace(vram_used_byte_seconds=200.2), "vram_used_byte_seconds"),
        (RATES._replace(energy_joules=2002.0), "energy_joules"),
        (RATES._replace(energy_joules=-1.0), "energy_joules"),
        (RATES._replace(busy_seconds=-0.001), "busy_seconds"),
    ],
)
def test_what_cannot_be_fails_the_report_and_names_the_gpu(rates: Amounts, words: str) -> None:
    for tasks in ([], [task(3, 4)]):
        with pytest.raises(ImpossibleError, match=f"GPU {UUID} of colab-gpu4: .* of {words} cannot be"):
            accounted([gpu(rates=rates)], tasks)


def test_the_noise_of_rounding_shows_in_no_figure() -> None:
    noisy = Amounts(1 + 1e-10, 1 + 2e-10, -1e-13, -1e-14, 200 * (1 + 1e-10), 700.0)
    for tasks in ([], [task(3, 4)]):
        totals = report(accounted([gpu(rates=noisy)], tasks)).totals
        assert (totals.coverage_ratio, totals.mean_utilization_ratio, totals.mean_vram_used_ratio) == (1.0, 1.0, 1.0)
        assert totals.idle_gpu_hours == 0.0


def test_less_than_a_microsecond_is_nothing_observed() -> None:
    totals = report(accounted([gpu(seen=(5, 5 + 0.9e-6 / HOUR))])).totals
    assert (totals.observed_gpu_hours, totals.coverage_ratio, totals.busy_gpu_hours) == (0.0, 0.0, None)


def test_labels_that_claim_what_cannot_be_of_a_gpu_are_fitted_into_what_it_did() -> None:
    owners = {
        Owner("amy", "LAB", Ownership.OWNED): Amounts(13 * HOUR, 13 * HOUR, 0.0, 0.0, 0.0, 1.0),
        Owner("bob", "LAB", Ownership.OWNED): Amounts(12 * HOUR, 0.0, 12 * HOUR, 0.0, 24 * HOUR * 200, 1.0),
    }
    (account,) = accounts(DAY, [gpu(rates=Amounts(1.0, 0.6, 0.4, 0.4, 190.0, 700.0), owners=owners)], None, ())
    for part in account.parts:
        amounts = part.amounts
        assert max(amounts.busy_seconds, amounts.idle_seconds) <= amounts.observed_seconds <= part.seconds
        assert amounts.vram_used_byte_seconds <= amounts.observed_seconds * 200
    assert sum(part.amounts.busy_seconds for part in account.parts) == pytest.approx(0.6 * 24 * HOUR)
    assert sum(part.amounts.vram_used_byte_seconds for part in account.parts) == pytest.approx(190 * 24 * HOUR)


spans = st.lists(
    st.tuples(st.floats(-5, 24), st.floats(0, 20), st.sampled_from("abc"), st.integers(0, 2)), min_size=0, max_size=10
)


@given(spans, st.floats(0, 24), st.floats(0, 24))
def test_every_dimension_sums_to_the_same_totals(
    found: list[tuple[float, float, str, int]], seen_from: float, seen_to: float
) -> None:
    uuids = [digit * 16 for digit in "123"]
    tasks = [task(start, start + length, user, [uuids[n]], f"t{k}") for k, (start, length, user, n) in enumerate(found)]
    observed = [gpu(uuids[0]), gpu(uuids[1], seen=(min(seen_from, seen_to), max(seen_from, seen_to)), index=1)]
    result = report(accounted(observed, tasks))
    totals = result.totals

    assert totals.owned_gpu_hours + totals.unallocated_gpu_hours + totals.unknown_gpu_hours == pytest.approx(
        totals.capacity_gpu_hours, rel=1e-9
    )
    for rows in (result.users, result.task_types, result.projects, result.tasks):
        owned = sum(row.usage.owned_gpu_hours for row in rows)
        busy = sum(row.usage.busy_gpu_hours or 0.0 for row in rows)
        assert owned == pytest.approx(totals.owned_gpu_hours, rel=1e-9, abs=1e-9)
        assert busy == pytest.approx(totals.owned_busy_gpu_hours or 0.0, rel=1e-9, abs=1e-9)
    assert sum(row.usage.capacity_gpu_hours for row in result.gpus) == pytest.approx(totals.capacity_gpu_hours)
    assert sum(row.usage.energy_kwh or 0.0 for row in result.nodes) == pytest.approx(totals.energy_kwh or 0.0)
