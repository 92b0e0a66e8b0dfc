"""The report against closed forms, over real engines: a bad day of four nodes, and days of every length."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from exporter.config import Prometheus
from exporter.report.accounting.figures import Usage
from exporter.report.history.client import PrometheusClient
from exporter.report.history.queries import Question
from exporter.report.make import Made
from exporter.report.window import window
from tests.support.accuracy import (
    LARGE,
    UNITS,
    Deviation,
    booked_figures,
    deviations,
    figures_of,
    seen_in,
    true_figures,
    worst,
)
from tests.support.engines import ENGINES
from tests.support.scenario import HOSTILE, Crowd, Scenario, every_fault, long_gaps

pytestmark = pytest.mark.asyncio(loop_scope="module")

LATER = 2e9
"""Unix seconds, after all days reported."""
EXACT = {"capacity", "owned"}
BAD_DAY = window("2025-07-22", None, "Asia/Taipei", LATER)
SCENARIO = Scenario(Crowd(nodes=4, gpus_per_node=2), BAD_DAY, every_fault(BAD_DAY))

on_both = pytest.mark.parametrize("engine", ENGINES)


@dataclass(frozen=True)
class Answered:
    """An engine that holds the bad day, and its reports."""

    url: str
    made: Made
    by_labels: Made
    """With `--skip-task-info`."""

    @property
    def deviations(self) -> list[Deviation]:
        return deviations(SCENARIO, self.made.report)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def answers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Answered]]:
    columns = await SCENARIO.columns()
    async with AsyncExitStack() as stack:
        answered = {}
        for name, engine in ENGINES.items():
            directory = tmp_path_factory.mktemp(name)
            url = await stack.enter_async_context(engine(directory / "engine", columns))
            made = await SCENARIO.report(url, directory)
            answered[name] = Answered(url, made, await SCENARIO.report(url, directory, with_tasks=False))
        yield answered


async def test_the_bad_day_holds_what_is_hard() -> None:
    tasks, start, end = SCENARIO.tasks, BAD_DAY.start, BAD_DAY.end
    held = {(task, gpu.uuid) for task in tasks for gpu in task.gpus}
    together = [(one, other) for one, gpu in held for other, same in held if gpu == same and one is not other]
    truth = true_figures(SCENARIO)["total", ""]
    cases = {
        "busy, and nobody's": truth["busy"] - truth["owned busy"] > 3600,
        "across its beginning": any(task.start < start for task in tasks),
        "across its end": any(task.end > end for task in tasks),
        "under a minute": any(task.end - task.start < 60 for task in tasks),
        "back to back": any(one.end == other.start for one, other in together),
        "shared by two users": any(
            one.start < other.end and other.start < one.end and one.username != other.username
            for one, other in together
        ),
        "on several GPUs": any(len(task.gpus) > 1 for task in tasks),
        "shown late": any(
            begin <= task.start < finish for task in tasks for (begin, finish), _ in SCENARIO.faults.api_late
        ),
        "hostile names": set(HOSTILE.values()) <= {task.username for task in tasks},
    }
    assert [case for case, found in cases.items() if not found] == []


@on_both
async def test_owned_hours_are_exact_to_the_second(answers: dict[str, Answered], engine: str) -> None:
    for one in answers[engine].deviations:
        if one.measure in EXACT:
            assert one.absolute < 1e-3, one


@on_both
async def test_what_is_large_is_true_to_a_thousandth(answers: dict[str, Answered], engine: str) -> None:
    large = [one for one in answers[engine].deviations if one.is_large]
    assert {one.key[0] for one in large} >= {"total", "node", "gpu", "user"}
    assert worst(large, "relative").relative < 1e-3, worst(large, "relative")


@on_both
async def test_what_is_small_is_true_to_a_scrape_interval_at_each_end_of_a_task(
    answers: dict[str, Answered], engine: str
) -> None:
    small = [one for one in answers[engine].deviations if not one.is_large]
    assert len({one.key for one in small}) > 50
    assert worst(small, "blur").blur < 1, worst(small, "blur")


@on_both
async def test_nothing_is_lost_between_the_rows(answers: dict[str, Answered], engine: str) -> None:
    for made in (answers[engine].made, answers[engine].by_labels):
        report, whole = made.report, made.report.totals
        for rows in (report.nodes, report.gpus):
            assert added([row.usage for row in rows]) == pytest.approx(added([whole]), rel=1e-9)
        owned = [row.usage for row in report.users]
        assert sum(row.owned_gpu_hours for row in owned) == pytest.approx(whole.owned_gpu_hours, rel=1e-9)
        assert sum(row.idle_gpu_hours or 0 for row in owned) == pytest.approx(whole.idle_gpu_hours, rel=1e-9)
        assert sum(row.owned_busy_gpu_hours or 0 for row in owned) == pytest.approx(
            whole.owned_busy_gpu_hours, rel=1e-9
        )
        kinds = whole.owned_gpu_hours + whole.unallocated_gpu_hours + whole.unknown_gpu_hours
        assert kinds == pytest.approx(whole.capacity_gpu_hours, rel=1e-9)
    by_api = answers[engine].made.report
    for shares in (by_api.tasks, by_api.task_types, by_api.projects):
        together = added([row.usage for row in shares])
        assert together["owned"] == pytest.approx(by_api.totals.owned_gpu_hours, rel=1e-9)
        assert together["owned busy"] == pytest.approx(by_api.totals.owned_busy_gpu_hours, rel=1e-9)


@on_both
async def test_coverage_names_the_nodes_that_were_not_seen(answers: dict[str, Answered], engine: str) -> None:
    made, seen = answers[engine].made, seen_in(SCENARIO)
    covered: dict[str, list[float]] = {}
    for row in made.report.gpus:
        inside = sum(BAD_DAY.overlap(begin, end) for begin, end in seen[row.gpu_uuid or ""])
        assert row.usage.coverage_ratio == pytest.approx(inside / BAD_DAY.seconds, abs=2e-5)
        covered.setdefault(row.hostname, []).append(inside / BAD_DAY.seconds)
    lacking = {hostname for hostname, ratios in covered.items() if sum(ratios) / len(ratios) < 0.99}
    assert {warning.split(":")[0] for warning in made.report.warnings} == lacking == {"colab-gpu2", "colab-gpu4"}
    assert not made.is_complete


@on_both
async def test_labels_alone_are_true_to_a_hundredth(answers: dict[str, Answered], engine: str) -> None:
    report = answers[engine].by_labels.report
    assert report.sources.tasks == "labels"
    truth, found = booked_figures(SCENARIO), figures_of(report)
    users = {key: row for key, row in truth.items() if key[0] == "user" and row["capacity"] >= LARGE}
    assert len(users) > 2
    for key, row in users.items():
        assert found[key]["owned"] == found[key]["observed"]
        for measure in ("observed", "busy", "owned busy", "idle", "VRAM", "energy"):
            assert found[key][measure] == pytest.approx(row[measure], rel=0.01), (key, measure)


async def test_both_engines_say_the_same(answers: dict[str, Answered]) -> None:
    for ours, theirs in pairwise(answers.values()):
        for one, other in ((ours.made, theirs.made), (ours.by_labels, theirs.by_labels)):
            assert one.report.warnings == other.report.warnings
            left, right = figures_of(one.report), figures_of(other.report)
            assert left.keys() == right.keys()
            for key, row in left.items():
                for measure, value in row.items():
                    assert right[key][measure] == pytest.approx(value, rel=1e-3, abs=1e-6 * UNITS[measure])


@on_both
async def test_owners_and_what_is_unbooked_are_what_was_observed(answers: dict[str, Answered], engine: str) -> None:
    """At the last scrape of every run of every exporter; an owner's series may have ended before."""
    checked = 0
    async with PrometheusClient(Prometheus(url=answers[engine].url)) as client:

        async def ask(promql: str, at: float) -> dict[str, float]:
            found = await client.instant(Question("test", promql), at)
            return {one.labels["gpu_uuid"]: float(one.values[-1]) for one in found}

        for schedule in SCENARIO.schedules():
            scope = f'hostname="{schedule.hostname}",replica="{schedule.replica}"'
            for born, died in schedule.lives():
                scraped = [at for at in range(born, died) if schedule.is_scraped(at) and schedule.is_reachable(at)]
                at, run = scraped[-1] + 1, scraped[-1] + 1 - born
                owners = f"sum by (gpu_uuid) (max_over_time(amdgpu_owner_seconds_total{{{scope}}}[{run}s]))"
                booked, unbooked, observed = await asyncio.gather(
                    ask(owners, at),
                    ask(f"amdgpu_exporter_unbooked_seconds{{{scope}}}", at),
                    ask(f"amdgpu_observed_seconds_total{{{scope}}}", at),
                )
                assert booked.keys() == unbooked.keys() == observed.keys()
                for uuid, seconds in observed.items():
                    assert booked[uuid] + unbooked[uuid] == pytest.approx(seconds, abs=1e-3)
                    checked += 1
    assert checked == 2 * (3 + 2 + 2 + 2 + 2)


@pytest.mark.parametrize(
    ("days", "zone", "now", "hours"),
    [
        (("2025-03-30", None), "Europe/Berlin", LATER, 23.0),
        (("2025-10-26", None), "Europe/Berlin", LATER, 25.0),
        (("2025-10-25", "2025-10-26"), "Europe/Berlin", LATER, 49.0),
        (("2025-07-22", None), "Asia/Taipei", BAD_DAY.start + 46_000.7, 12 + 46 / 60),
    ],
    ids=["23 hours", "25 hours", "two days", "a day that is not over"],
)
async def test_days_of_every_length_are_as_true(
    days: tuple[str, str | None], zone: str, now: float, hours: float, tmp_path: Path
) -> None:
    wanted = window(*days, zone, now)
    scenario = Scenario(Crowd(nodes=2, gpus_per_node=1), wanted, every_fault(wanted))
    columns = await scenario.columns()
    assert wanted.seconds == pytest.approx(hours * 3600)
    for name, engine in ENGINES.items():
        async with engine(tmp_path / name, columns) as url:
            made = await scenario.report(url, tmp_path)
        assert made.report.is_over == (now == LATER)
        assert made.report.totals.capacity_gpu_hours == pytest.approx(2 * hours)
        found = deviations(scenario, made.report)
        assert max(one.absolute for one in found if one.measure in EXACT) < 1e-3
        large = worst([one for one in found if one.is_large], "relative")
        assert large.relative < 1e-3, large
        small = worst([one for one in found if not one.is_large], "blur")
        assert small.blur < 1, small


async def test_tasks_that_start_and_end_while_scrapes_fail_get_what_was_booked_to_their_owners(tmp_path: Path) -> None:
    scenario = Scenario(Crowd(nodes=2, gpus_per_node=2), BAD_DAY, long_gaps(BAD_DAY))
    columns = await scenario.columns()
    for name, engine in ENGINES.items():
        async with engine(tmp_path / name, columns) as url:
            made = await scenario.report(url, tmp_path)
        found = deviations(scenario, made.report)
        large = worst([one for one in found if one.is_large], "relative")
        assert large.relative < 1e-3, large
        small = worst([one for one in found if not one.is_large], "blur")
        assert small.blur < 1, small


def added(usages: Sequence[Usage]) -> dict[str, float]:
    """The sums of what can be added."""
    return {
        "owned": sum(usage.owned_gpu_hours for usage in usages),
        "observed": sum(usage.observed_gpu_hours for usage in usages),
        "busy": sum(usage.busy_gpu_hours or 0 for usage in usages),
        "owned busy": sum(usage.owned_busy_gpu_hours or 0 for usage in usages),
        "idle": sum(usage.idle_gpu_hours or 0 for usage in usages),
        "energy": sum(usage.energy_kwh or 0 for usage in usages),
    }
