"""A simulated cluster on days with every fault, and what the report says of them."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from exporter import config
from exporter.demo.api import StandInApi
from exporter.demo.cluster import Cluster
from exporter.demo.history import REFRESH_SECONDS, history
from exporter.demo.remote_write import Column
from exporter.demo.schedule import Faults, Schedule, Stretch
from exporter.model import Task
from exporter.report.answers import Wanted
from exporter.report.history.queries import DEVICES, OWNERS
from exporter.report.make import Made, make
from exporter.report.window import Window

HOUR = 3600.0
HOSTILE = {"itrd": '=cmd()|"/c calc"!A1', "easycard": "<script>alert(1)</script>", "陳怡君": "陳" * 200}
"""Names that break what is not careful, and whose they are."""
ASKED_FOR = (
    *(name for name in (*DEVICES.metrics, *OWNERS.metrics) if name),
    "amdgpu_info",
    "amdgpu_up",
    "amdgpu_vram_used_bytes",
    "amdgpu_vram_total_bytes",
    "amdgpu_exporter_unbooked_seconds",
)
"""What reports are made of, and what they are checked by; without the other metrics a day is made in half the time."""


SHOWING_TASKS = (
    *ASKED_FOR,
    "amdgpu_task_info",
    "amdgpu_task_start_timestamp_seconds",
    "amdgpu_task_end_timestamp_seconds",
    "amdgpu_exporter_tasks_last_success_timestamp_seconds",
)
"""What is asked for where nobody but exporters tells of tasks."""


class Crowd(Cluster):
    """The cluster with users of hostile names among the others."""

    def __reduce__(self) -> tuple[type[Cluster], tuple[int, int, int, float]]:
        return Crowd, super().__reduce__()[1]

    def tasks(self, start: float, end: float) -> tuple[Task, ...]:
        return tuple(
            replace(task, username=HOSTILE.get(task.username, task.username)) for task in super().tasks(start, end)
        )


def every_fault(window: Window) -> Faults:
    """A bad day of four nodes; instants count from its midnight, which they also pass."""

    def clock(hours: float, seconds: float, lasting: float) -> Stretch:
        begin = window.start + hours * HOUR + seconds
        return begin, begin + lasting

    return Faults(
        stopped=(
            ("colab-gpu1", clock(6, 7, 33)),
            ("colab-gpu1", clock(13.5, 0, 20)),
            ("colab-gpu2", clock(9, 3, 3.3 * HOUR)),
            ("colab-gpu3", clock(20, 44, 5)),
            ("colab-gpu4", (window.end - 1100, window.end + 1300)),
        ),
        unscraped=(("colab-gpu3", clock(2, 0, 300)), ("colab-gpu1", clock(22, 600, 120))),
        blind=(clock(15, 1800, 480),),
        unreadable=(("colab-gpu4", 1, clock(4, 0, 3.5 * HOUR)), ("colab-gpu1", 0, clock(10, 0, 30))),
        api_down=(clock(17, 0, 1500),),
        api_late=((clock(18, 0, 2 * HOUR), 90.0),),
    )


def long_gaps(window: Window) -> Faults:
    """A day on which tasks of two nodes start and end while scrapes fail for hours, and exporters restart there."""

    def clock(hours: float, lasting: float) -> Stretch:
        begin = window.start + hours * HOUR
        return begin, begin + lasting * HOUR

    return Faults(
        unscraped=(
            ("colab-gpu1", clock(5.4, 1.6)),
            ("colab-gpu1", clock(15.7, 1.2)),
            ("colab-gpu2", clock(1.3, 1.5)),
            ("colab-gpu2", clock(9.8, 1.7)),
        ),
        stopped=(("colab-gpu1", clock(16.0, 0.1)), ("colab-gpu2", clock(10.0, 0.3))),
        blind=(clock(20.0, 0.75),),
        api_down=(clock(6.7, 0.15),),
    )


def random_faults(window: Window, nodes: Sequence[str], gpus_per_node: int, seed: int) -> Faults:
    """A day on which anything may happen; the same seed gives the same."""
    chance = random.Random(seed)

    def stretch(shortest: float, longest: float) -> Stretch:
        """Of any length between these seconds, the short ones as likely as the long."""
        lasting = math.exp(chance.uniform(math.log(shortest), math.log(longest)))
        begin = round(chance.uniform(window.start - lasting / 2, window.end - lasting / 2))
        return begin, begin + round(lasting)

    def times(most: int) -> range:
        return range(chance.randint(0, most))

    return Faults(
        stopped=tuple((chance.choice(nodes), stretch(5, 2 * HOUR)) for _ in times(3)),
        unscraped=tuple((chance.choice(nodes), stretch(60, 3 * HOUR)) for _ in times(4)),
        blind=tuple(stretch(60, 2 * HOUR) for _ in times(1)),
        unreadable=tuple(
            (chance.choice(nodes), chance.randrange(gpus_per_node), stretch(30, 3 * HOUR)) for _ in times(2)
        ),
        api_down=tuple(stretch(60, HOUR) for _ in times(2)),
        api_lag=chance.choice((3.0, 30.0, 90.0)),
        api_late=tuple((stretch(HOUR, 4 * HOUR), chance.uniform(60, 600)) for _ in times(2)),
    )


@dataclass(frozen=True, slots=True)
class Scenario:
    """A window, and what two servers saw of it; one of them scrapes the second node, too."""

    cluster: Cluster
    window: Window
    faults: Faults
    scrape_seconds: int = 15
    lead: float = HOUR
    """Of history before the window, and after it where that is over."""
    metrics: tuple[str, ...] = ASKED_FOR
    """That the history has."""

    @property
    def end(self) -> int:
        """Of the history."""
        return int(self.window.end + (self.lead if self.window.is_over else 0))

    @property
    def tasks(self) -> tuple[Task, ...]:
        """All that overlap the window."""
        return self.cluster.tasks(self.window.start, self.window.end)

    def schedules(self) -> Iterator[Schedule]:
        """Of each node, and of the one that is scraped twice."""
        start = int(self.window.start - self.lead)
        for hostname in self.cluster.nodes:
            yield Schedule(hostname, start, self.end, self.scrape_seconds, self.faults)
        blind_elsewhen = replace(self.faults, blind=[(begin + HOUR, end + HOUR) for begin, end in self.faults.blind])
        twice = list(self.cluster.nodes)[1:2]
        for hostname in twice:
            yield Schedule(hostname, start, self.end, self.scrape_seconds, blind_elsewhen, "b")

    def unknown(self) -> list[Stretch]:
        """When the exporters can not have known the owners: the API was gone for longer than its word counts."""
        limits = config.Tasks()
        patience = limits.settle + limits.expire_after
        outages = [
            (_refresh_before(begin) - limits.settle, _refresh_before(end) + REFRESH_SECONDS - patience)
            for begin, end in self.faults.api_down
        ]
        return sorted((begin, end) for begin, end in outages if begin < end)

    async def columns(self) -> list[Column]:
        """The scrape history, lived through in a process for each core."""
        loop = asyncio.get_running_loop()
        with ProcessPoolExecutor() as pool:
            lived = [
                loop.run_in_executor(pool, partial(_live, self.cluster, schedule, self.metrics))
                for schedule in self.schedules()
            ]
            return list(chain.from_iterable(await asyncio.gather(*lived)))

    async def report(self, url: str, directory: Path, *, with_tasks: bool = True) -> Made:
        """What the report says of it, from the history in an engine.

        Args:
            url: The engine's.
            directory: For the token.
            with_tasks: False: `--skip-task-info`.
        """
        now = self.window.end + (86400 if self.window.is_over else 0)
        known = self.cluster.tasks(self.window.start - self.lead, self.end)
        async with StandInApi(known, clock=lambda: now) as api:
            token = directory / "token"
            token.touch(mode=0o600)
            token.write_text(api.token, encoding="utf-8")
            settings = {"tasks": {"url": api.url, "token_file": str(token)}, "prometheus": {"url": url}}
            wanted = Wanted(self.window, with_tasks=with_tasks)
            return await make(config.parse(settings, where="scenario"), wanted, now, lambda _: None)


def _refresh_before(instant: float) -> float:
    """The last one that began before an instant."""
    return (math.ceil(instant / REFRESH_SECONDS) - 1) * REFRESH_SECONDS


def _live(cluster: Cluster, schedule: Schedule, metrics: Sequence[str]) -> list[Column]:
    return history(
        cluster,
        schedule.hostname,
        schedule.start,
        schedule.end,
        scrape_seconds=schedule.scrape_seconds,
        faults=schedule.faults,
        replica=schedule.replica,
        only=metrics,
    )
