"""Days whose right figures can be worked out by hand: one GPU, half busy, at 400 W, as any scrapers saw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exporter import config
from exporter.demo.api import StandInApi
from exporter.demo.remote_write import Column
from exporter.model import Amounts, Task, TaskGpu
from exporter.report.answers import Wanted
from exporter.report.history.queries import DEVICES
from exporter.report.make import Made, make
from exporter.report.observed import ENERGY, Floats
from exporter.report.window import Window, window

HOUR = 3600.0
DAY = window("2025-07-22", None, "Asia/Taipei", 2e9)
UUID = "00000000000000aa"
RATES = Amounts(1.0, 0.5, 0.25, 0.1, 60e9, 400.0)
"""What accrues in each second that is observed, and of energy in any."""
VRAM_TOTAL = 200e9
_JOULES = 5e9
"""What the accumulator shows as the day begins."""


def clock(hours: float) -> float:
    """Returns the instant so many hours after the day began, in Unix seconds."""
    return DAY.start + hours * HOUR


def every(seconds: float, start: float = -1.5, end: float = 25.5, phase: float = 0.0) -> Floats:
    """Returns the instants of scrapes between two hours of the day, in Unix seconds."""
    return np.arange(clock(start) + phase, clock(end), seconds)


def counters(observed: Floats, truly: Floats) -> Floats:
    """Returns the device counters of an exporter; shape (n, 6).

    Args:
        observed: The seconds that it has observed.
        truly: Unix seconds at which it was asked: energy goes on whatever is observed.
    """
    told = np.outer(observed, RATES)
    told[:, ENERGY] = _JOULES + RATES.energy_joules * (truly - DAY.start)
    return told


@dataclass(frozen=True, slots=True)
class Scraped:
    """One target's samples."""

    times: Floats
    """Unix seconds, by the scraper's clock."""
    counters: Floats
    """Shape (n, 6); NaN where a sample is missing."""

    @classmethod
    def merged(cls, *those: Scraped) -> Scraped:
        """Returns what several scrapers wrote into one series."""
        times = np.concatenate([one.times for one in those])
        order = np.argsort(times, kind="stable")
        return cls(times[order], np.concatenate([one.counters for one in those])[order])

    def columns(self, **labels: str) -> list[Column]:
        """Returns the series, with what else a report asks for."""
        device = {"hostname": "node1", "gpu": "0", "gpu_uuid": UUID, **labels}
        ones = np.ones(len(self.times))
        told = {str(metric): self.counters[:, n] for n, metric in enumerate(DEVICES.metrics)}
        told |= {"amdgpu_up": ones, "amdgpu_info": ones, "amdgpu_vram_total_bytes": ones * VRAM_TOTAL}
        found = []
        for name, values in told.items():
            known = ~np.isnan(values)
            times_ms = np.rint(self.times[known] * 1000).astype(np.int64)
            found.append(Column({"__name__": name, **device}, times_ms, values[known]))
        return found


def held(*spells: tuple[str, float, float]) -> list[Task]:
    """Returns tasks from usernames and the hours of the day at which each begins and ends."""
    gpu = TaskGpu(UUID, "7", "AMD Instinct MI300X", 196592)
    return [
        Task(f"task-{n}", username, "LAB", (gpu,), clock(start), clock(end), "node1")
        for n, (username, start, end) in enumerate(spells)
    ]


async def reported(
    url: str, directory: Path, tasks: Sequence[Task] = (), *, matchers: str = "", span: Window = DAY
) -> Made:
    """Returns the report of a day from an engine's history and an API that knows these tasks."""
    now = span.end + 86400
    async with StandInApi(tasks, clock=lambda: now) as api:
        token = directory / "token"
        token.touch(mode=0o600)
        token.write_text(api.token, encoding="utf-8")
        settings = {
            "tasks": {"url": api.url, "token_file": str(token)},
            "prometheus": {"url": url, "matchers": matchers},
        }
        return await make(config.parse(settings, where="closed form"), Wanted(span), now, lambda _: None)
