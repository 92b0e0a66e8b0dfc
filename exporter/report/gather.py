"""The accounts of a week's or month's days: as they are stored, or made where they are not, or lack a source."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from exporter.config import Config
from exporter.errors import HistoryError, ReportError, StoredDayError, TasksError
from exporter.report import days
from exporter.report.accounting.day_account import DayAccount, day_account
from exporter.report.window import Window
from exporter.report.write import write
from exporter.tasks.source import knows_past

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, repr=False)  # asyncio.run spells out its task's result
class Gathered:
    """What could be had of some days."""

    accounts: list[DayAccount] = field(default_factory=list)
    """In the order of the days."""
    failures: dict[date, str] = field(default_factory=dict)
    """Why a day could not be had."""


def if_all_stored(directory: Path, wanted: Sequence[Window]) -> list[DayAccount]:
    """Returns the accounts of these days if all are stored, or else none."""
    try:
        return [days.stored(directory, day.first, day.zone) for day in wanted]
    except (FileNotFoundError, StoredDayError):
        return []


async def gather(
    config: Config, wanted: Sequence[Window], now: float, *, use_stored: bool, progress: Callable[[str], None]
) -> Gathered:
    """Returns the accounts of days that are over; those that were made are stored in `report.directory`.

    A stored day that lacks a source is made again. One is only ever replaced by one that does not lack more.

    Args:
        config: The settings.
        wanted: The days.
        now: Unix seconds.
        use_stored: Whether stored days, and kept answers of the API, count; if not, all are made again.
        progress: Told in words what is going on.

    Raises:
        ConfigError: A source's settings are not usable.
    """
    is_writable = True
    gathered, maker = Gathered(), _Maker(config, now, progress, use_cache=use_stored)
    for day in wanted:
        account = _stored(config.report.directory, day)
        if account is None or not use_stored or _rank(account, config) < _WHOLE:
            try:
                made = await maker.made(day)
            except (ReportError, TasksError) as error:
                if account is None:
                    gathered.failures[day.first] = str(error)
            else:
                if account is None or _rank(made, config) >= _rank(account, config):
                    is_writable = is_writable and _store(config.report.directory, day, made)
                    account = made
        if account is not None:
            gathered.accounts.append(account)
    return gathered


def _store(directory: Path, day: Window, account: DayAccount) -> bool:
    """Stores a day, and returns whether it could: who may not write there can still read the report."""
    try:
        write(directory, {f"{day.name}/{days.FILE}": days.dumped(account)})
    except ReportError as error:
        _log.warning("%s; the days that are made now are not stored", error)
        return False
    return True


_Rank = tuple[bool, bool, bool]
_WHOLE: _Rank = (True, True, True)


def _rank(account: DayAccount, config: Config) -> _Rank:
    """Returns how much a day rests on: more is greater."""
    sources = account.sources
    return sources.history == "prometheus", sources.tasks == "api" or not knows_past(config.tasks), account.is_whole


def _stored(directory: Path, day: Window) -> DayAccount | None:
    """Returns a day as it is stored; None, with a word in the log, if the file is not usable."""
    try:
        return days.stored(directory, day.first, day.zone)
    except FileNotFoundError:
        return None
    except StoredDayError as error:
        _log.warning("%s; the day is made again", error)
        return None


class _Maker:
    """Makes days. A source that did not answer for one is not asked about those after it: it may take a minute each."""

    def __init__(self, config: Config, now: float, progress: Callable[[str], None], *, use_cache: bool) -> None:
        self._config = config
        self._now = now
        self._progress = progress
        self._use_cache = use_cache
        self._with_tasks = self._with_history = True
        self._refusal: ReportError | TasksError = ReportError("no source answers")

    async def made(self, day: Window) -> DayAccount:
        """Returns the account of a day.

        Raises:
            ConfigError: A source's settings are not usable.
            ReportError: It cannot be made.
            TasksError: Only the tasks can still be asked for, and there is no answer.
        """
        from exporter.report.answers import Wanted
        from exporter.report.make import make

        if not self._with_tasks and not self._with_history:
            raise self._refusal
        wanted = Wanted(
            day,
            with_tasks=self._with_tasks,
            with_history=self._with_history,
            use_cache=self._use_cache,
            is_compared=False,
        )
        try:
            made = await make(self._config, wanted, self._now, lambda words: self._progress(f"{day.name}: {words}"))
        except (ReportError, TasksError) as error:
            if isinstance(error, TasksError) or isinstance(error.__cause__, HistoryError):
                self._with_tasks = self._with_history = False
                self._refusal = error
            raise
        is_whole = made.has_sources and self._with_tasks and self._with_history
        sources = made.report.sources
        self._with_history = self._with_history and sources.history != "none"
        self._with_tasks = self._with_tasks and (sources.tasks == "api" or not knows_past(self._config.tasks))
        return day_account(day, made.accounts, sources, is_whole=is_whole)
