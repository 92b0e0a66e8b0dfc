"""Makes a report: asks both sources, accounts, and compares with the days before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.config import Config
from exporter.report.accounting.accounts import GpuAccount, accounts, inventory_gap
from exporter.report.accounting.aggregate import Filter, build, narrowed
from exporter.report.accounting.comparison import compared
from exporter.report.accounting.rows import Report, Sources
from exporter.report.accounting.timeline import Timeline, timeline
from exporter.report.answers import Answers, Progress, Wanted, ask
from exporter.report.completeness import (
    Fault,
    GpusUnlisted,
    is_complete,
    lacks_source,
    low_coverage,
    time_unpriced,
)
from exporter.report.costs import costs
from exporter.report.days_before import days_before
from exporter.report.warnings import worded
from exporter.report.window import Window


@dataclass(frozen=True, slots=True, repr=False)  # asyncio.run spells out its task's result: seconds for 1,024 GPUs
class Made:
    """A report, and whether it is all that it should be."""

    report: Report
    """With its warnings in `report.language`."""
    timeline: Timeline
    faults: Sequence[Fault]
    """What its warnings say, in no language yet."""
    accounts: Sequence[GpuAccount]

    @property
    def is_complete(self) -> bool:
        """Whether no source was missing and no node observed too little."""
        return is_complete(self.faults)

    @property
    def has_sources(self) -> bool:
        """Whether every source that was asked answered in full."""
        return not lacks_source(self.faults)


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
    answers = await ask(config, wanted, now, progress, faults)
    only = Filter(wanted.narrowed_to.users, frozenset(map(answers.names.hosts.name, wanted.narrowed_to.nodes)))
    progress("accounting")
    chosen = _accounted(config, wanted.window, only, answers, faults)
    report = _report(config, wanted.window, chosen, answers)
    faults += time_unpriced(costs(config.report).tariff.prices, chosen)
    if answers.read:
        faults += low_coverage(report.nodes, config.report.min_coverage)
    progress("comparing with the days before")
    before = (
        await days_before(config.prometheus, answers, wanted.window, report, only.users) if wanted.is_compared else []
    )
    report = report.model_copy(
        update={
            "comparison": compared(report.totals, before),
            "only_users": sorted(only.users),
            "only_nodes": sorted(only.nodes),
        }
    )
    drawn = timeline(wanted.window, chosen, timed=answers.held is not None, users=only.users)
    return Made(worded(report, faults, config.report.language), drawn, faults, chosen)


def _accounted(config: Config, window: Window, only: Filter, answers: Answers, faults: list[Fault]) -> list[GpuAccount]:
    """Returns the accounts that the report is about; adds hosts with more GPUs than listed to the faults."""
    held, read = answers.held, answers.read
    nodes: dict[str, int] = {}
    for hostname, listed in config.report.nodes.items():
        name = answers.names.hosts.name(hostname)
        nodes[name] = max(listed, nodes.get(name, 0))
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


def _report(config: Config, window: Window, chosen: Sequence[GpuAccount], answers: Answers) -> Report:
    settings, held, read = config.report, answers.held, answers.read
    return build(
        window,
        chosen,
        sources=Sources(
            history="prometheus" if read else "none",
            tasks=held.source if held else "labels" if read else "none",
        ),
        costs=costs(settings),
        min_coverage_ratio=settings.min_coverage,
    )
