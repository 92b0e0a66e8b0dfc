"""How long, and how much memory, it takes to read a window from a real Prometheus.

python -m benchmarks.history --gpus 1024 --days 1
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from benchmarks.synthetic import Cluster, Faults, columns
from exporter.config import Prometheus
from exporter.demo.prometheus import PrometheusServer
from exporter.demo.remote_write import write_series
from exporter.report.history import fetch
from exporter.report.prometheus import PrometheusClient
from exporter.report.window import Window, window

_FIRST = date(2025, 7, 22)
_EDGE = 3600.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What one reading took."""

    seconds: float
    own_cpu_seconds: float
    peak_rss_mib: float
    gpus: int
    answers: int


async def measure(gpus: int, days: int) -> tuple[Measured, float]:
    """One reading in a process of its own, and the CPU seconds that Prometheus spent on it."""
    with tempfile.TemporaryDirectory() as directory:
        asked = Path(directory) / "instants.json"
        async with PrometheusServer(Path(directory) / "prometheus") as server:
            asked.write_text(json.dumps(await _fill(server.url, gpus, days)), encoding="utf-8")
            before = _cpu_seconds(server.pid)
            reader = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.history", "--read", server.url, "--instants", str(asked)),
                *("--days", str(days)),
                stdout=asyncio.subprocess.PIPE,
            )
            answer, _ = await reader.communicate()
            return Measured(**json.loads(answer)), _cpu_seconds(server.pid) - before


async def _fill(url: str, gpus: int, days: int) -> dict[str, tuple[float, ...]]:
    """Writes a made-up history; returns the instants at which tasks start and end."""
    whole = _window(days)
    noon = whole.start + 43200
    faults = {
        "node1": Faults(down=((noon, noon + 7200),), hung=((noon + 20000, noon + 21000),)),
        "node2": Faults(down=((noon, noon + 20), (noon + 9000, noon + 9030)), unscraped=((noon + 300, noon + 420),)),
    }
    made = Cluster(gpus, whole.start - 2 * _EDGE, whole.end + 2 * _EDGE, faults=faults).make()
    await write_series(url, columns(made, {"job": "amdgpu", "instance": "node:9942"}))
    return {gpu.uuid: tuple(at for at in gpu.instants if whole.start <= at <= whole.end) for gpu in made}


async def _read(url: str, asked: dict[str, list[float]], days: int) -> Measured:
    began, cpu = time.perf_counter(), time.process_time()
    async with PrometheusClient(Prometheus(url=url)) as client:
        history = await fetch(client, _window(days), asked)
    return Measured(
        round(time.perf_counter() - began, 2),
        round(time.process_time() - cpu, 2),
        _peak_rss_mib(),
        len(history.gpus),
        client.answers,
    )


def _window(days: int) -> Window:
    return window(str(_FIRST), str(_FIRST + timedelta(days=days - 1)), "Asia/Taipei", time.time())


def _peak_rss_mib() -> float:
    """Of this program; getrusage(2) would count the parent's memory before exec, too."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found
    return int(found[1]) / 1024


def _cpu_seconds(pid: int) -> float:
    """User and system time of another process; proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpus", type=int, default=32)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--read", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--instants", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        measured = asyncio.run(_read(options.read, json.loads(options.instants.read_text()), options.days))
        print(json.dumps({name: getattr(measured, name) for name in Measured.__slots__}))
        return
    measured, server = asyncio.run(measure(options.gpus, options.days))
    print(
        f"{measured.gpus} GPUs, {options.days} d: {measured.seconds:.2f} s, of which {measured.own_cpu_seconds:.2f} s "
        f"CPU here and {server:.2f} s CPU in Prometheus; {measured.peak_rss_mib:.0f} MiB; {measured.answers} queries"
    )


if __name__ == "__main__":
    main()
