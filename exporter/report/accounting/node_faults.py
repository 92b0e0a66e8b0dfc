"""Which nodes were badly observed, and which of their GPUs fell silent and were not heard again. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from exporter.names import by_hostname
from exporter.report.accounting.rows import GpuRow, Report, is_low
from exporter.report.accounting.timeline import Lane
from exporter.report.observed import Floats
from exporter.report.window import CELL_SECONDS


@dataclass(frozen=True, slots=True)
class LostGpu:
    """A GPU that could not be read as the window ended, though others of its node could."""

    row: GpuRow
    since: str | None
    """ISO 8601, to ten minutes; None: it was never read in the window."""


@dataclass(frozen=True, slots=True)
class NodeFault:
    """A node that was observed too little, or has GPUs that are gone."""

    hostname: str
    coverage: float | None
    """None unless it is low."""
    is_gone: bool
    """Whether none of its GPUs could be read as the window ended."""
    gone_since: str | None
    """ISO 8601, to ten minutes; None: none was read in the window, or it is not gone."""
    lost: tuple[LostGpu, ...]
    """The GPUs that are gone, unless all are."""


@dataclass(frozen=True, slots=True)
class NodeFaults:
    """All nodes that were badly observed, the most time missing first."""

    nodes: tuple[NodeFault, ...]


def node_faults(report: Report, edges: Floats, lanes: Sequence[tuple[GpuRow, Lane]]) -> Iterator[NodeFaults]:
    """Yields the nodes that something is wrong with; without a history there is nothing to tell it from."""
    if report.sources.history == "none":
        return
    zone = ZoneInfo(report.timezone)
    ends = [None, *(datetime.fromtimestamp(edge, zone).isoformat() for edge in edges[1:].tolist())]
    by_node = by_hostname(lanes, lambda pair: pair[0].hostname)
    faults = []
    for row in report.nodes:
        members = by_node.get(row.hostname, [])
        silent = [(gpu, _cells_read(lane)) for gpu, lane in members if is_silent(lane, edges)]
        is_gone = 0 < len(silent) == len(members)
        coverage = row.usage.coverage_ratio
        is_badly_observed = is_low(coverage, report.min_coverage_ratio)
        if is_badly_observed or silent:
            missing = row.usage.capacity_gpu_hours - row.usage.observed_gpu_hours
            fault = NodeFault(
                row.hostname,
                coverage if is_badly_observed else None,
                is_gone,
                ends[max(read for _, read in silent)] if is_gone else None,
                () if is_gone else tuple(LostGpu(gpu, ends[read]) for gpu, read in silent),
            )
            faults.append((missing, fault))
    if faults:
        yield NodeFaults(tuple(fault for _, fault in sorted(faults, key=lambda pair: -pair[0])))


def is_silent(lane: Lane, edges: Floats) -> bool:
    """Returns whether a GPU was not observed in the last ten minutes of the window, or up to twenty.

    The last cell of a day that is not over may be so short that no scrape fell into it.
    """
    last = int(np.searchsorted(edges, edges[-1] - CELL_SECONDS, side="right")) - 1
    return not lane.observed_seconds[max(last, 0) :].any()


def _cells_read(lane: Lane) -> int:
    """Returns how many cells there are up to the last that was observed; 0 if none was."""
    return int(np.flatnonzero(np.append(True, lane.observed_seconds > 0))[-1])
