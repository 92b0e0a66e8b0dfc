"""How far the report is from the truth on days on which anything may go wrong, beside the best PromQL.

Seeded: exporters restart, scrapes fail for a minute or for hours, on one node or on all, GPUs cannot be read, the
consumption API is away or late; tasks share GPUs, and one of the two nodes is scraped by two servers. The truth is of
observed time. What is compared are the busy hours of every user with 0.1 h or more: what is hardest, as who had a GPU
counts as well as what it did. PromQL has the exporter's own owner counters, which know that: no other metric would do.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure
from exporter.config import Prometheus
from exporter.demo.cluster import Cluster
from exporter.demo.remote_write import write_series
from exporter.report.history.client import PrometheusClient
from exporter.report.history.queries import Question
from exporter.report.window import window
from tests.support.accuracy import HOUR, true_figures
from tests.support.engines import ENGINES, flushed
from tests.support.scenario import Scenario, random_faults

DAYS = 42
_FIRST = date(2025, 6, 1)
_ZONE = "Asia/Taipei"
_LATER = 2e9
"""Unix seconds, after all days reported."""
_LEAST_HOURS = 0.1
_GPUS = 2
_SCRAPE_SECONDS = 30
_PROMQL = (
    "sum by (username) (max by (gpu_uuid, username, task_type, ownership) "
    "(increase(amdgpu_owner_busy_seconds_total{{username!=''}}[{seconds:.0f}s])))"
)


@dataclass(slots=True)
class _Errors:
    """Parts of the truth, one for each user and day."""

    report: list[float] = field(default_factory=list)
    promql: list[float] = field(default_factory=list)

    def extend(self, other: _Errors) -> None:
        self.report += other.report
        self.promql += other.promql


async def figures() -> AsyncIterator[Figure]:
    """A line a day, and all together, on each engine."""
    cluster = Cluster(nodes=2, gpus_per_node=_GPUS, seed=11)
    scenarios = [_scenario(cluster, n) for n in range(DAYS)]
    async for figure in _figures(scenarios):
        yield figure


def _scenario(cluster: Cluster, number: int) -> Scenario:
    # Every third day: what one leaves behind must not be the next one's hour before midnight.
    day = window(str(_FIRST + timedelta(days=3 * number)), None, _ZONE, _LATER)
    faults = random_faults(day, list(cluster.nodes), _GPUS, seed=number)
    return Scenario(cluster, day, faults, _SCRAPE_SECONDS)


async def _figures(scenarios: Sequence[Scenario]) -> AsyncIterator[Figure]:
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = {name: await stack.enter_async_context(engine(directory / name)) for name, engine in ENGINES.items()}
        for scenario in scenarios:
            columns = await scenario.columns()
            for url in urls.values():
                await write_series(url, columns)
        found = {name: _Errors() for name in urls}
        for scenario in scenarios:
            for name, url in urls.items():
                await flushed(url)
                of_day = await _errors(scenario, url, directory)
                found[name].extend(of_day)
                if of_day.report:
                    yield _figure(f"{scenario.window.name}, {name}", of_day)
        for name, errors in found.items():
            yield _figure(f"all {len(scenarios)} days, {name}", errors)


async def _errors(scenario: Scenario, url: str, directory: Path) -> _Errors:
    made = await scenario.report(url, directory)  # raises if shares and totals disagree
    told = {row.username: row.usage.busy_gpu_hours or 0.0 for row in made.report.users}
    async with PrometheusClient(Prometheus(url=url)) as client:
        question = Question("busy by user", _PROMQL.format(seconds=scenario.window.seconds))
        answer = await client.instant(question, scenario.window.end)
    by_promql = {series.labels["username"]: float(series.values[0]) / HOUR for series in answer}
    errors = _Errors()
    for (kind, username), row in true_figures(scenario).items():
        hours = row["busy"] / HOUR
        if kind == "user" and hours >= _LEAST_HOURS:
            errors.report.append(abs(told[username] - hours) / hours)
            errors.promql.append(abs(by_promql.get(username, 0.0) - hours) / hours)
    return errors


def _figure(setting: str, errors: _Errors) -> Figure:
    return Figure(
        setting,
        f"busy hours of {len(errors.report)} users",
        f"median {median(errors.report):.3%}, worst {max(errors.report):.2%}",
        beside=f"increase(): median {median(errors.promql):.2%}, worst {max(errors.promql):.1%}",
    )
