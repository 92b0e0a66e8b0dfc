"""Makes a report: asks both sources, and says what could not be had."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

from exporter.config import Config
from exporter.errors import HistoryError, ReportError, TasksError
from exporter.model import Answer, MalformedTask, Task
from exporter.report.accounting.accounts import GpuAccount, accounts, inventory_gap
from exporter.report.accounting.aggregate import Costs, Filter, build, narrowed
from exporter.report.accounting.comparison import Measures, compared, days_before, observed, owned
from exporter.report.accounting.rows import Report, Sources
from exporter.report.accounting.timeline import Timeline, timeline
from exporter.report.accounting.usage import Tariff
from exporter.report.cache import Entries, TaskCache
from exporter.report.history import fetch as history
from exporter.report.history import gpus as inventory
from exporter.report.history.client import PrometheusClient
from exporter.report.history.fetch import History
from exporter.report.history.sampler import together
from exporter.report.render.cells import coverage, is_low
from exporter.report.window import Window
from exporter.speech import Speech, speech
from exporter.tasks.client import ConsumptionClient
from exporter.tasks.ownership import Holdings

Progress = Callable[[str], None]
_Entry = TypeVar("_Entry", Task, MalformedTask)


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


@dataclass(frozen=True, slots=True, repr=False)  # asyncio.run spells out its task's result: seconds for 1,024 GPUs
class Made:
    """A report, and whether it is all that it should be."""

    report: Report
    timeline: Timeline
    is_complete: bool
    """False if a source was unavailable, or a node's coverage is under `report.min_coverage`."""


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
    """
    return await _Maker(config, wanted, now, progress, speech(config.report.language)).make()


@dataclass(slots=True)
class _Maker:
    """One report in the making."""

    config: Config
    wanted: Wanted
    now: float
    progress: Progress
    speech: Speech
    warnings: list[str] = field(default_factory=list)
    is_complete: bool = True
    _gpu_ids: dict[str, str] = field(default_factory=dict)
    _client: ConsumptionClient | None = None
    """One for all days, which warns of its token once."""

    async def make(self) -> Made:
        window, nodes = self.wanted.window, self.config.report.nodes
        self.progress("asking who had which GPU")
        entries = await self._tasks()
        tasks, _ = entries or ((), ())
        holdings = Holdings(Answer(*entries, as_of=0.0)) if entries is not None else None
        self.progress("reading the scrape history")
        found = await self._history(tasks, holdings) if self.wanted.with_history else None
        self.progress("accounting")
        known = accounts(window, found.gpus if found else (), holdings, tasks, self._gpu_ids)
        missing, surplus = inventory_gap(window, known, nodes, answered=entries is not None)
        self.warnings += [
            self.speech.gettext("the scrape history's server says: {said}").format(said=said)
            for said in (found.warnings if found else ())
        ]
        wanted = self.wanted.narrowed_to.nodes or surplus.keys()
        self.warnings += [
            self.speech.gettext("{hostname}: {seen} GPUs were seen, report.nodes lists {listed}").format(
                hostname=hostname, seen=seen, listed=nodes[hostname]
            )
            for hostname, seen in surplus.items()
            if hostname in wanted
        ]
        chosen = narrowed([*known, *missing], self.wanted.narrowed_to, nodes)
        report = self._built(chosen, found, entries)
        self.progress("comparing with the days before")
        before = await self._days_before(report, with_history=found is not None, with_tasks=entries is not None)
        report = report.model_copy(
            update={
                "warnings": self.warnings,
                "comparison": compared(report.totals, before),
                "only_users": sorted(self.wanted.narrowed_to.users),
                "only_nodes": sorted(self.wanted.narrowed_to.nodes),
            }
        )
        drawn = timeline(window, chosen, timed=entries is not None, users=self.wanted.narrowed_to.users)
        return Made(report, drawn, self.is_complete)

    def _built(self, chosen: Sequence[GpuAccount], found: History | None, entries: Entries | None) -> Report:
        settings = self.config.report
        sources = Sources(
            history="prometheus" if found else "none",
            tasks="api" if entries is not None else "labels" if found else "none",
        )
        costs = Costs(Tariff(settings.price_per_gpu_hour, settings.pue), settings.currency)
        report = build(
            self.wanted.window, chosen, sources=sources, costs=costs, min_coverage_ratio=settings.min_coverage
        )
        if found:
            for row in report.nodes:
                if is_low(row.usage.coverage_ratio, settings.min_coverage):
                    self._lacks(
                        self.speech.gettext(
                            "{hostname}: {coverage} of its GPU time was observed, expected {expected} or more"
                        ).format(
                            hostname=row.hostname,
                            coverage=coverage(row.usage.coverage_ratio, self.speech),
                            expected=coverage(settings.min_coverage, self.speech),
                        )
                    )
        return report

    async def _days_before(self, report: Report, *, with_history: bool, with_tasks: bool) -> list[Measures]:
        """What is known of the seven days before a single day that is over; whatever fails leaves a blank."""
        window, users = self.wanted.window, self.wanted.narrowed_to.users
        if window.first != window.last or not window.is_over:
            return []
        uuids = {row.gpu_uuid for row in report.gpus if row.gpu_uuid}
        days = days_before(window)
        measures: list[Measures] = [{} for _ in days]
        if with_history and not users:
            with suppress(HistoryError):
                async with PrometheusClient(self.config.prometheus) as client:
                    measures = await together(observed(client, day, uuids) for day in days)
        if with_tasks:
            with suppress(TasksError):
                for measured, day in zip(measures, days, strict=True):
                    entries = await self._day_of_tasks(day)
                    measured.update(owned(Holdings(Answer(*entries, as_of=0.0)), day, uuids, users))
        return measures

    def _lacks(self, what: str) -> None:
        self.warnings.append(what)
        self.is_complete = False

    async def _tasks(self) -> Entries | None:
        """The tasks of the window, or None if labels have to tell."""
        if not self.wanted.with_tasks:
            return None
        if self.config.tasks.url is None:
            self.warnings.append(self.speech.gettext("tasks.url is not set: owners come from the history's labels"))
            return None
        try:
            entries = await self._days_of_tasks()
        except TasksError as error:
            if not self.wanted.with_history:
                raise
            self._lacks(self.speech.gettext("{error}; owners come from the history's labels").format(error=error))
            return None
        if entries[1]:
            self.warnings.append(
                self.speech.ngettext(
                    "{count} entry of the consumption API cannot be accounted in full: "
                    "the GPUs it names are unknown where no other task holds them",
                    "{count} entries of the consumption API cannot be accounted in full: "
                    "the GPUs they name are unknown where no other task holds them",
                    len(entries[1]),
                ).format(count=len(entries[1]))
            )
        return entries

    async def _day_of_tasks(self, day: Window) -> Entries:
        """As they were kept, or else as the API says, which is kept if the day is over."""
        settings = self.config.tasks
        directory = self.config.report.cache
        cache = TaskCache(directory, settings.url or "", settings.timezone) if directory else None
        entries = cache.get(day) if cache and self.wanted.use_cache else None
        if entries is None:
            self._client = self._client or ConsumptionClient(settings)
            answer = await self._client.tasks(day.start, day.end)
            entries = answer.tasks, answer.malformed
            if cache:
                cache.keep(day, entries, self.now)
        return entries

    async def _days_of_tasks(self) -> Entries:
        """Day by day, as each that is over is kept; of a task that several days show, the last day's word counts.

        What an earlier day was kept with may be outdated: an entry that a later day does not show had ended before.
        """
        window = self.wanted.window
        tasks: dict[str, Task] = {}
        malformed: dict[str, MalformedTask] = {}
        for day in window.days():
            entries = await self._day_of_tasks(day)
            tasks = _ended(tasks, day.start) | {task.task_id: task for task in entries[0]}
            malformed = _ended(malformed, day.start) | {entry.task_id: entry for entry in entries[1]}
        overlapping = (task for task in tasks.values() if task.start < window.end and task.end > window.start)
        return tuple(overlapping), tuple(malformed.values())

    async def _history(self, tasks: Iterable[Task], holdings: Holdings | None) -> History | None:
        """The scrape history, or None if it cannot be had and tasks alone can be reported."""
        settings, window = self.config.prometheus, self.wanted.window
        try:
            async with PrometheusClient(settings) as client:
                found = await history.fetch(client, window, holdings)
                if not found.gpus:
                    raise ReportError(f"{settings.url}: {await inventory.absence(client, window, self.now)}")
                named = {gpu.uuid for task in tasks for gpu in task.gpus}
                unnamed = {gpu.uuid for gpu in found.gpus} - named
                self._gpu_ids = await inventory.gpu_ids(client, window, unnamed)
        except HistoryError as error:
            if holdings is None:
                raise ReportError("\n".join([*self.warnings, str(error)])) from error
            self._lacks(self.speech.gettext("{error}; only owned time can be told").format(error=error))
            return None
        self.is_complete = self.is_complete and not found.is_partial
        return found


def _ended(entries: Mapping[str, _Entry], by: float) -> dict[str, _Entry]:
    return {task_id: replace(entry, end=min(entry.end, by)) for task_id, entry in entries.items()}
