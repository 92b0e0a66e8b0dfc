"""How far the report is from closed forms: the worst case of every measure, over real engines.

The first day has every fault at once (see tests.support.scenario); the others have 23 and 25 hours, or are two.
Large are the totals, nodes, GPUs and users of 24 GPU-hours or more, in figures of an hour or more: the error is a part
of the truth. Small is all else: the error is in what may accrue in one scrape interval at each start and end of a task.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure
from exporter.report.accounting.rows import Report
from exporter.report.window import Window, window
from tests.support.accuracy import HOUR, LARGE, UNITS, Deviation, booked_figures, deviations, figures_of, worst
from tests.support.engines import ENGINES
from tests.support.scenario import Crowd, Scenario, every_fault

_LATER = 2e9
"""Unix seconds, after all days reported."""
_AIM = "0.1 %"
_AIM_OF_LABELS = "1 %"
_AIM_OF_THE_SMALL = "1 interval"
_OTHER_DAYS: tuple[tuple[str, str | None], ...] = (
    ("2025-03-30", None),
    ("2025-10-26", None),
    ("2025-10-25", "2025-10-26"),
)
_SCALES = {"VRAM": (2**40 * HOUR, "TiB·h"), "energy": (3.6e6, "kWh")}


@dataclass(frozen=True, slots=True)
class _Measured:
    """A window's reports from one engine."""

    engine: str
    by_tasks: Report
    by_labels: Report


async def figures() -> AsyncIterator[Figure]:
    """The bad day of 32 GPUs, measure by measure; the other days of 4 in brief."""
    bad_day = _scenario(window("2025-07-22", None, "Asia/Taipei", _LATER), gpus_per_node=8)
    found = await _reports(bad_day)
    for one in found:
        for figure in _of_day(bad_day, one):
            yield figure
    yield _agreement(bad_day, found)
    for days in _OTHER_DAYS:
        scenario = _scenario(window(*days, "Europe/Berlin", _LATER), gpus_per_node=2)
        for one in await _reports(scenario):
            yield _in_brief(scenario, one)


def _scenario(of: Window, gpus_per_node: int) -> Scenario:
    return Scenario(Crowd(nodes=4, gpus_per_node=gpus_per_node), of, every_fault(of))


async def _reports(scenario: Scenario) -> list[_Measured]:
    columns = await scenario.columns()
    found = []
    for name, engine in ENGINES.items():
        with tempfile.TemporaryDirectory() as directory:
            async with engine(Path(directory) / "engine", columns) as url:
                by_tasks = await scenario.report(url, Path(directory))
                by_labels = await scenario.report(url, Path(directory), with_tasks=False)
                found.append(_Measured(name, by_tasks.report, by_labels.report))
    return found


def _of_day(scenario: Scenario, found: _Measured) -> Iterator[Figure]:
    """Each measure's worst case among what is large, what is small, and what labels tell of large users."""
    everything = deviations(scenario, found.by_tasks)
    by_labels = list(_label_deviations(scenario, found.by_labels))
    setting = f"{_named(scenario)}, {found.engine}"
    for measure in UNITS:
        of_it = [one for one in everything if one.measure == measure]
        large = worst([one for one in of_it if one.is_large], "relative")
        exact = measure in {"capacity", "owned"}
        yield Figure(setting, f"{measure}, large", _relative(large), "0" if exact else _AIM)
        if not exact:
            small = worst([one for one in of_it if not one.is_large], "blur")
            yield Figure(setting, f"{measure}, small", f"{small.blur:.2f} intervals {_case(small)}", _AIM_OF_THE_SMALL)
    for measure in UNITS:
        if of_it := [one for one in by_labels if one.measure == measure]:
            told = _relative(worst(of_it, "relative"))
            yield Figure(setting, f"{measure}, users by labels", told, _AIM_OF_LABELS)


def _label_deviations(scenario: Scenario, report: Report) -> Iterator[Deviation]:
    truth, found = booked_figures(scenario), figures_of(report)
    for key, row in truth.items():
        if key[0] == "user" and row["capacity"] >= LARGE:
            for measure in ("observed", "busy", "idle", "VRAM", "energy"):
                yield Deviation(key, measure, row[measure], found[key][measure], row["capacity"], 0.0)


def _agreement(scenario: Scenario, found: Sequence[_Measured]) -> Figure:
    ours, theirs = (figures_of(one.by_tasks) for one in found)
    pairs = [
        Deviation(key, measure, value, theirs[key][measure], row["capacity"], 0.0)
        for key, row in ours.items()
        for measure, value in row.items()
        if value >= UNITS[measure]  # VictoriaMetrics keeps decimals: 0 is 1e-12 there
    ]
    engines = " and ".join(one.engine for one in found)
    return Figure(f"{_named(scenario)}, {engines}", "furthest apart", _relative(worst(pairs, "relative")), _AIM)


def _in_brief(scenario: Scenario, found: _Measured) -> Figure:
    large = worst([one for one in deviations(scenario, found.by_tasks) if one.is_large], "relative")
    return Figure(f"{_named(scenario)}, {found.engine}", f"worst of all: {large.measure}", _relative(large), _AIM)


def _named(scenario: Scenario) -> str:
    gpus = sum(len(hardware.gpus) for hardware in scenario.cluster.nodes.values())
    return f"{gpus} GPUs, {scenario.window.name}, {scenario.window.seconds / HOUR:g} h"


def _relative(one: Deviation) -> str:
    return f"{one.relative:.4%} {_case(one)}"


def _case(one: Deviation) -> str:
    scale, unit = _SCALES.get(one.measure, (HOUR, "GPU-h"))
    name = " ".join(filter(None, (one.key[0], _short(one.key[1]))))
    return f"({name}: truth {one.truth / scale:.4f}, report {one.report / scale:.4f} {unit})"


def _short(name: str) -> str:
    return name if len(name) <= 16 else f"{name[:15]}…"
