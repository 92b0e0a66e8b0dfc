"""A report of 40 days, over a real Prometheus behind the limits of Mimir."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cases import Case, gpu, marked, report, task
from tests.support.engines import prometheus
from tests.support.limited import limited

A, B, C = "52f67b3700dcc6fa", "52f67b3700dcc6fb", "52f67b3700dcc6fc"
DAYS = 40
STEP = 300.0
LONG = Case(
    [
        *gpu(A, end=24 * DAYS + 1, step=STEP),
        *gpu(B, index=1, end=30, step=STEP),
        *gpu(B, index=1, start=24 * 36, born=-2, end=24 * DAYS + 1, step=STEP),
        *gpu(C, index=2, end=24, is_up=False, step=STEP),
    ],
    [task("t", 6, 24 * 38 + 6, A), task("u", 24 * 20, 24 * 21, B)],
)


async def test_more_than_a_month_is_asked_in_shorter_pieces(tmp_path: Path) -> None:
    async with prometheus(tmp_path / "engine", marked({"long": LONG})) as url, limited(url) as behind:
        said = await report(behind, tmp_path, "long", LONG, "--format", "json", days=DAYS)
    found = said.document

    assert found["sources"] == {"history": "prometheus", "tasks": "api"}
    assert "limit" not in said.err
    hours = {row["gpu_uuid"]: row["usage"]["observed_gpu_hours"] for row in found["gpus"]}
    # The exporter of the second went on while scrapes failed for 35 days.
    assert hours == {A: pytest.approx(24 * DAYS), B: pytest.approx(24 * DAYS), C: 0}
    assert found["totals"]["busy_gpu_hours"] == pytest.approx(24 * DAYS)
    assert {row["gpu_uuid"]: row["usage"]["owned_busy_gpu_hours"] for row in found["gpus"]} == {
        A: pytest.approx(12 * 38),
        B: pytest.approx(12),
        C: None,
    }
    assert [row["usage"]["mean_vram_used_ratio"] for row in found["gpus"][:2]] == pytest.approx([0.25, 0.25])
