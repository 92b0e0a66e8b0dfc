"""Names in questions, as real engines read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporter.config import Prometheus
from exporter.demo.remote_write import Column
from exporter.report.history.client import PrometheusClient
from exporter.report.history.queries import Question, any_of
from tests.support.engines import ENGINES

NAMES = ["a\nb", "c\N{REPLACEMENT CHARACTER}d", 'e"f', "g\\h", "i.*|j", "k\tl\x1b[2J", "陳怡君", "m'n{}"]
TIME = 1_753_113_600.0


@pytest.mark.parametrize("engine", ENGINES)
async def test_whatever_a_task_is_called_it_is_found_by_its_name_alone(engine: str, tmp_path: Path) -> None:
    times = np.array([int(TIME * 1000)], dtype=np.int64)
    columns = [Column({"__name__": "task", "task_id": name}, times, np.ones(1)) for name in (*NAMES, "i..|j", "ab")]
    async with ENGINES[engine](tmp_path, columns) as url, PrometheusClient(Prometheus(url=url)) as client:
        found = await client.instant(Question("test", f"task{{{any_of('task_id', NAMES)}}}[1m]"), TIME + 1)
    assert {series.labels["task_id"] for series in found} == set(NAMES)
