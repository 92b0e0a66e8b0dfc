from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from exporter.demo.cluster import Cluster
from exporter.demo.coarse import SCRAPE_SECONDS, coarse_history
from exporter.demo.history import history
from exporter.demo.remote_write import Column
from exporter.metrics import OWNER
from exporter.report.history.queries import DEVICES, OWNERS
from tests.support.scenario import ASKED_FOR

START = 1753056000.0
"""2025-07-21 00:00 UTC."""
END = START + 4 * 3600 + 100
HOST = "colab-gpu1"
CLUSTER = Cluster(nodes=1, gpus_per_node=2)
_OF_OWNERS = ("amdgpu_owner_", "amdgpu_exporter_unbooked_seconds")


@cache
def outline() -> list[Column]:
    return coarse_history(CLUSTER, HOST, START, END)


@cache
def lived() -> list[Column]:
    return history(CLUSTER, HOST, START, END + 15, scrape_seconds=15, only=ASKED_FOR)


def test_the_series_are_those_of_the_service_but_for_owners() -> None:
    def names(columns: list[Column]) -> set[frozenset[tuple[str, str]]]:
        kept = (one.labels.items() for one in columns if not one.labels["__name__"].startswith(_OF_OWNERS))
        return {frozenset((name, value) for name, value in labels if name not in OWNER) for labels in kept}

    assert names(outline()) == names(lived())


@pytest.mark.parametrize("metric", [*DEVICES.metrics, "amdgpu_up", "amdgpu_vram_total_bytes", "up"])
def test_the_figures_are_what_the_service_lives_through(metric: str) -> None:
    found = {one.labels.get("gpu_uuid"): one for one in lived() if one.labels["__name__"] == metric}
    for one in (one for one in outline() if one.labels["__name__"] == metric):
        fine = found[one.labels.get("gpu_uuid")]
        at = (one.times_ms >= fine.times_ms[0]) & (one.times_ms <= fine.times_ms[-1])
        between = np.interp(one.times_ms[at], fine.times_ms, fine.values)
        # The service reads every 15 s: the lines between cut off corners of each quantity, by less than a reading.
        largest = np.diff(fine.values).max(initial=0.0)
        assert one.values[at] == pytest.approx(between, rel=1e-3, abs=largest + 1e-6)


def test_what_nobody_held_is_what_the_service_books_to_nobody() -> None:
    def gained(columns: list[Column]) -> dict[tuple[str, str], float]:
        kept = (one for one in columns if one.labels.get("ownership") == "unallocated")
        named = ((one, one.labels["__name__"]) for one in kept)
        return {(name, one.labels["gpu_uuid"]): float(one.values[-1]) for one, name in named if name in OWNERS.metrics}

    found, booked = gained(outline()), gained(lived())
    assert found.keys() == booked.keys()
    assert any(found.values())
    for key, value in booked.items():
        # The service waits for answers, and its series grow late.
        assert found[key] == pytest.approx(value, rel=0.05, abs=1.0), key


def test_counters_begin_at_0_but_for_the_energy_of_the_hardware() -> None:
    for one in outline():
        if one.labels["__name__"] in DEVICES.metrics:
            is_energy = one.labels["__name__"] == "amdgpu_energy_joules_total"
            assert (one.values[0] > 0) == is_energy
            assert (np.diff(one.values) >= 0).all()


def test_queries_at_an_instant_find_a_sample_and_the_last_is_at_the_end() -> None:
    for one in outline():
        assert one.times_ms[0] == START * 1000
        assert one.times_ms[-1] == END * 1000
        steps = np.diff(one.times_ms)
        assert steps.min() > 0
        assert steps.max() <= SCRAPE_SECONDS * 1000
