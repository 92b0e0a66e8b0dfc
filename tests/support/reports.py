"""Reports to render: a simulated cluster's days with faults, accounted by the project's own arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from typing import Literal

import numpy as np

from exporter.demo.cluster import Cluster
from exporter.metering.shares import shares
from exporter.model import Amounts, Answer, Hold, Owner, Task
from exporter.ownership import Holdings
from exporter.report.accounting.accounts import GpuAccount, accounts, inventory_gap
from exporter.report.accounting.aggregate import Costs, Filter, build, narrowed
from exporter.report.accounting.figures import Usage
from exporter.report.accounting.prices import Prices, Rule
from exporter.report.accounting.rows import Comparison, Report, Sources
from exporter.report.accounting.timeline import Timeline, timeline
from exporter.report.accounting.usage import Tariff
from exporter.report.observed import OBSERVED, VRAM, Cells, Floats, ObservedGpu
from exporter.report.window import Window, window

NODE_GPUS = 8
HOSTILE_NAMES = ("<script>alert(1)</script>", "</script><img src=x onerror=alert(2)>", '=cmd("/c calc")', "陳" * 200)
_COMPARED = (
    "owned_gpu_hours",
    "owned_busy_gpu_hours",
    "idle_gpu_hours",
    "unallocated_gpu_hours",
    "unknown_gpu_hours",
    "efficiency_ratio",
    "energy_kwh",
    "cost",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a renderer takes."""

    report: Report
    timeline: Timeline


def sample(
    gpus: int = 32,
    *,
    date: str = "2025-07-22",
    to: str | None = None,
    zone: str = "Asia/Taipei",
    now: str = "2026-01-01T00:00",
    tasks: Literal["api", "labels", "none"] = "api",
    history: bool = True,
    price: float | None = 2.5,
    usernames: Mapping[str, str] | None = None,
    only: frozenset[str] = frozenset(),
) -> Sample:
    """A report of `gpus` GPUs, eight a node, with these faults where there is a history.

    The first node's second GPU is not observed from the 12th to the 30th ten minutes, the second node not at all from
    the 72nd to the 90th, the last node's first GPU never; the inventory lists one more GPU there that nobody ever saw.

    Args:
        gpus: How many, a multiple of eight; 0: a report of nothing.
        date: First day.
        to: Last day; None: the same.
        zone: Of the days; Europe/Berlin has 25 hours on 2025-10-26.
        now: ISO 8601, UTC; within the day, the report is partial.
        tasks: What tells the owners.
        history: Whether there is a scrape history.
        price: Of a GPU-hour; None: nothing is charged.
        usernames: Other names for users of `exporter.demo.cluster.USERS`.
        only: The users that the report is about; empty: all.
    """
    span = window(date, to, zone, np.datetime64(now, "s").astype(float))
    cluster = Cluster(gpus // NODE_GPUS)
    known = tuple(_renamed(task, usernames or {}) for task in cluster.tasks(span.start, span.end))
    holdings = Holdings(Answer(known, (), as_of=0.0))
    named = tasks == "api"
    seen = list(observed(span, cluster, None if named else holdings)) if history else []
    if tasks == "none":
        seen = [replace(gpu, owners={}) for gpu in seen]
    found = accounts(span, seen, holdings if named else None, known if named else ())
    last = f"colab-gpu{gpus // NODE_GPUS}"
    missing, _ = inventory_gap(span, found, {last: NODE_GPUS + 1} if gpus else {}, answered=named)
    chosen = narrowed(found + missing, Filter(users=only), [])
    return Sample(
        _report(span, chosen, price, Sources(history="prometheus" if history else "none", tasks=tasks)),
        timeline(span, chosen, timed=named, users=only),
    )


def enlarged(small: Sample, times: int) -> Sample:
    """The same report as if of a cluster so many times the size; its totals and shares stay as they were."""
    report, tasks, lanes = small.report, small.report.tasks, small.timeline.lanes

    def name(hostname: str, copy: int) -> str:
        return f"{hostname}-{copy:03d}"

    copies = range(times)
    nodes = [row.model_copy(update={"hostname": name(row.hostname, n)}) for n in copies for row in report.nodes]
    gpus = [row.model_copy(update={"hostname": name(row.hostname, n)}) for n in copies for row in report.gpus]
    more = [
        row.model_copy(update={"hostname": name(row.hostname, n), "task_id": f"{row.task_id}-{n}"})
        for n in copies
        for row in tasks
    ]
    waste = [
        row.model_copy(update={"hostname": name(row.hostname, n), "task_id": f"{row.task_id}-{n}"})
        for n in copies
        for row in report.waste
    ]
    drawn = tuple(replace(lane, hostname=name(lane.hostname, n)) for n in copies for lane in lanes)
    return Sample(
        report.model_copy(update={"nodes": nodes, "gpus": gpus, "tasks": more, "waste": waste}),
        Timeline(small.timeline.edges, drawn),
    )


def _renamed(task: Task, usernames: Mapping[str, str]) -> Task:
    return replace(task, username=usernames.get(task.username, task.username))


def _report(span: Window, found: list[GpuAccount], price: float | None, sources: Sources) -> Report:
    costs = Costs(Tariff(flat(price), pue=1.3), currency="USD" if price else None)
    report = build(span, found, sources=sources, costs=costs, min_coverage_ratio=0.99)
    return report.model_copy(
        update={
            "warnings": ["colab-gpu2: no scrapes from 12:00 to 15:00 <is the exporter running?>"],
            "comparison": [_compared(report.totals, measure) for measure in _COMPARED],
        }
    )


def flat(price: float | None) -> Prices:
    """One price for all; None: nothing is charged."""
    return Prices([] if price is None else [Rule(Decimal(str(price)))])


def _compared(totals: Usage, measure: str) -> Comparison:
    value: float | None = getattr(totals, measure)
    before = None if value is None or measure == "unknown_gpu_hours" else value * 0.93
    return Comparison(
        measure=measure, value=value, day_before=before, median_of_seven=None if value is None else value * 1.08
    )


def observed(span: Window, cluster: Cluster, labels: Holdings | None) -> Iterator[ObservedGpu]:
    edges = np.array(span.edges)
    last = len(cluster.nodes) - 1
    for node, (hostname, hardware) in enumerate(cluster.nodes.items()):
        for gpu in hardware.gpus:
            if (node, gpu.index) == (last, 0):
                continue
            amounts = np.array(
                [hardware.truth(gpu.index, start, end, 0.05, 2**30) for start, end in pairwise(edges.tolist())]
            )
            if (node, gpu.index) == (0, 1):
                amounts[12:30] = 0.0
            if node == 1 and last > 1:
                amounts[72:90] = 0.0
            counters = _Counters(edges, amounts)
            yield ObservedGpu(
                uuid=gpu.uuid,
                index=gpu.index,
                hostname=hostname,
                model=gpu.model,
                card=gpu.card,
                at=counters.at,
                cells=counters.cells(gpu.vram_total_bytes),
                owners=_owners(counters, labels.holds({gpu.uuid}), span) if labels else {},
            )


class _Counters:
    """Cumulative amounts that grow evenly within each cell."""

    def __init__(self, edges: Floats, amounts: Floats) -> None:
        self._edges = edges
        self._amounts = amounts
        self._sums = np.vstack([np.zeros(amounts.shape[1]), np.cumsum(amounts, axis=0)])

    def at(self, time: float) -> Amounts:
        return Amounts(*(float(np.interp(time, self._edges, column)) for column in self._sums.T))

    def cells(self, vram_total_bytes: int | None) -> Cells:
        observed = self._amounts[:, OBSERVED]
        with np.errstate(divide="ignore", invalid="ignore"):
            peak = np.where(observed > 0, self._amounts[:, VRAM] / observed, np.nan)
        return Cells.of(self._amounts, peak, vram_total_bytes)


def _owners(counters: _Counters, holds: tuple[Hold, ...], span: Window) -> dict[Owner, Amounts]:
    owners: dict[Owner, Amounts] = {}
    for share in shares(counters.at, holds, span.start, span.end):
        if share.task:
            owner = Owner(share.task.username, share.task.task_type, share.ownership)
            owners[owner] = owners.get(owner, Amounts()).plus(share.amounts)
    return owners
