"""Days of one GPU, half busy at 400 W, whose right figures follow by hand however badly they were scraped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from exporter.errors import ImpossibleError
from exporter.model import Task
from exporter.report.observed import BUSY, ENERGY, OBSERVED
from tests.support.closed_form import HOUR, RATES, Scraped, clock, counters, every, held, reported
from tests.support.engines import ENGINES

pytestmark = pytest.mark.asyncio(loop_scope="module")

BORN = clock(-30)
RESTART = clock(12) + 3
LIFE, PAUSE, LIVES = 25.0, 2.0, 20
"""Seconds that an exporter lives in a crash loop and takes to start anew, and how often."""
ANNA, BERT = ("anna", 6, 12), ("bert", 13, 13 + 1 / 60)


def scraped(seconds: float = 15.0, phase: float = 0.0, ahead: float = 0.0, *, restarts: bool = False) -> Scraped:
    """What a scraper whose clock is ahead saw of an exporter that runs since long before the day."""
    truly = every(seconds, phase=phase)
    observed = np.where((truly >= RESTART) & restarts, truly - RESTART, truly - BORN)
    return Scraped(truly + ahead, counters(observed, truly))


def crash_loop() -> tuple[Scraped, float]:
    """What scrapes each 30 s saw, and the seconds of the day that they can tell: up to the last one of each life."""
    loop = [(clock(10) + 5 + n * (LIFE + PAUSE), clock(10) + 5 + n * (LIFE + PAUSE) + LIFE) for n in range(LIVES)]
    lives = [(BORN, clock(10)), *loop, (loop[-1][1] + PAUSE, clock(48))]
    truly = every(30.0)
    alive = [[(at, at - born) for at in truly if born <= at < died] for born, died in lives]
    times, observed = np.array([sample for life in alive for sample in life]).T
    told = [
        min(life[-1][0], clock(24)) - max(born, clock(0)) for life, (born, _) in zip(alive, lives, strict=True) if life
    ]
    return Scraped(times, counters(observed, times)), sum(told)


def lacking(column: int, is_lacking: Callable[[np.ndarray], np.ndarray]) -> Scraped:
    """What was scraped, without the samples of one counter at some of the instants."""
    whole = scraped()
    whole.counters[is_lacking(whole.times), column] = np.nan
    return whole


def a_tenth(times: np.ndarray) -> np.ndarray:
    return np.random.default_rng(1).random(len(times)) < 0.1


def six_hours(times: np.ndarray) -> np.ndarray:
    return (times > clock(3)) & (times < clock(9))


WHOLE = {
    "one scraper": scraped(),
    "two scrapers, clocks 1 s apart": Scraped.merged(scraped(), scraped(phase=14.25, ahead=1.0)),
    "two scrapers, clocks 20 s apart": Scraped.merged(scraped(), scraped(phase=7.5, ahead=20.0)),
    "two scrapers, clocks 20 s apart, one right after the other": Scraped.merged(
        scraped(), scraped(phase=9.9, ahead=20.0)
    ),
    "a tenth of the energy samples missing": lacking(ENERGY, a_tenth),
    "a tenth of the busy samples missing": lacking(BUSY, a_tenth),
    "a tenth of the observed samples missing": lacking(OBSERVED, a_tenth),
    "energy missing for six hours": lacking(ENERGY, six_hours),
    "busy missing for six hours": lacking(BUSY, six_hours),
}
"""Of all these the day is 24 h observed, 12 h busy, 9.6 kWh."""
IMPOSSIBLE = scraped()
IMPOSSIBLE.counters[:, BUSY] *= 2.5
OTHERS = {
    "crash loop": crash_loop()[0],
    "restart under two clocks": Scraped.merged(scraped(restarts=True), scraped(phase=7.5, ahead=20.0, restarts=True)),
    "impossible": IMPOSSIBLE,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=sorted(ENGINES))
async def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    columns = [one for name, case in (WHOLE | OTHERS).items() for one in case.columns(cluster=name)]
    async with ENGINES[request.param](tmp_path_factory.mktemp("engine"), columns) as url:
        yield url


def only(name: str) -> str:
    return f'cluster="{name}"'


TASKS: Sequence[Task] = held(ANNA, BERT)


@pytest.mark.parametrize("name", WHOLE)
async def test_a_day_that_was_scraped_whole_is_24_hours_however_its_samples_came(
    engine: str, tmp_path: Path, name: str
) -> None:
    report = (await reported(engine, tmp_path, TASKS, matchers=only(name))).report
    totals = report.totals
    assert totals.observed_gpu_hours == pytest.approx(24, rel=1e-6)
    assert totals.busy_gpu_hours == pytest.approx(12, rel=1e-6)
    assert totals.energy_kwh == pytest.approx(9.6, rel=1e-6)
    for row, (_, start, end) in zip(report.users, (ANNA, BERT), strict=True):
        assert row.usage.busy_gpu_hours == pytest.approx((end - start) / 2, rel=1e-6)
        assert row.usage.energy_kwh == pytest.approx((end - start) * 0.4, rel=1e-6)
    assert not report.warnings


async def test_lives_shorter_than_the_scrape_interval_count_up_to_their_last_scrape(
    engine: str, tmp_path: Path
) -> None:
    totals = (await reported(engine, tmp_path, TASKS, matchers=only("crash loop"))).report.totals
    _, told = crash_loop()
    assert totals.observed_gpu_hours == pytest.approx(told / HOUR, abs=1e-3 / HOUR)
    assert totals.busy_gpu_hours == pytest.approx(told / HOUR * RATES.busy_seconds, abs=1e-3 / HOUR)
    assert totals.energy_kwh == pytest.approx(9.6, rel=1e-6)


async def test_a_restart_under_two_clocks_costs_no_more_than_they_differ_by(engine: str, tmp_path: Path) -> None:
    totals = (await reported(engine, tmp_path, TASKS, matchers=only("restart under two clocks"))).report.totals
    assert 24 - 20 / HOUR <= totals.observed_gpu_hours <= 24
    assert totals.busy_gpu_hours == pytest.approx(totals.observed_gpu_hours / 2, rel=1e-6)


async def test_more_busy_time_than_time_is_not_reported(engine: str, tmp_path: Path) -> None:
    with pytest.raises(ImpossibleError, match="busy_seconds"):
        await reported(engine, tmp_path, TASKS, matchers=only("impossible"))
