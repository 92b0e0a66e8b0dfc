"""Reports from the scrape history alone, on real engines: beside those from the API, and beside closed forms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from exporter import config
from exporter.demo.remote_write import STALE, Column
from exporter.demo.schedule import Faults
from exporter.errors import HistoryTasksError
from exporter.model import Task
from exporter.report.answers import Wanted
from exporter.report.holders import Held
from exporter.report.make import Made, make
from exporter.report.shown_holders import ShownHolders
from exporter.report.window import window
from tests.support.accuracy import deviations, figures_of, true_figures
from tests.support.closed_form import DAY, HOUR, UUID, Scraped, clock, counters, every
from tests.support.engines import ENGINES
from tests.support.scenario import SHOWING_TASKS, Crowd, Scenario

pytestmark = pytest.mark.asyncio(loop_scope="module")

LATER = 2e9
"""Unix seconds, after all days reported."""
BAD_DAY = window("2025-07-22", None, "Asia/Taipei", LATER)


def at(hours: float, lasting: float) -> tuple[float, float]:
    begin = BAD_DAY.start + hours * HOUR
    return begin, begin + lasting * HOUR


BRIEF = Faults(
    stopped=(("colab-gpu1", at(6, 0.01)), ("colab-gpu1", at(13.5, 0.9))),
    unscraped=(("colab-gpu2", at(2, 0.9)), ("colab-gpu1", at(22, 0.5))),
    blind=(at(15.5, 0.2),),
    unreadable=(("colab-gpu2", 1, at(4, 3.5)), ("colab-gpu1", 0, at(10, 0.1))),
    api_down=(at(17, 0.9),),
    api_late=((at(18, 2), 90.0),),
)
"""Nothing fails for an hour."""
LONG = Faults(stopped=(("colab-gpu2", at(9, 3.3)),))


def scenario(faults: Faults) -> Scenario:
    return Scenario(Crowd(nodes=2, gpus_per_node=2), BAD_DAY, faults, metrics=SHOWING_TASKS)


@dataclass(frozen=True)
class Reports:
    """One day from both sources of tasks."""

    by_api: Made
    by_history: Made


async def reports(of: Scenario, url: str, directory: Path) -> Reports:
    return Reports(await of.report(url, directory), await of.report(url, directory, with_tasks=False))


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_day_whose_faults_are_shorter_than_an_hour_is_the_same_as_from_the_api(
    engine: str, tmp_path: Path
) -> None:
    day = scenario(BRIEF)
    async with ENGINES[engine](tmp_path / "engine", await day.columns()) as url:
        found = await reports(day, url, tmp_path)
    api, history = found.by_api.report, found.by_history.report

    assert (api.sources.tasks, history.sources.tasks) == ("api", "history")
    assert [one.absolute for one in deviations(day, history) if one.measure == "owned" and one.absolute > 1e-3] == []
    assert history.totals == api.totals
    assert history.nodes == api.nodes
    for ours, theirs in ((history.users, api.users), (history.task_types, api.task_types)):
        assert ours == theirs
    assert history.projects == api.projects
    assert {row.task_id: row for row in history.tasks} == {row.task_id: row for row in api.tasks}
    assert found.by_history.is_complete == found.by_api.is_complete
    assert history.warnings == api.warnings


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_an_exporter_was_away_for_longer_than_an_hour_is_unknown_and_bounded(
    engine: str, tmp_path: Path
) -> None:
    day = scenario(LONG)
    async with ENGINES[engine](tmp_path / "engine", await day.columns()) as url:
        found = await reports(day, url, tmp_path)
    history, truth = found.by_history.report, true_figures(day)
    told = figures_of(history)
    missing = sum(truth["gpu", uuid]["owned"] - told["gpu", uuid]["owned"] for kind, uuid in truth if kind == "gpu")
    (said,) = [words for words in history.warnings if "does not tell who held" in words]
    hours = float(said.split(" for ")[1].split()[0])

    assert 0 < missing / HOUR <= hours
    assert hours == pytest.approx(2 * (3.3 - 1), abs=0.05)
    assert history.totals.unknown_gpu_hours <= hours
    assert told["node", "colab-gpu1"]["owned"] == pytest.approx(truth["node", "colab-gpu1"]["owned"], abs=1e-3)
    assert not set(told) - set(truth)


TARGET = {"instance": "n1", "job": "mi300x"}
INFO = {"username": "anna", "task_type": "LAB", "project_uuid": "p-1", "image": "torch:2", "gpu_id": "7"}


class Exporter:
    """The task series of one GPU that is half busy all day, as an exporter shows them at each scrape."""

    def __init__(self, seconds: float = 60.0, start: float = -1.5, end: float = 25.5) -> None:
        self.scrapes = every(seconds, start, end)

    def unscraped(self, start: float, end: float) -> Exporter:
        """Leaves out what was scraped between two hours of the day."""
        self.scrapes = self.scrapes[(self.scrapes < clock(start)) | (self.scrapes >= clock(end))]
        return self

    def columns(
        self, *tasks: tuple[str, str, float, float], refresh: float = 30.0, shows_ends: bool = True
    ) -> list[Column]:
        """Returns all series.

        Args:
            tasks: Ids, users, and the hours of the day at which each starts and ends.
            refresh: Seconds between refreshes.
            shows_ends: False: an exporter of the older kind.
        """
        answers = np.floor(self.scrapes / refresh) * refresh
        found = Scraped(self.scrapes, counters(self.scrapes - clock(-30), self.scrapes)).columns(**TARGET)
        times_ms = np.rint(self.scrapes * 1000).astype(np.int64)
        found.append(
            Column({"__name__": "amdgpu_exporter_tasks_last_success_timestamp_seconds", **TARGET}, times_ms, answers)
        )
        for name, user, start, end in tasks:
            begun, ended = np.ceil(clock(start)), np.ceil(clock(end))
            running = (answers >= begun) & (answers < ended)
            after = (answers >= ended) & (self.scrapes < ended + HOUR) & shows_ends
            for other, _, again, _ in tasks:
                if other == name and again > start:
                    after &= answers < np.ceil(clock(again))
            labels = {"task_id": name}
            found.append(self._shown("amdgpu_task_info", running | after, 1.0, labels | INFO | {"username": user}))
            found.append(self._shown("amdgpu_task_start_timestamp_seconds", running | after, begun, labels))
            found.append(self._shown("amdgpu_task_end_timestamp_seconds", after, ended, labels))
        return _joined(found)

    def _shown(self, name: str, is_shown: np.ndarray, value: float, labels: dict[str, str]) -> Column:
        """A series while it is shown, marked stale where it is not any more."""
        values = np.where(is_shown, value, STALE)
        kept = is_shown | np.concatenate([[False], is_shown[:-1]])
        times = np.rint(self.scrapes * 1000).astype(np.int64)
        device = {"hostname": "node1", "gpu": "0", "gpu_uuid": UUID}
        return Column({"__name__": name, **device, **TARGET, **labels}, times[kept], values[kept])


def _joined(columns: Sequence[Column]) -> list[Column]:
    """Returns one column for each label set: an id that is used again goes on in the series it had."""
    by_labels: dict[frozenset[tuple[str, str]], list[Column]] = {}
    for column in columns:
        if len(column.times_ms):
            by_labels.setdefault(frozenset(column.labels.items()), []).append(column)
    joined = []
    for parts in by_labels.values():
        samples: dict[int, float] = {}
        for part in parts:
            for time, value in zip(part.times_ms.tolist(), part.values.tolist(), strict=True):
                if time not in samples or not np.isnan(value):
                    samples[time] = value
        times = np.array(sorted(samples), dtype=np.int64)
        joined.append(Column(parts[0].labels, times, np.array([samples[time] for time in times.tolist()])))
    return joined


@dataclass(frozen=True)
class Case:
    columns: list[Column]
    tasks: list[tuple[str, float, float]]
    """Users, and hours of the day, of those that must be told."""
    untold_hours: float = 0.0


PLAIN = [("t1", "anna", 6.0, 12.0), ("t2", "bert", 13.0, 13.0 + 1 / 60), ("t3", "anna", 20.0, 30.0)]
CASES = {
    "each minute": Case(Exporter().columns(*PLAIN), [("anna", 6, 12), ("bert", 13, 13 + 1 / 60), ("anna", 20, 30)]),
    "each half hour": Case(
        Exporter(1799.0).columns(*PLAIN), [("anna", 6, 12), ("bert", 13, 13 + 1 / 60), ("anna", 20, 30)]
    ),
    "an id of several runs": Case(
        Exporter().columns(("t", "anna", 2, 4), ("t", "anna", 4.2, 5), ("t", "bert", 11, 12)),
        [("anna", 2, 4), ("anna", 4.2, 5), ("bert", 11, 12)],
    ),
    "59 minutes without a scrape, two tasks in them": Case(
        Exporter()
        .unscraped(5, 5 + 59 / 60)
        .columns(("a", "anna", 3, 5.1), ("b", "bert", 5.2, 5.4), ("c", "carl", 8, 9)),
        [("anna", 3, 5.1), ("bert", 5.2, 5.4), ("carl", 8, 9)],
    ),
    "three hours without a scrape, one task through them": Case(
        Exporter().unscraped(5, 8).columns(("a", "anna", 3, 10), ("b", "bert", 5.2, 5.4), ("c", "carl", 7.5, 9)),
        [("anna", 3, 10), ("carl", 7.5, 9)],
        2.0,
    ),
    "three hours without a scrape, over an end": Case(
        Exporter().unscraped(5, 8).columns(("a", "anna", 3, 6.5)), [("anna", 3, 5)], 2.0
    ),
    "no scrape before six or after eighteen": Case(
        Exporter(start=6, end=18).columns(("a", "anna", 3, 7), ("b", "bert", 17, 20)),
        [("anna", 3, 7), ("bert", 17, 18)],
        5.0 + 6.0,
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=sorted(ENGINES))
async def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    older = Exporter().columns(*PLAIN, shows_ends=False)
    cases = {name: case.columns for name, case in CASES.items()} | {"older": older}
    columns = [
        Column({**column.labels, "cluster": name}, column.times_ms, column.values)
        for name, some in cases.items()
        for column in some
    ]
    async with AsyncExitStack() as stack:
        directory = tmp_path_factory.mktemp("engine")
        yield await stack.enter_async_context(ENGINES[request.param](directory, columns))


def server(url: str, name: str) -> config.Prometheus:
    return config.Prometheus(url=url, matchers=f'cluster="{name}"')


async def held(url: str, name: str) -> Held:
    return await ShownHolders(server(url, name)).held(DAY)


@pytest.mark.parametrize("name", CASES)
async def test_starts_and_ends_are_told_to_the_second_and_what_cannot_be_is_bounded(engine: str, name: str) -> None:
    case, found = CASES[name], await held(engine, name)
    expected = [(user, np.ceil(clock(start)), np.ceil(clock(end))) for user, start, end in case.tasks]

    def within_a_scrape(task: Task, end: float) -> bool:
        return abs(min(task.end, clock(30)) - end) < 120.0

    assert [(task.username, task.start) for task in found.tasks] == [one[:2] for one in expected]
    for task, (_, _, end) in zip(found.tasks, expected, strict=True):
        if end <= DAY.end and not case.untold_hours:
            assert task.end == end
        else:
            assert task.end > DAY.end or within_a_scrape(task, end)
    assert found.untold_gpu_seconds / HOUR == pytest.approx(case.untold_hours, abs=0.05)
    for first, last in pairwise(found.malformed):
        assert first.end < last.start


async def test_a_task_from_the_history_has_all_that_the_api_tells(engine: str) -> None:
    task = (await held(engine, "each minute")).tasks[0]
    assert (task.task_id, task.task_type, task.project_uuid, task.image) == ("t1", "LAB", "p-1", "torch:2")
    assert [(gpu.uuid, gpu.gpu_id) for gpu in task.gpus] == [(UUID, "7")]
    assert task.hostname == "node1"


async def test_a_history_of_exporters_that_show_no_ends_is_left_to_labels(engine: str) -> None:
    with pytest.raises(HistoryTasksError, match="older"):
        await held(engine, "older")
    with pytest.raises(HistoryTasksError, match="no tasks"):
        await held(engine, "not there")


async def test_without_an_api_a_report_is_from_the_tasks_in_the_history(engine: str) -> None:
    settings = config.Config(prometheus=server(engine, "each minute"))
    made = await make(settings, Wanted(DAY), DAY.end + 86400, lambda _: None)
    report = made.report

    assert report.sources.tasks == "history"
    assert report.warnings == ["tasks.url is not set: owners come from the tasks in the scrape history"]
    assert [row.username for row in report.users] == ["anna", "bert"]
    assert [row.usage.owned_gpu_hours for row in report.users] == pytest.approx([10, 1 / 60])
    assert [(row.task_id, row.running) for row in report.tasks] == [("t1", False), ("t2", False), ("t3", True)]
    assert report.projects[0].project_uuid == "p-1"
    assert report.totals.unknown_gpu_hours == 0
