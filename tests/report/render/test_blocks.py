from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from exporter.model import RUNNING, Answer, Task, TaskGpu
from exporter.ownership import Holdings
from exporter.report.accounting.accounts import accounts
from exporter.report.accounting.aggregate import Costs, build
from exporter.report.accounting.rows import Report, Sources
from exporter.report.render import text
from exporter.report.window import Window, window
from tests.support.reports import sample

SEED_DAY = window("2025-07-22", None, "UTC", datetime(2026, 1, 1, tzinfo=UTC).timestamp())


def seed_report(*tasks: Task, day: Window = SEED_DAY) -> Report:
    """A day of the consumption API's alone, without history."""
    found = accounts(day, [], Holdings(Answer(tasks, (), as_of=0.0)), tasks)
    return build(day, found, sources=Sources(history="none", tasks="api"), costs=Costs(), min_coverage_ratio=0.99)


def seed_task(task_id: str, username: str, gpu_id: str, start: str, end: str = "") -> Task:
    gpu = TaskGpu(f"52f67b3700dcc6{int(gpu_id):02x}", gpu_id, "AMD Instinct MI300X", 196592)
    ended = datetime.fromisoformat(end).timestamp() if end else RUNNING
    return Task(
        task_id,
        username,
        "WEBAPP",
        (gpu,),
        datetime.fromisoformat(start).timestamp(),
        ended,
        hostname="colab-gpu4",
        image="registry.example:5000/ollama:0.6.2",
    )


def test_the_task_report_has_the_layout_that_people_know() -> None:
    report = seed_report(seed_task("a", "itrd", "27", "2025-07-16T08:19:32Z"))

    assert (
        text.task_report(report, "zh-TW")
        == """\
=== 2025-07-22 GPU 使用者任務報告 ===

colab-gpu4:
----------------------------------------
GPU 27:
  使用者: itrd
  GPU 型號: AMD Instinct MI300X
  GPU 記憶體: 196592 MB
  任務類型: WEBAPP
  映像檔: registry.example:5000/ollama:0.6.2
  開始時間: Wed, 16 Jul 2025 08:19:32 GMT
  狀態: 執行中
  使用時長: 86400.0 秒
  GPU UUID: APU-52f67b3700dcc61b

"""
    )


def test_the_task_report_has_every_task_of_a_gpu_in_order() -> None:
    report = seed_report(
        seed_task("b", "nycubme", "9", "2025-07-22T12:00:00Z"),
        seed_task("c", "admin", "10", "2025-07-22T01:00:00Z"),
        seed_task("a", "itrd", "9", "2025-07-22T08:00:00Z", "2025-07-22T12:00:00Z"),
    )
    page = text.task_report(report, "zh-TW")

    assert re.findall(r"GPU (\d+):\n  使用者: (\w+)", page) == [("9", "itrd"), ("9", "nycubme"), ("10", "admin")]
    assert "  結束時間: Tue, 22 Jul 2025 12:00:00 GMT\n  狀態: 已結束\n  使用時長: 14400.0 秒\n" in page


def test_the_task_report_has_nodes_and_times_in_the_order_of_the_report() -> None:
    clocks_go_back = window("2025-10-26", None, "Europe/Berlin", 2e9)
    starts = {"summer": "2025-10-26T00:30:00Z", "winter": "2025-10-26T01:15:00Z"}
    tasks = [seed_task(task_id, task_id, "9", start) for task_id, start in starts.items()]
    tasks.append(replace(seed_task("a", "other", "10", starts["winter"]), hostname="colab-gpu10"))
    report = seed_report(*tasks, day=clocks_go_back)

    assert re.findall("使用者: (.*)", text.task_report(report, "zh-TW")) == ["summer", "winter", "other"]


def test_the_task_report_says_that_there_were_no_tasks() -> None:
    assert text.task_report(seed_report(), "zh-TW").splitlines()[2:] == ["沒有任務"]
    assert text.task_report(seed_report(), "en").splitlines()[2:] == ["no tasks"]


def test_chinese_has_the_blocks_that_people_know() -> None:
    made = sample(8)
    page = text.full(made.report, made.timeline, "zh-TW", 80)
    row = next(row for row in made.report.gpus if row.gpu == 2)
    usage = row.usage

    assert usage.mean_utilization_ratio is not None
    assert usage.mean_vram_used_ratio is not None
    assert f"\n  GPU {row.gpu_id} (colab-gpu1): {'+'.join(row.users)} - AMD Instinct MI300X\n" in page
    assert f"\nGPU 硬體對應表:\ncolab-gpu1:\n  GPU[1]: card9, GPU 編號 1, APU-{made.report.gpus[0].gpu_uuid}\n" in page
    assert (
        f"\n  GPU[2]: GPU 使用率 {usage.mean_utilization_ratio * 100:.2f}%, "
        f"VRAM 使用率 {usage.mean_vram_used_ratio * 100:.2f}%, 使用者: {'+'.join(row.users)}\n"
    ) in page
    assert "GPU[–]: GPU 使用率 N/A, VRAM 使用率 N/A, 使用者: 未使用\n" in page
    assert f"\n整體平均使用率:\n  GPU 使用率: {(made.report.totals.mean_utilization_ratio or 0) * 100:.2f}%\n" in page


def test_unknown_is_never_called_unused() -> None:
    made = sample(8, tasks="none")
    page = text.full(made.report, made.timeline, "zh-TW", 80)

    assert "使用者: N/A" in page
    assert "未使用" not in page


@pytest.mark.parametrize("tasks", ["labels", "none"])
def test_only_the_api_can_tell_that_there_were_no_tasks(tasks: str) -> None:
    made = sample(8, tasks=tasks)  # type: ignore[arg-type]

    assert "沒有任務" not in text.full(made.report, made.timeline, "zh-TW", 80)
    assert text.task_report(made.report, "zh-TW").splitlines()[-1] == "N/A"


def test_english_has_the_same_blocks_in_english() -> None:
    made = sample(8)
    page = text.full(made.report, made.timeline, "en", 80)
    row = made.report.gpus[1]

    assert f"\n  GPU {row.gpu_id} (colab-gpu1): {'+'.join(row.users)} - AMD Instinct MI300X\n" in page
    assert "\nGPU hardware map:\ncolab-gpu1:\n  GPU[1]: card9, GPU id 1, APU-" in page
    assert re.search(r"\n  GPU\[2\]: GPU utilization [\d.]+%, VRAM utilization [\d.]+%, User: \w+", page)
    assert "\nOverall mean utilization:\n  GPU utilization: " in page
    assert f"\n=== 2025-07-22 GPU task report ===\n\ncolab-gpu1:\n{'-' * 40}\nGPU 0:\n  User: " in page
