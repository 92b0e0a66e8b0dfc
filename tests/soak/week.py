"""A week of one node on a virtual clock: the accounting neither drifts nor comes to hold more. `make soak` runs it."""

from __future__ import annotations

import gc
import sys

import pytest
from click import echo
from prometheus_client import CollectorRegistry

from exporter import config
from exporter.demo.cluster import Cluster
from exporter.demo.schedule import READ_SECONDS
from exporter.devices.simulated.workload import EPOCH
from exporter.exposition import Exposition, Instruments
from exporter.model import Amounts, Answer, GpuState
from exporter.node import Node
from exporter.speech import speech
from exporter.web.page import Page, Surroundings
from tests.soak.figures import Curve
from tests.support.loopless import at_once

HOSTNAME = "colab-gpu1"
DAY = 86400
DAYS = 8
"""The first two are the warm-up."""
START = int(EPOCH) + 400 * DAY
REFRESH_SECONDS = 2 * READ_SECONDS
SCRAPE_SECONDS = 40 * READ_SECONDS
BLOCKS_SLACK = 2000
"""Of 350,000, in the last four days, in which a GPU meets an owner that it had not had before."""


class Life:
    """The parts of a service, with no clock but this one."""

    def __init__(self) -> None:
        self.now = START
        self.cluster = Cluster(nodes=1)
        self.hardware = self.cluster.nodes[HOSTNAME]
        self.node = Node(
            HOSTNAME,
            config.Devices.model_validate({"interval": f"{READ_SECONDS}s"}),
            config.Metering(),
            config.Tasks(url="http://127.0.0.1"),
            monotonic=lambda: float(self.now - START),
            wall=lambda: float(self.now),
        )
        registry = CollectorRegistry(auto_describe=False)
        self.instruments = Instruments(registry)
        self.exposition = Exposition(self.node.snapshot, registry, 1.0, lambda: float(self.now))
        self.page = Page(self.node.snapshot, Surroundings())
        self.node.found(self.hardware.gpus)

    def live(self, seconds: int) -> None:
        """Reads, asks, scrapes and shows, as often as in life."""
        for _ in range(0, seconds, READ_SECONDS):
            self.now += READ_SECONDS
            for gpu in self.hardware.gpus:
                self.node.read(gpu.uuid, self.hardware.reading(gpu.index, self.now, taken=self.now - START))
                self.instruments.read(0.0004)
            self.exposition.outdated()
            if self.now % REFRESH_SECONDS == 0:
                known = self.cluster.tasks(self.node.wanted_since(), self.now)
                self.node.answered(Answer(known, (), as_of=float(self.now - START)))
                self.instruments.refreshed("ok", 0.02)
            if self.now % SCRAPE_SECONDS == 0:
                assert at_once(self.exposition("application/openmetrics-text;version=1.0.0"))[0].endswith(b"# EOF\n")
                assert self.page(speech("zh-TW"))

    def forget_the_simulation(self) -> None:
        """Drops what the simulated cluster keeps of the tasks it has drawn, until that is full."""
        self.cluster._tasks_of.cache_clear()
        self.hardware.workload._plan.cache_clear()

    def truth(self, state: GpuState) -> Amounts:
        """What a GPU gained since the start, as its load was drawn."""
        return self.hardware.truth(state.gpu.index, START + READ_SECONDS, self.now, 0.05, 2**30)


def test_a_week_neither_drifts_nor_grows(capsys: pytest.CaptureFixture[str]) -> None:
    life = Life()
    blocks = Curve("blocks of Python's allocator", "", slack=BLOCKS_SLACK)
    worst = 0.0
    for _ in range(DAYS):
        life.live(DAY)
        life.forget_the_simulation()
        gc.collect()
        blocks.values.append(sys.getallocatedblocks())
        for state in life.node.snapshot().gpus:
            assert state.counters is not None
            truth = life.truth(state)
            worst = max(worst, abs(state.counters.busy_seconds - truth.busy_seconds) / truth.busy_seconds)
            assert state.counters == pytest.approx(truth, rel=1e-6)
            booked = sum(amounts.observed_seconds for _, amounts in state.accounts) + state.unbooked_seconds
            assert booked <= state.counters.observed_seconds * (1 + 1e-9)
    with capsys.disabled():
        echo(f"\n{DAYS} virtual days, {len(life.hardware.gpus)} GPUs: busy time is off by {worst:.1e} at most")
        echo(f"{blocks} {blocks.values}")
    assert blocks.is_flat
