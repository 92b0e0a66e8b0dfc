"""What a report costs: `exporter report`, HTML and JSON written, over a real Prometheus and a stand-in API."""

from __future__ import annotations

import asyncio
import compileall
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

import yaml

import exporter
from benchmarks.figures import Figure
from benchmarks.procfs import cpu_seconds
from benchmarks.prompt import cpu_seconds_of
from benchmarks.synthetic import Cluster, SyntheticGpu, columns
from exporter.cli import LIBRARIES
from exporter.demo.api import StandInApi
from exporter.demo.prometheus import PrometheusServer
from exporter.demo.remote_write import write_series
from exporter.model import Task, TaskGpu
from exporter.report.window import day_of

_FIRST = date(2025, 7, 1)
_MONTH = "2025-07"
_ZONE = ZoneInfo("Asia/Taipei")
_EDGE = 2 * 3600.0
_USERS = 40
_SPARSE = 240.0
"""Seconds between scrapes, and not too many for Prometheus, which looks for a sample five minutes back."""


@dataclass(frozen=True, slots=True)
class _Setting:
    gpus: int
    days: int
    days_before: int
    """Of history, for the comparison."""
    aim: str
    tasks_per_day: float = 4.0
    """Of a GPU."""
    is_month: bool = False
    """Whether the month is made, too, of days that are stored."""
    interval: float = 15.0
    """Seconds between scrapes. What it takes to make and write a history goes with them, the report's memory does not:
    it never holds more than some GPUs' samples."""

    @property
    def name(self) -> str:
        tasks = round(self.gpus * self.days * self.tasks_per_day, -2)
        return f"{self.gpus:,} GPUs, {self.days} d, {tasks:,.0f} tasks, {self.interval:g} s scrapes"


_SETTINGS = (
    _Setting(32, 1, 7, "CPU ≤ 1.0 + 0.6 s"),
    _Setting(1024, 1, 0, "≤ 6 s, 400 MiB"),
    _Setting(32, 31, 0, "< 20 s", is_month=True),
    _Setting(1024, 1, 0, "< 60 s, 600 MiB", tasks_per_day=98.0),
    _Setting(8192, 1, 0, "≤ 500 MiB", interval=_SPARSE),
    _Setting(1024, 30, 0, "≤ 600 MiB", interval=_SPARSE),
)


@dataclass(frozen=True, slots=True)
class _Cost:
    seconds: float
    own_cpu: float
    server_cpu: float
    peak_rss_mib: float
    html_mb: float
    json_mb: float
    month_cpu: float | None
    """Of the second report of the month: the first stores the days."""


_IMPORTS = [sys.executable, "-c", "import gc; gc.disable(); import exporter.report.command"]
"""In LIBRARIES and without collections, as the command does it."""
_FLOOR = [sys.executable, "-c", "import gc; gc.disable(); import aiohttp, click, numpy, pydantic, yaml"]
_TURNS = 15


async def figures() -> AsyncIterator[Figure]:
    """Each setting once; the history is made and written before."""
    compileall.compile_dir(Path(exporter.__file__).parent, quiet=1)  # as what pip installs is
    yield _imports()
    for setting in _SETTINGS:
        cost = await _measured(setting)
        if cost.month_cpu is not None:
            yield Figure(
                setting.name, "month from stored days, HTML and JSON written: CPU", f"{cost.month_cpu:.2f} s", "≤ 2.5 s"
            )
        yield Figure(
            setting.name,
            "report, HTML and JSON written",
            f"{cost.seconds:.2f} s, {cost.peak_rss_mib:.0f} MiB",
            setting.aim,
            f"CPU: report {cost.own_cpu:.2f} s, Prometheus {cost.server_cpu:.2f} s "
            f"({cost.server_cpu / (cost.own_cpu + cost.server_cpu):.0%})",
        )
        yield Figure(setting.name, "size", f"HTML {cost.html_mb:.2f} MB, JSON {cost.json_mb:.2f} MB", "HTML < 3 MB")


def _imports() -> Figure:
    turns = [(cpu_seconds_of(_IMPORTS, LIBRARIES), cpu_seconds_of(_FLOOR, LIBRARIES)) for _ in range(_TURNS)]
    ours, floor = (median(turn) for turn in zip(*turns, strict=True))
    beside = f"libraries alone {floor:.2f} s, × {ours / floor:.1f}"
    return Figure("exporter report", "imports: CPU", f"{ours:.2f} s", "≤ 0.4 s", beside)


async def _measured(setting: _Setting) -> _Cost:
    start = day_of(_FIRST, _ZONE).start
    end = day_of(_FIRST + timedelta(days=setting.days - 1), _ZONE).end
    before = start - _EDGE - setting.days_before * 86400
    made = Cluster(setting.gpus, before, end + _EDGE, setting.interval, setting.tasks_per_day).make()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        block, slice_seconds = ("1d", 10 * 3600.0) if setting.interval == _SPARSE else ("2h", 1800.0)
        async with (
            PrometheusServer(directory / "prometheus", block=block) as server,
            StandInApi(_tasks(made)) as api,
        ):
            series = columns(made, {"job": "mi300x", "instance": "node:9942"})
            await write_series(server.url, series, slice_seconds)
            del made, series
            token = directory / "token"
            token.touch(mode=0o600)
            token.write_text(api.token, encoding="utf-8")
            settings = {
                "tasks": {"url": api.url, "token_file": str(token)},
                "prometheus": {"url": server.url},
                "report": {"timezone": _ZONE.key, "directory": str(directory / "days")},
            }
            (directory / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
            return await _run(directory, setting, server.pid)


async def _run(directory: Path, setting: _Setting, server: int) -> _Cost:
    last = _FIRST + timedelta(days=setting.days - 1)
    command = [sys.executable, "-m", "exporter", "report", "--config", str(directory / "config.yaml")]
    command += ["--format", "html", "--format", "json", "--output", str(directory / "reports")]
    before, began = cpu_seconds(server), time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(*command, "--date", str(_FIRST), "--to", str(last)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    waiting = asyncio.create_task(process.wait())
    peak = own = 0.0
    while not waiting.done():
        peak, own = max(peak, _peak_rss_mib(process.pid)), max(own, cpu_seconds(process.pid))
        await asyncio.wait((waiting,), timeout=0.02)
    seconds, asked = time.perf_counter() - began, cpu_seconds(server) - before
    (folder,) = (path for path in (directory / "reports").iterdir() if path.name.startswith(str(_FIRST)))
    html, json = ((folder / f"report.{kind}").stat().st_size / 1e6 for kind in ("html", "json"))
    month = None
    if setting.is_month:
        for _ in range(2):
            month = await asyncio.to_thread(cpu_seconds_of, [*command, "--month", _MONTH], {})
    return _Cost(seconds, own, asked, peak, html, json, month)


def _tasks(gpus: Sequence[SyntheticGpu]) -> list[Task]:
    """A task in every other stretch between a GPU's instants."""
    return [
        Task(
            task_id=f"{gpu.uuid}-{n}",
            username=f"user{(number + n) % _USERS}",
            task_type=("WEBAPP", "LAB", "TRAIN")[n % 3],
            gpus=(TaskGpu(gpu.uuid, str(number), "AMD Instinct MI300X", 196592),),
            start=start,
            end=end,
            hostname=gpu.hostname,
            project_uuid=f"project{n % 7}",
            image="registry.example/pytorch:2.6",
        )
        for number, gpu in enumerate(gpus)
        for n, (start, end) in enumerate(list(pairwise(gpu.instants))[::2])
    ]


def _peak_rss_mib(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0
