"""What both sources say of a window: the asking half of a report, and what could not be had."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from exporter.aliases import HostNames, Names
from exporter.config import Config
from exporter.errors import HistoryError, ReportError, TasksError
from exporter.ownership import Holdings
from exporter.report.accounting.aggregate import Filter
from exporter.report.accounting.usage import HOUR
from exporter.report.completeness import (
    Fault,
    HistoryMissing,
    HistoryRemark,
    SamplesImpossible,
    SamplesTwice,
    TasksMalformed,
    TasksMissing,
    TasksUnset,
    TasksUntold,
)
from exporter.report.history import gpus
from exporter.report.history.client import PrometheusClient
from exporter.report.history.fetch import History, fetch
from exporter.report.history.gpu_counters import Told
from exporter.report.history.responses import Unsound
from exporter.report.holders import Held, Holders, holders
from exporter.report.shown_holders import ShownHolders
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


@dataclass(frozen=True, slots=True)
class Read:
    """What the scrape history says."""

    history: History
    gpu_ids: Mapping[str, str]
    """The cluster-wide numbers of GPUs that no task of the window names."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What is known of a window, in the report's names of GPUs and hosts."""

    holders: Holders | None
    """Whom to ask about other days; None: who held what is not known."""
    held: Held | None
    read: Read | None
    names: Names


async def ask(config: Config, wanted: Wanted, now: float, progress: Progress, faults: list[Fault]) -> Answers:
    """Asks who held what, then the scrape history.

    Args:
        config: The settings.
        wanted: What is asked for.
        now: Unix seconds.
        progress: Told in words what is going on.
        faults: What is wrong is added.

    Raises:
        TasksError: Only tasks were asked for, and the API gave no answer.
        ReportError: Neither source gave an answer, or there is no history at all.
        ConfigError: A source's settings are not usable.
    """
    progress("asking who had which GPU")
    asked, held = await _asked(config, wanted, now, faults)
    progress("reading the scrape history")
    told = _told(asked, held) if asked and held else None
    read = await _read(config, wanted.window, told, now, faults) if wanted.with_history else None
    names = _names(config, wanted, held, read)
    if read:
        observed = (gpu.on_hosts_called(names.hosts.name) for gpu in read.history.gpus)
        read = replace(read, history=replace(read.history, gpus=tuple(observed)))
    return Answers(asked if held else None, held and held.called(names), read, names)


async def _asked(config: Config, wanted: Wanted, now: float, faults: list[Fault]) -> tuple[Holders | None, Held | None]:
    """Returns who knows who held what in the window, and what they say; nothing if labels have to tell."""
    asked = holders(config, now, use_cache=wanted.use_cache) if wanted.with_tasks else None
    error: TasksError | None = None
    if asked is not None:
        try:
            held = await asked.held(wanted.window)
        except TasksError as refusal:
            if not wanted.with_history:
                raise
            error = refusal
        else:
            if held.malformed:
                faults.append(TasksMalformed(held.malformed_count))
            return asked, held
    shown = await _shown(config, wanted, faults) if wanted.with_history else (None, None)
    if error is not None:
        faults.insert(0, TasksMissing(error, has_shown=shown[1] is not None))
    elif wanted.with_tasks and not config.tasks.has_source:
        faults.insert(0, TasksUnset(has_shown=shown[1] is not None))
    return shown


async def _shown(config: Config, wanted: Wanted, faults: list[Fault]) -> tuple[Holders | None, Held | None]:
    """Returns the same from the tasks that exporters showed, which the scrape history has; adds what it lacks."""
    asked = ShownHolders(config.prometheus)
    try:
        held = await asked.held(wanted.window)
    except HistoryError:
        return None, None  # if its server does not answer, the counters are asked for in vain, too, and that is said
    if held.untold_gpu_seconds:
        faults.append(TasksUntold(held.untold_gpu_seconds / HOUR))
    remarks = sorted(asked.remarks, key=lambda remark: remark.text)
    faults += [HistoryRemark(remark.text, lacks_data=remark.lacks_data) for remark in remarks]
    faults += map(_unsound, sorted(asked.unsound, key=lambda found: (found[0], found[1].value)))
    return asked, held


def _told(asked: Holders, held: Held) -> Told:
    async def between(start: float, end: float) -> Holdings:
        return (await asked.between(start, end)).holdings

    return Told(held.tasks, held.holdings, between)


async def _read(config: Config, window: Window, told: Told | None, now: float, faults: list[Fault]) -> Read | None:
    """Returns the scrape history, or None if it cannot be had and tasks alone can be reported; adds to the faults."""
    try:
        async with PrometheusClient(config.prometheus) as client:
            history = await fetch(client, window, told)
            if not history.gpus:
                raise ReportError(f"{config.prometheus.url}: {await gpus.absence(client, window, now)}")
            named = {history.names.key(gpu.uuid) for task in (told.tasks if told else ()) for gpu in task.gpus}
            unnamed = {gpu.uuid for gpu in history.gpus} - named
            gpu_ids = await gpus.gpu_ids(client, window, history.names, unnamed)
    except HistoryError as error:
        if told is None:
            words = speech(config.report.language)
            said = [warning(fault, words) for fault in faults]
            raise ReportError("\n".join([*said, str(error)])) from error
        faults.append(HistoryMissing(error))
        return None
    found = [HistoryRemark(remark.text, lacks_data=remark.lacks_data) for remark in history.remarks]
    faults += [fault for fault in (*found, *map(_unsound, history.unsound)) if fault not in faults]
    return Read(history, gpu_ids)


def _unsound(found: tuple[str, Unsound]) -> Fault:
    query, kind = found
    return SamplesTwice(query) if kind is Unsound.TWICE else SamplesImpossible(query)


def _names(config: Config, wanted: Wanted, held: Held | None, read: Read | None) -> Names:
    """Returns what the report calls GPUs and hosts: what exporters call them, as far as they tell of them."""
    of_tasks = (task.hostname for task in held.tasks) if held else ()
    mentioned = (*config.report.nodes, *of_tasks, *wanted.narrowed_to.nodes)
    if read is None:
        return Names(hosts=HostNames(mentioned=mentioned))
    history = read.history
    since: dict[str, float] = {}
    for place in (place for gpu in history.gpus for place in gpu.places):
        since[place.hostname] = min(place.since, since.get(place.hostname, place.since))
    return Names(history.names, HostNames(history.hosts, since, mentioned))
