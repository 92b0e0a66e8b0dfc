"""Whatever goes wrong, in whatever order: every second observed is somebody's, once, and no counter falls.

EXPORTER_FAULT_SEEDS=1000 tries as many seeds; a seed that fails is named, and is the same each time.
"""

from __future__ import annotations

import math
import os
import random
import re
from pathlib import Path

import pytest

from exporter.devices.simulated.workload import VRAM_TOTAL_BYTES
from tests.support.faulty_node import HARDWARE, INTERVAL, SETTLE, USERS, World

SEEDS = int(os.environ.get("EXPORTER_FAULT_SEEDS", "8"))
EVENTS = 30
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)(?: # .*)?")
LABEL = re.compile(r'(\w+)="([^"]*)"')
PLACED_TO_SECONDS = 2.0
"""The seconds by which a clock offset that is told in whole seconds may misplace each end of a task."""
ROUNDING = 1e-6

Scrape = dict[tuple[str, str], float]
"""By name, and the labels as they stand there."""


def parsed(text: str) -> Scrape:
    found = (SAMPLE.fullmatch(line) for line in text.splitlines() if not line.startswith("#"))
    return {(match[1], match[2] or ""): float(match[3]) for match in found if match}


def labels(series: tuple[str, str]) -> dict[str, str]:
    return dict(LABEL.findall(series[1]))


def total(scrape: Scrape, name: str, uuid: str) -> float:
    return sum(value for series, value in scrape.items() if series[0] == name and labels(series)["gpu_uuid"] == uuid)


class Watch:
    """Holds each scrape of one service against what is always true."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._counters: Scrape = {}

    def look(self, scrape: Scrape) -> None:
        self._no_counter_fell(scrape)
        for gpu in HARDWARE.gpus:
            self._adds_up(scrape, gpu.uuid)
            for user in USERS:
                self._nobody_has_more_than_was_held(scrape, gpu.uuid, user)

    def _no_counter_fell(self, scrape: Scrape) -> None:
        counters = {
            (name, text): value
            for (name, text), value in scrape.items()
            if name.startswith("amdgpu_") and name.endswith(("_total", "_count", "_sum", "_bucket"))
        }
        for series, value in counters.items():
            assert math.isfinite(value), series
            assert value >= self._counters.get(series, 0.0) - ROUNDING, series
        # One that is served no more counts all the same when it comes back.
        self._counters |= counters

    def _adds_up(self, scrape: Scrape, uuid: str) -> None:
        of = {
            what: total(scrape, f"amdgpu_{what}", uuid)
            for what in (
                "up", "observed_seconds_total", "busy_seconds_total", "idle_seconds_total",
                "idle_vram_held_seconds_total", "vram_used_byte_seconds_total", "owner_seconds_total",
                "owner_busy_seconds_total", "owner_idle_seconds_total", "owner_vram_used_byte_seconds_total",
                "exporter_unbooked_seconds",
            )
        }  # fmt: skip
        observed = of["observed_seconds_total"]
        assert observed <= self._world.now - self._world.born + ROUNDING
        assert of["busy_seconds_total"] <= observed + ROUNDING
        assert of["idle_vram_held_seconds_total"] <= of["idle_seconds_total"] + ROUNDING <= observed + 2 * ROUNDING
        assert of["vram_used_byte_seconds_total"] <= observed * VRAM_TOTAL_BYTES * (1 + ROUNDING)
        gone = sum(
            value - scrape.get(series, 0.0)
            for series, value in self._counters.items()
            if series[0] == "amdgpu_owner_seconds_total" and series not in scrape and labels(series)["gpu_uuid"] == uuid
        )
        assert of["owner_seconds_total"] + gone + of["exporter_unbooked_seconds"] == pytest.approx(observed)
        for what in ("busy_seconds", "idle_seconds", "vram_used_byte_seconds"):
            assert of[f"owner_{what}_total"] <= of[f"{what}_total"] * (1 + ROUNDING) + ROUNDING
        if not of["up"]:
            assert total(scrape, "amdgpu_utilization_ratio", uuid) == 0
            assert not any(name == "amdgpu_power_watts" and uuid in text for name, text in scrape)

    def _nobody_has_more_than_was_held(self, scrape: Scrape, uuid: str, user: str) -> None:
        booked = sum(
            value
            for series, value in (self._counters | scrape).items()
            if series[0] == "amdgpu_owner_seconds_total"
            and labels(series)["gpu_uuid"] == uuid
            and labels(series)["username"] == user
        )
        slack = 2 * PLACED_TO_SECONDS * self._world.tasks_of(user)
        assert booked <= self._world.held_seconds(user, uuid) + slack


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_every_second_is_booked_once_whatever_goes_wrong(seed: int, tmp_path: Path) -> None:
    world, chance = World(seed, tmp_path), random.Random(seed)
    async with world.served():
        events = EVENTS
        while events > 0:
            async with world.living():
                watch = Watch(world)
                for _ in range(chance.randint(1, EVENTS)):
                    await world.happens()
                    watch.look(parsed(await world.scrape()))
                    events -= 1
                await world.recover()
                last = parsed(await world.scrape())
                watch.look(last)
                for gpu in HARDWARE.gpus:
                    assert total(last, "amdgpu_up", gpu.uuid) == 1
                    assert total(last, "amdgpu_exporter_unbooked_seconds", gpu.uuid) <= SETTLE + 2 * INTERVAL
                    assert total(last, "amdgpu_observed_seconds_total", gpu.uuid) > 0
            world.now += chance.choice((1, 60, 3000))
