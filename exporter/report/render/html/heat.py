"""The heat map of the HTML report: every GPU over the window, with its owners, as data for the page's script.

As SVG, a cell each for a thousand GPUs and ten minutes would be half of the page. It travels as one byte a cell, and
the script paints it on a canvas for each node.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from exporter.model import Ownership
from exporter.names import visible
from exporter.report.accounting.figures import FIGURES
from exporter.report.accounting.rows import Report
from exporter.report.accounting.timeline import Timeline
from exporter.report.render.cells import Cells
from exporter.report.render.clock import Clock
from exporter.speech import Speech

USER_COLOURS: Final = 12
"""The users with the most owned time get a colour of their own; all others share the one after."""

_LEVELS: Final = 200
"""Steps of utilization in a byte: half a percent each."""
_NOT_OBSERVED: Final = 255


@dataclass(frozen=True, slots=True)
class HeatNode:
    """The GPUs of one node, as many rows of the heat map."""

    hostname: str
    gpus: tuple[str, ...]
    coverage: float | None


class _Owners(NamedTuple):
    """Whose a stretch of time is."""

    usernames: tuple[str, ...]
    has_others: bool
    ownership: Ownership


def heat_nodes(cells: Cells, timeline: Timeline) -> list[HeatNode]:
    """The nodes in the order of the data."""
    coverage = {row.hostname: row.usage.coverage_ratio for row in cells.report.nodes}
    return [
        HeatNode(hostname, tuple(cells.gpu(lane.gpu, lane.gpu_id) for lane in lanes), coverage[hostname])
        for hostname, lanes in groupby(timeline.lanes, lambda lane: lane.hostname)
    ]


def user_colours(report: Report) -> dict[str, int]:
    """The number of each user's colour."""
    return {row.username: min(n, USER_COLOURS) for n, row in enumerate(report.users)}


def heat_data(report: Report, timeline: Timeline, words: Speech) -> dict[str, Any]:
    """What the script paints, and what it says of a cell.

    Returns:
        `seconds`: the edges of the columns, since the start. `times`: the clock at each edge. `owners`: the name, the
        numbers of their colours, and whether it is not known who. `spells`: for each GPU the second each ends and the
        number of its owner, in turn. `cells`: base64, row by row a byte for each column: utilization × 200, or 255
        where nothing was observed. `not_observed`: what to say there.
    """
    start = float(timeline.edges[0])
    colours = user_colours(report)
    owners: dict[_Owners, int] = {}
    spells = [
        [
            number
            for spell in lane.spells
            for number in (
                round(spell.end - start),
                owners.setdefault(_Owners(spell.usernames, spell.has_others, spell.ownership), len(owners)),
            )
        ]
        for lane in timeline.lanes
    ]
    return {
        "seconds": np.rint(timeline.edges - start).astype(int).tolist(),
        "times": _clock(timeline.edges.tolist(), report),
        "owners": [
            {
                "name": _name(some, words),
                "colours": [colours.get(user, USER_COLOURS) for user in some.usernames]
                + [USER_COLOURS] * some.has_others,
                "unknown": some.ownership is Ownership.UNKNOWN,
            }
            for some in owners
        ],
        "spells": spells,
        "cells": _cells(timeline),
        "not_observed": words.gettext("Not observed"),
    }


def _cells(timeline: Timeline) -> str:
    utilization = np.array([lane.utilization for lane in timeline.lanes])
    levels = np.where(np.isnan(utilization), _NOT_OBSERVED, np.rint(np.nan_to_num(utilization) * _LEVELS))
    return base64.b64encode(levels.astype(np.uint8).tobytes()).decode()


def _name(some: _Owners, words: Speech) -> str:
    names = [*map(visible, some.usernames), *([words.gettext("others")] if some.has_others else [])]
    nobody = "unallocated_gpu_hours" if some.ownership is Ownership.UNALLOCATED else "unknown_gpu_hours"
    return " + ".join(names) or words.gettext(FIGURES[nobody].word)


def _clock(edges: list[float], report: Report) -> list[str]:
    """Local times; with the date in a window of days, with the offset in one whose clocks change."""
    zone = ZoneInfo(report.timezone)
    local = [datetime.fromtimestamp(edge, zone) for edge in edges]
    pattern = "%H:%M" if report.date == report.to else "%m-%d %H:%M"
    changes = Clock.of(report).offset is None
    return [time.strftime(pattern) + (f" {time.isoformat()[-6:]}" if changes else "") for time in local]
