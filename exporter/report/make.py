"""Makes a report: asks who held what, asks the scrape history, accounts, and compares with the days before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.config import Config
from exporter.errors import HistoryError, ReportError, TasksError
from exporter.report.accounting.accounts import GpuAccount, accounts, inventory_gap
from exporter.report.accounting.aggregate import Filter, build, narrowed
from exporter.report.accounting.comparison import compared
from exporter.report.accounting.rows import Report, Sources
from exporter.report.accounting.timeline import Timeline, timeline
from exporter.report.completeness import (
    Fault,
    GpusUnlisted,
    HistoryMissing,
    HistoryRemark,
    TasksMalformed,
    TasksMissing,
    TasksUnset,
    is_complete,
    lacks_source,
    low_coverage,
    time_unpriced,
)
from exporter.report.costs import costs
from exporter.report.days_before import days_before
from exporter.report.history import gpus as inventory
from exporter.report.history.client import PrometheusClient
from exporter.report.history.fetch import History, fetch
from exporter.report.holders import Held, Holders, holders
from exporter.report.warnings import warning
from exporter.report.window import Window
from exporter.speech import speech

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for."""

    window: Window
    narrowed_to: Filter = field(default_factory=Filter)
    with_tasks: bool = True
    """False: `--skip-task-info`."""
    with_history: bool = True
    """False: `--user-report`, the tasks alone."""
    use_cache: bool = True
    is_compared: bool = True
    """Whether a single day is compared with those before."""


@dataclass(frozen=True, slots=True, repr=False)  # asyncio.run spells out its task's result: seconds for 1,024 GPUs
class Made:
    """A report, and whether it is all that it should be."""

    report: Report
    timeline: Timeline
    is_complete: bool
    accounts: Sequence[GpuAccount]
    has_sources: bool
    """Whether every source that was asked answered in full."""


async def make(config: Config, wanted: Wanted, now: float, progress: Progress) -> Made:
    """Makes the report of a window.

    Args:
        config: The settings.
        wanted: What is asked for.
        now: Unix seconds.
        progress: Told in words what is going on.

    Raises:
        TasksError: Only tasks were asked for, and the API gave no answer.
        ReportError: Neither source gave an answer; there is no history at all; or shares and totals disagree.
        UsageError: An unknown user or node.
        ConfigError: A source's settings are not usable.
    """
    faults: list[Fault] = []
    progress("asking who had which GPU")
    asked = holders(config, now, use_cache=wanted.use_cache) if wanted.with_tasks else None
    held = await _held(asked, wanted, faults)
    progress("reading the scrape history")
    read = await _read(config, wanted, held, now, faults) if wanted.with_history else None
    progress("accounting")
    chosen = _accounted(config, wanted, held, read, faults)
    report = _report(config, wanted, chosen, held, read)
    faults += time_unpriced(costs(config.report).tariff.prices, chosen)
    if read:
        faults += low_coverage(report.nodes, config.report.min_coverage)
    progress("comparing with the days before")
    past = (config.prometheus if read else None, asked if held else None) if wanted.is_compared else (None, None)
    before = await days_before(*past, wanted.window, report, wanted.narrowed_to.users)
    words = speech(config.report.language)
    report = report.model_copy(
        update={
            "warnings": [warning(fault, words) for fault in faults],
            "comparison": compared(report.totals, before),
            "only_users": sorted(wanted.narrowed_to.users),
            "only_nodes": sorted(wanted.narrowed_to.nodes),
        }
    )
    drawn = timeline(wanted.window, chosen, timed=held is not None, users=wanted.narrowed_to.users)
    return Made(report, drawn, is_complete(faults), chosen, not lacks_source(faults))


async def _held(asked: Holders | None, wanted: Wanted, faults: list[Fault]) -> Held | None:
    """Returns who held what in the window, or None if labels have to tell; adds what is wrong to the faults."""
    if asked is None:
        if wanted.with_tasks:
            faults.append(TasksUnset())
        return None
    try:
        held = await asked.held(wanted.window)
    except TasksError as error:
        if not wanted.with_history:
            raise
        faults.append(TasksMissing(error))
        return None
    if held.malformed:
        faults.append(TasksMalformed(len(held.malformed)))
    return held


@dataclass(frozen=True, slots=True)
class _Read:
    """What the scrape history says."""

    history: History
    gpu_ids: Mapping[str, str]
    """The cluster-wide numbers of GPUs that no task of the window names."""


async def _read(config: Config, wanted: Wanted, held: Held | None, now: float, faults: list[Fault]) -> _Read | None:
    """Returns the scrape history, or None if it cannot be had and tasks alone can be reported; adds to the faults."""
    window = wanted.window
    try:
        async with PrometheusClient(config.prometheus) as client:
            history = await fetch(client, window, held.holdings if held else None)
            if not history.gpus:
                raise ReportError(f"{config.prometheus.url}: {await inventory.absence(client, window, now)}")
            named = {gpu.uuid for task in (held.tasks if held else ()) for gpu in task.gpus}
            unnamed = {gpu.uuid for gpu in history.gpus} - named
            gpu_ids = await inventory.gpu_ids(client, window, unnamed)
    except HistoryError as error:
        if held is None:
            words = speech(config.report.language)
            said = [warning(fault, words) for fault in faults]
            raise ReportError("\n".join([*said, str(error)])) from error
        faults.append(HistoryMissing(error))
        return None
    faults += [HistoryRemark(remark.text, lacks_data=remark.lacks_data) for remark in history.remarks]
    return _Read(history, gpu_ids)


def _accounted(
    config: Config, wanted: Wanted, held: Held | None, read: _Read | None, faults: list[Fault]
) -> list[GpuAccount]:
    """Returns the accounts that the report is about; adds hosts with more GPUs than listed to the faults."""
    window, only, nodes = wanted.window, wanted.narrowed_to, config.report.nodes
    known = accounts(
        window,
        read.history.gpus if read else (),
        held.holdings if held else None,
        held.tasks if held else (),
        read.gpu_ids if read else {},
    )
    missing, surplus = inventory_gap(window, known, nodes, answered=held is not None)
    faults += [
        GpusUnlisted(hostname, seen, nodes[hostname])
        for hostname, seen in surplus.items()
        if not only.nodes or hostname in only.nodes
    ]
    return narrowed([*known, *missing], only, nodes)


def _report(
    config: Config, wanted: Wanted, chosen: Sequence[GpuAccount], held: Held | None, read: _Read | None
) -> Report:
    settings = config.report
    return build(
        wanted.window,
        chosen,
        sources=Sources(
            history="prometheus" if read else "none",
            tasks=held.source if held else "labels" if read else "none",
        ),
        costs=costs(settings),
        min_coverage_ratio=settings.min_coverage,
    )
