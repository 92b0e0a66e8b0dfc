"""What a report of a scenario must say, and how far one is from that.

The truth is of observed time: what the readings that were taken and the scrapes that succeeded can show at best.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain

from exporter.demo.schedule import Stretch
from exporter.devices.simulated.workload import VRAM_TOTAL_BYTES
from exporter.report.accounting.figures import Usage
from exporter.report.accounting.rows import Report
from tests.support.scenario import Scenario
from tests.support.truth import Share, observed, shares

HOUR = 3600.0
LARGE = 24 * HOUR
"""GPU-seconds from which on a row's figures are held to a part of their value, as far as they are an hour or more."""
UNITS = {
    "capacity": 1.0,
    "owned": 1.0,
    "observed": 1.0,
    "busy": 1.0,
    "owned busy": 1.0,
    "idle": 1.0,
    "idle, VRAM held": 1.0,
    "VRAM": float(VRAM_TOTAL_BYTES),
    "energy": 750.0,
}
"""The measures, and at most how much of each accrues in a GPU-second: s, byte·s, J."""

Key = tuple[str, str]
"""Kind of row (total, node, gpu, user, task) and its name."""
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Deviation:
    """One figure of one row, beside the truth."""

    key: Key
    measure: str
    truth: float
    report: float
    gpu_seconds: float
    """The row's capacity."""
    blurred_seconds: float
    """GPU-seconds between the scrapes around the instants at which the window and the row's tasks start and end."""

    @property
    def absolute(self) -> float:
        return abs(self.report - self.truth)

    @property
    def relative(self) -> float:
        return self.absolute / self.truth if self.truth else float(self.absolute > 0)

    @property
    def is_large(self) -> bool:
        is_row_large = self.key[0] in {"total", "node", "gpu"} or self.gpu_seconds >= LARGE
        return is_row_large and self.truth >= HOUR * UNITS[self.measure]

    @property
    def blur(self) -> float:
        """The error as a part of what may accrue between those scrapes."""
        limit = UNITS[self.measure] * self.blurred_seconds
        return self.absolute / limit if limit else float(self.absolute > 0)


def deviations(scenario: Scenario, report: Report) -> list[Deviation]:
    """Every figure of a report beside the truth; the rows of both must be the same.

    Raises:
        AssertionError: A row is missing, or there is one too many.
    """
    truth, found = true_figures(scenario), figures_of(report)
    assert truth.keys() == found.keys()
    blurred = _blurred(scenario)
    return [
        Deviation(key, measure, value, found[key][measure], row["capacity"], blurred.get(key, 0.0))
        for key, row in truth.items()
        for measure, value in row.items()
    ]


def worst(those: Iterable[Deviation], by: str) -> Deviation:
    """The one that is furthest off, by an attribute of it."""
    return max(those, key=lambda one: (getattr(one, by), one.absolute))


@cache
def true_figures(scenario: Scenario) -> dict[Key, Figures]:
    """By row; energy is none where nothing of the row was observed."""
    window, nodes = scenario.window, scenario.cluster.nodes
    rows = _summed(shares(nodes, scenario.tasks, window.start, window.end, seen=seen_in(scenario)))
    for row in rows.values():
        row["energy"] *= row["observed"] > 0
    return rows


@cache
def booked_figures(scenario: Scenario) -> dict[Key, Figures]:
    """By row, what the exporters can have booked to owners while they ran and knew who had which GPU."""
    window, nodes, seen = scenario.window, scenario.cluster.nodes, seen_in(scenario)
    cuts = [window.start, *chain.from_iterable(scenario.unknown()), window.end]
    known = list(zip(cuts[::2], cuts[1::2], strict=True))
    parts: list[Share] = []
    for schedule in scenario.schedules():
        node = {schedule.hostname: nodes[schedule.hostname]} if not schedule.replica else {}
        for born, died in schedule.lives():
            # Energy spans the gaps of a run, and none between two.
            of_run = {uuid: [one for one in each if born <= one[0] < died] for uuid, each in seen.items()}
            for start, end in known:
                if max(start, born) < min(end, died):
                    parts += shares(node, scenario.tasks, max(start, born), min(end, died), seen=of_run)
    return _summed(parts)


def _summed(parts: Iterable[Share]) -> dict[Key, Figures]:
    rows: defaultdict[Key, Figures] = defaultdict(lambda: dict.fromkeys(UNITS, 0.0))
    for share in parts:
        of_share = _of(share)
        for key in _keys(share):
            for measure, value in of_share.items():
                rows[key][measure] += value
    return dict(rows)


def figures_of(report: Report) -> dict[Key, Figures]:
    """By row, as reported."""
    rows: list[tuple[Key, Usage]] = [(("total", ""), report.totals)]
    rows += [(("node", row.hostname), row.usage) for row in report.nodes]
    rows += [(("gpu", row.gpu_uuid or ""), row.usage) for row in report.gpus]
    rows += [(("user", row.username), row.usage) for row in report.users]
    rows += [(("task", row.task_id), row.usage) for row in report.tasks]
    return {key: _reported(usage) for key, usage in rows}


@cache
def seen_in(scenario: Scenario) -> dict[str, list[Stretch]]:
    """When each GPU was observed, by unique id; of each run a second server may have scraped the end."""
    nodes = scenario.cluster.nodes
    stretches: defaultdict[str, list[Stretch]] = defaultdict(list)
    for schedule in scenario.schedules():
        for gpu in nodes[schedule.hostname].gpus:
            stretches[gpu.uuid] += observed(schedule, gpu.index)
    return {uuid: _united(each) for uuid, each in stretches.items()}


def _united(stretches: Iterable[Stretch]) -> list[Stretch]:
    united: list[Stretch] = []
    for begin, end in sorted(stretches):
        if united and begin <= united[-1][1]:
            united[-1] = united[-1][0], max(united[-1][1], end)
        else:
            united.append((begin, end))
    return united


def _of(share: Share) -> Figures:
    amounts, owned = share.amounts, float(share.task is not None)
    return {
        "capacity": share.seconds,
        "owned": share.seconds * owned,
        "observed": amounts.observed_seconds,
        "busy": amounts.busy_seconds,
        "owned busy": amounts.busy_seconds * owned,
        "idle": amounts.idle_seconds * owned,
        "idle, VRAM held": amounts.idle_vram_held_seconds * owned,
        "VRAM": amounts.vram_used_byte_seconds,
        "energy": amounts.energy_joules,
    }


def _keys(share: Share) -> Iterator[Key]:
    yield "total", ""
    yield "node", share.hostname
    yield "gpu", share.gpu.uuid
    if share.task is not None:
        yield "user", share.task.username
        yield "task", share.task.task_id


def _reported(usage: Usage) -> Figures:
    return {
        "capacity": usage.capacity_gpu_hours * HOUR,
        "owned": usage.owned_gpu_hours * HOUR,
        "observed": usage.observed_gpu_hours * HOUR,
        "busy": (usage.busy_gpu_hours or 0.0) * HOUR,
        "owned busy": (usage.owned_busy_gpu_hours or 0.0) * HOUR,
        "idle": (usage.idle_gpu_hours or 0.0) * HOUR,
        "idle, VRAM held": (usage.idle_vram_held_gpu_hours or 0.0) * HOUR,
        "VRAM": (usage.mean_vram_used_ratio or 0.0) * usage.observed_gpu_hours * HOUR * VRAM_TOTAL_BYTES,
        "energy": (usage.energy_kwh or 0.0) * 3.6e6,
    }


@cache
def _blurred(scenario: Scenario) -> dict[Key, float]:
    """At each instant one scrape interval, or what was observed between the scrapes around it."""
    seen, scrapes = seen_in(scenario), _scrapes(scenario)
    start, end = scenario.window.start, scenario.window.end
    seconds: defaultdict[Key, float] = defaultdict(float)

    def blur(instants: Iterable[float], hostname: str, uuid: str, *keys: Key) -> None:
        for instant in instants:
            before, after = _around(scrapes[hostname], instant)
            between = sum(max(0.0, min(last, after) - max(first, before)) for first, last in seen[uuid])
            for key in (("total", ""), ("node", hostname), ("gpu", uuid), *keys):
                seconds[key] += max(scenario.scrape_seconds, between)

    for hostname, hardware in scenario.cluster.nodes.items():
        for gpu in hardware.gpus:
            blur((start, end), hostname, gpu.uuid)
    for task in scenario.tasks:
        for task_gpu in task.gpus:
            instants = max(task.start, start), min(task.end, end)
            blur(instants, task.hostname, task_gpu.uuid, ("user", task.username), ("task", task.task_id))
    return seconds


def _scrapes(scenario: Scenario) -> Mapping[str, list[int]]:
    """When each node answered a scrape, whoever asked."""
    answered: defaultdict[str, set[int]] = defaultdict(set)
    for schedule in scenario.schedules():
        for born, died in schedule.lives():
            answered[schedule.hostname].update(
                at for at in range(born, died) if schedule.is_scraped(at) and schedule.is_reachable(at)
            )
    return {hostname: sorted(seconds) for hostname, seconds in answered.items()}


def _around(scrapes: list[int], instant: float) -> Stretch:
    after = bisect_left(scrapes, instant)
    before = bisect_right(scrapes, instant) - 1
    return scrapes[max(before, 0)], scrapes[min(after, len(scrapes) - 1)]
