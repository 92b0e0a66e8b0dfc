from __future__ import annotations

from itertools import permutations

from exporter.live.cluster import Sample, gpus_now, with_histories
from exporter.live.idleness import Idleness
from exporter.model import Ownership
from exporter.standing import Standing

A = {"hostname": "colab-gpu1", "gpu": "3", "gpu_uuid": "00000000000000aa"}


def metric(name: str, value: float = 1.0, **labels: str) -> Sample:
    return {"__name__": f"amdgpu_{name}", **A, **labels}, value


def owned(**labels: str) -> list[Sample]:
    owner = {"username": "amy", "task_type": "LAB", "ownership": "owned", **labels}
    return [
        metric("up"),
        metric("utilization_ratio", 0.25, **owner),
        metric("vram_used_bytes", 2**30, **owner),
        metric("vram_total_bytes", 2**34),
        metric("task_info", task_id="t", username="amy", task_type="LAB", gpu_id="27"),
        metric("task_start_timestamp_seconds", 1000.0, task_id="t"),
    ]


def test_the_rows_are_what_the_series_say_in_whatever_order_they_come() -> None:
    rows = {tuple(gpus_now(samples)) for samples in permutations(owned())}
    assert len(rows) == 1
    (gpu,) = rows.pop()
    assert (gpu.hostname, gpu.gpu, gpu.gpu_id, gpu.usernames, gpu.task_types) == (
        "colab-gpu1",
        "3",
        "27",
        ("amy",),
        ("LAB",),
    )
    assert (gpu.utilization, gpu.vram_used_bytes, gpu.vram_total_bytes, gpu.power_watts) == (0.25, 2**30, 2**34, None)
    assert (gpu.since, gpu.standing) == (1000.0, Standing.IN_USE)


def test_users_whose_names_hold_a_plus_are_told_from_two_users() -> None:
    samples = [metric("task_info", task_id=name, username=name) for name in ("amy", "a+b")]
    gauge = metric("utilization_ratio", 0.5, username="a+b+amy", ownership="shared")
    (gpu,) = gpus_now([metric("up"), gauge, *samples])
    assert gpu.usernames == ("a+b", "amy")


def test_a_gpu_that_cannot_be_read_still_says_who_holds_it() -> None:
    (gpu,) = gpus_now([metric("up", 0.0), metric("task_info", task_id="t", username="amy", task_type="LAB")])
    assert (gpu.standing, gpu.usernames) == (Standing.UNREADABLE, ("amy",))


def test_replicas_of_one_scrape_are_one_gpu() -> None:
    samples = [sample for replica in ("a", "b") for sample in owned(replica=replica)]
    assert len(gpus_now(samples)) == 1


def test_a_gpu_that_was_there_and_is_silent_is_missed() -> None:
    (silent, gpu) = gpus_now(owned(), [A, {**A, "gpu": "0", "gpu_uuid": "00000000000000bb"}])
    assert (silent.standing, silent.gpu, gpu.gpu) == (Standing.SILENT, "0", "3")


def test_one_that_was_replaced_or_has_moved_is_not() -> None:
    replaced = {**A, "gpu_uuid": "00000000000000bb"}
    moved = {**A, "hostname": "colab-gpu2"}
    assert len(gpus_now(owned(), [replaced, moved])) == 1


def test_holders_are_not_blamed_for_the_idleness_before_them() -> None:
    before = {A["gpu_uuid"]: Idleness(5000.0, may_be_longer=True)}
    for now, standing in ((1300.0, Standing.IN_USE), (1900.0, Standing.HELD_IDLE)):
        (gpu,) = with_histories(gpus_now(owned()), before, {}, now)
        assert gpu.idleness == Idleness(now - 1000.0, may_be_longer=False)
        assert gpu.standing is standing


def test_of_a_gpu_that_cannot_be_read_or_whose_owner_is_unknown_nobody_says_for_how_long_it_was_left_idle() -> None:
    before = {A["gpu_uuid"]: Idleness(5000.0, may_be_longer=True)}
    for samples in [metric("up", 0.0)], [metric("up"), metric("utilization_ratio", 0.0, ownership="unknown")]:
        (gpu,) = with_histories(gpus_now(samples), before, {}, 9000.0)
        assert gpu.idleness.seconds is None


def test_a_task_that_ended_within_the_hour_holds_nothing() -> None:
    ended = [
        metric("task_info", task_id="over", username="bob", task_type="TRAIN", gpu_id="27"),
        metric("task_start_timestamp_seconds", 500.0, task_id="over"),
        metric("task_end_timestamp_seconds", 900.0, task_id="over"),
    ]
    assert gpus_now([*ended, *owned()]) == gpus_now(owned())

    free = metric("utilization_ratio", 0.0, username="", ownership="unallocated")
    (gpu,) = gpus_now([metric("up"), free, *ended])
    assert (gpu.ownership, gpu.usernames, gpu.tasks, gpu.since) == (Ownership.UNALLOCATED, (), (), None)
