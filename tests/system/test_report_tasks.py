"""Which task is which in a report of several days, over a real Prometheus."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.cases import Case, gpu, marked, report, task
from tests.support.engines import prometheus

pytestmark = pytest.mark.asyncio(loop_scope="module")

A = "52f67b3700dcc6fa"
FIRST, AGAIN = task("t", 6, 12, A), task("t", 33, 34, A)
CASES = {"two days": Case(gpu(A, end=50), [FIRST, AGAIN])}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with prometheus(tmp_path_factory.mktemp("engine"), marked(CASES)) as url:
        yield url


@pytest.mark.parametrize("user", ["itrd", "amy"])
async def test_a_range_is_the_sum_of_its_days_where_an_id_is_used_again(engine: str, tmp_path: Path, user: str) -> None:
    case = replace(CASES["two days"], tasks=[FIRST, replace(AGAIN, username=user)])
    said = await report(engine, tmp_path, "two days", case, "--format", "json", days=2)
    assert (said.code, said.err) == (0, "")
    found = said.document

    assert found["totals"]["owned_gpu_hours"] == 7
    assert found["totals"]["owned_busy_gpu_hours"] == pytest.approx(3.5, rel=1e-6)
    assert [(row["task_id"], row["username"], row["usage"]["owned_gpu_hours"]) for row in found["tasks"]] == [
        ("t", "itrd", 6),
        ("t", user, 1),
    ]
    assert sum(row["task_count"] for row in found["users"]) == 2
    assert sum(row["usage"]["owned_busy_gpu_hours"] for row in found["users"]) == pytest.approx(3.5, rel=1e-6)
