"""Small histories with closed forms, many in one engine, and what `exporter report` says of each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import yaml

from exporter.demo.api import StandInApi
from exporter.demo.remote_write import STALE, Column
from exporter.model import Task, TaskGpu
from exporter.report.history.queries import DEVICES
from exporter.report.observed import Floats
from tests.support.command_line import run

DATE = date(2026, 3, 3)
ZONE = "Asia/Taipei"
DAY = datetime(2026, 3, 3, tzinfo=ZoneInfo(ZONE)).timestamp()
HOUR = 3600.0
STEP = 30.0
"""Seconds between scrapes."""
RATES = (1.0, 0.5, 0.25, 0.125, 5e10, 400.0)
"""What a GPU gains in each second, in the order of `Amounts`: a day has 24 h observed, 12 h busy, 9.6 kWh."""
_VRAM = 200e9


def hour(hours: float) -> float:
    """An instant of the first day, in Unix seconds."""
    return DAY + hours * HOUR


def gpu(
    uuid: str,
    hostname: str = "colab-gpu1",
    index: int = 0,
    *,
    start: float = -2.0,
    end: float = 26.0,
    born: float | None = None,
    is_up: bool = True,
    step: float = STEP,
    **labels: str,
) -> list[Column]:
    """The series of one GPU that gains `RATES` all the time.

    Args:
        uuid: Its unique id.
        hostname: Its host.
        index: On that.
        start: Hours of the first day; of the first scrape.
        end: Of the last one.
        born: Hours of the first day at which its exporter started; None: at the first scrape.
        is_up: False: it was never read.
        step: Seconds between scrapes.
        labels: Further ones.
    """
    device = {"hostname": hostname, "gpu": str(index), "gpu_uuid": uuid, **labels}
    times = np.arange(hour(start), hour(end), step)
    since = times - hour(start if born is None else born)
    told: dict[str, Floats] = {"amdgpu_up": np.full(len(times), float(is_up)), "amdgpu_info": np.ones(len(times))}
    if is_up:
        told |= {str(metric): since * rate for metric, rate in zip(DEVICES.metrics, RATES, strict=True)}
        told["amdgpu_energy_joules_total"] = 5e9 + RATES[-1] * (times - DAY)
        told["amdgpu_vram_total_bytes"] = np.full(len(times), _VRAM)
        told["amdgpu_vram_used_bytes"] = np.full(len(times), RATES[4])
    return [_column({"__name__": name, **device}, times, values, step) for name, values in told.items()]


def info(name: str, *, start: float = -2.0, end: float = 26.0, **labels: str) -> Column:
    """A series of ones."""
    times = np.arange(hour(start), hour(end), STEP)
    return _column({"__name__": name, **labels}, times, np.ones(len(times)))


def task(name: str, start: float, end: float, uuid: str, user: str = "itrd") -> Task:
    """A task from and to these hours of the first day."""
    return Task(name, user, "LAB", (TaskGpu(uuid, "27"),), hour(start), hour(end), "colab-gpu1")


@dataclass(slots=True)
class Case:
    """A history and the answers of an API."""

    columns: list[Column]
    tasks: Sequence[Task] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Entries of every answer that are served as they are."""


def marked(cases: Mapping[str, Case]) -> list[Column]:
    """All cases for one engine, each with a label of its own, by which `report` tells them apart."""
    columns = [
        Column({**column.labels, "case": name}, column.times_ms, column.values)
        for name, case in cases.items()
        for column in case.columns
    ]
    return sorted(columns, key=lambda column: int(column.times_ms[0]))


@dataclass(frozen=True, slots=True)
class Said:
    """What a run of the command line left."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


async def report(
    url: str, directory: Path, name: str, case: Case, *arguments: str, days: int = 1, **settings: Any
) -> Said:
    """Runs `exporter report` on a case.

    Args:
        url: The engine's.
        directory: For the config and the token.
        name: The case's.
        case: What the API says.
        arguments: Further ones.
        days: From the first day on.
        settings: Of the section `report`.
    """
    async with StandInApi(case.tasks) as api:
        api.extra = dict(case.extra)
        token = directory / "token"
        token.touch(mode=0o600)
        token.write_text(api.token, encoding="utf-8")
        document = {
            "tasks": {"url": api.url, "token_file": str(token)},
            "prometheus": {"url": url, "matchers": f'case="{name}"'},
            "report": {"timezone": ZONE, **settings},
        }
        config = directory / "config.yaml"
        config.write_text(yaml.safe_dump(document), encoding="utf-8")
        dates = ("--date", str(DATE), "--to", str(DATE + timedelta(days=days - 1)))
        return Said(*await asyncio.to_thread(run, ["report", "--config", str(config), *dates, *arguments]))


def _column(labels: Mapping[str, str], times: Floats, values: Floats, step: float = STEP) -> Column:
    """With a marker at its end."""
    ends = np.append(times, times[-1] + step)
    return Column(labels, np.rint(ends * 1000).astype(np.int64), np.append(values, STALE))
