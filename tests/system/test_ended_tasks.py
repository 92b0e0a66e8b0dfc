"""What a real service shows of tasks that ended, before and after it is restarted."""

from __future__ import annotations

import time
from pathlib import Path

from exporter.demo.api import StandInApi
from exporter.model import Task, TaskGpu
from tests.support.exporter import exporter

SETTINGS = {"hostname": "colab-gpu1", "devices": {"source": "simulated", "simulated": {"gpus": 1}}}


async def test_a_task_that_ended_is_shown_with_its_end_by_an_exporter_that_started_since(tmp_path: Path) -> None:
    async with exporter(tmp_path, SETTINGS) as running:
        (gpu,) = (await running.shows(lambda shown: shown.values("amdgpu_up") == [1.0])).labels("amdgpu_up")
    now = float(int(time.time()))
    on_it = (TaskGpu(gpu["gpu_uuid"], "27"),)
    tasks = [
        Task("over", "amy", "LAB", on_it, now - 3000, now - 1200, "colab-gpu1"),
        Task("long over", "amy", "LAB", on_it, now - 9000, now - 8000, "colab-gpu1"),
        Task("running", "bob", "LAB", on_it, now - 1100, hostname="colab-gpu1"),
    ]
    async with StandInApi(tasks) as api:
        settings = SETTINGS | {"tasks": {"url": api.url}}
        for _ in range(2):
            async with exporter(tmp_path, settings, {"EXPORTER_TASKS_TOKEN": api.token}) as running:
                shown = await running.shows(lambda shown: len(shown.values("amdgpu_task_info")) == 2)
            assert {one["task_id"] for one in shown.labels("amdgpu_task_info")} == {"over", "running"}
            assert shown.values("amdgpu_task_start_timestamp_seconds", task_id="over") == [now - 3000]
            (ended,) = shown.labels("amdgpu_task_end_timestamp_seconds")
            assert ended["task_id"] == "over"
            assert shown.values("amdgpu_task_end_timestamp_seconds") == [now - 1200]
