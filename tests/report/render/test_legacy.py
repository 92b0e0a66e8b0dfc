from __future__ import annotations

import csv as csv_format
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.report.accounting.timeline import Timeline
from exporter.report.render import legacy
from exporter.report.window import Window, window
from tests.support.reports import Sample, sample

DAY = "colab-gpu1/2025-07-22"


def span(date: str, to: str | None, zone: str, now: str) -> Window:
    return window(date, to, zone, datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp())


def files(
    made: Sample, date: str = "2025-07-22", to: str | None = None, zone: str = "Asia/Taipei", now: str = "2026-01-01"
) -> dict[str, str]:
    return legacy.files(made.report, made.timeline, span(date, to, zone, now))


def rows(text: str) -> list[list[str]]:
    return list(csv_format.reader(text.splitlines()))


def averages(found: dict[str, str], path: str = f"{DAY}/average_2025-07-22.csv") -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in rows(found[path])[1:]}


def test_the_files_of_a_node_and_day_have_the_names_that_plots_read() -> None:
    found = files(sample(8))

    assert set(found) == {
        *(f"{DAY}/gpu{index}_2025-07-22.csv" for index in range(1, 8)),
        f"{DAY}/average_2025-07-22.csv",
        f"{DAY}/summary_2025-07-22.txt",
    }


def test_heads_and_rows_are_those_of_the_script_before() -> None:
    made = sample(8)
    found = files(made)
    lines = found[f"{DAY}/gpu1_2025-07-22.csv"].splitlines()
    lane = made.timeline.lanes[0]

    assert lines[0] == "時間戳,日期時間,GPU使用率(%),VRAM使用率(%)"
    assert lines[1] == f'1753113600,"2025-07-22 00:00:00",{lane.utilization[0] * 100:.2f},{lane.vram_used[0] * 100:.2f}'
    assert lines[-1].startswith('1753199400,"2025-07-22 23:50:00",')
    assert found[f"{DAY}/average_2025-07-22.csv"].splitlines()[0] == "GPU編號,平均GPU使用率(%),平均VRAM使用率(%),使用者"
    assert all(text.endswith("\n") and "\r" not in text for text in found.values())


def test_what_was_not_observed_is_empty() -> None:
    made = sample(8)
    lane = made.timeline.lanes[0]

    for row, figure in zip(rows(files(made)[f"{DAY}/gpu1_2025-07-22.csv"])[1:], lane.utilization, strict=True):
        assert (row[2:] == ["", ""]) == math.isnan(figure)


@pytest.mark.parametrize(("date", "count"), [("2025-03-30", 138), ("2025-07-22", 144), ("2025-10-26", 150)])
def test_there_is_a_row_for_each_ten_minutes_also_when_clocks_change(date: str, count: int) -> None:
    found = files(sample(8, date=date, zone="Europe/Berlin"), date=date, zone="Europe/Berlin")
    starts = [int(row[0]) for row in rows(found[f"colab-gpu1/{date}/gpu1_{date}.csv"])[1:]]

    assert len(starts) == count
    assert set(np.diff(starts)) == {600}


def test_a_day_that_is_not_over_has_the_ten_minutes_that_are() -> None:
    now = "2025-07-22T03:17:00"
    found = files(sample(8, now=now), now=now)

    assert rows(found[f"{DAY}/gpu1_2025-07-22.csv"])[-1][1] == "2025-07-22 11:00:00"


def test_the_average_of_all_is_weighted_by_observed_time() -> None:
    made = sample(8)
    totals = made.report.totals
    found = averages(files(made))

    assert totals.mean_utilization_ratio is not None
    assert totals.mean_vram_used_ratio is not None
    assert found["全部平均"] == [
        f"{totals.mean_utilization_ratio * 100:.2f}",
        f"{totals.mean_vram_used_ratio * 100:.2f}",
        "所有使用者",
    ]
    usage = made.report.gpus[0].usage
    assert found["GPU[1]"][0] == f"{(usage.mean_utilization_ratio or 0) * 100:.2f}"
    assert found["GPU[1]"][2] == "+".join(made.report.gpus[0].users)


def test_nobody_and_not_observed_are_told_apart() -> None:
    made = sample(8)
    held = {name for row in made.report.gpus for name in row.users}
    free = made.timeline.lanes[-1].spells
    lanes = (replace(made.timeline.lanes[0], spells=free), *made.timeline.lanes[1:])
    unseen = sample(8, history=False)

    assert held
    assert averages(files(Sample(made.report, Timeline(made.timeline.edges, lanes))))["GPU[1]"][2] == "未使用"
    assert averages(files(sample(8, tasks="none")))["GPU[1]"][2] == "N/A"
    assert averages(files(unseen))["全部平均"] == ["N/A", "N/A", "所有使用者"]


def test_a_range_has_a_folder_a_day_with_that_days_users() -> None:
    days = files(sample(8, to="2025-07-23"), to="2025-07-23")
    second = files(sample(8, date="2025-07-23"), date="2025-07-23")

    assert {str(PurePosixPath(path).parent) for path in days} == {DAY, "colab-gpu1/2025-07-23"}
    path = "colab-gpu1/2025-07-23/{}_2025-07-23.csv"
    assert days[path.format("gpu2")] == second[path.format("gpu2")]
    assert averages(days, path.format("average"))["GPU[2]"] == averages(second, path.format("average"))["GPU[2]"]


def test_labels_cannot_tell_whose_a_gpu_was_on_one_day_of_several() -> None:
    days = files(sample(8, to="2025-07-23", tasks="labels"), to="2025-07-23")
    one = sample(8, tasks="labels")

    assert averages(days)["GPU[1]"][2] == "N/A"
    assert averages(files(one))["GPU[1]"][2] == "+".join(one.report.gpus[0].users)


def test_a_replaced_gpu_and_its_successor_are_one_line() -> None:
    made = sample(8)
    first, second, *others = made.report.gpus
    lane = made.timeline.lanes[1]
    half = np.arange(len(lane.utilization)) < 72
    before = replace(
        lane, observed_seconds=np.where(half, 600.0, 0.0), utilization=np.where(half, 0.25, np.nan), spells=()
    )
    after = replace(
        lane, observed_seconds=np.where(half, 0.0, 600.0), utilization=np.where(half, np.nan, 0.75), spells=()
    )
    report = made.report.model_copy(update={"gpus": [first.model_copy(update={"gpu": 2}), second, *others]})
    found = files(Sample(report, Timeline(made.timeline.edges, (before, after, *made.timeline.lanes[2:]))))

    figures = [row[2] for row in rows(found[f"{DAY}/gpu2_2025-07-22.csv"])[1:]]
    assert figures == ["25.00"] * 72 + ["75.00"] * 72
    assert averages(found)["GPU[2]"][0] == "50.00"


def test_the_summary_has_hardware_tasks_figures_and_averages() -> None:
    made = sample(8)
    summary = files(made)[f"{DAY}/summary_2025-07-22.txt"]
    average = averages(files(made))

    assert summary.startswith("GPU 使用率摘要報告\n日期: 2025-07-22\n節點: colab-gpu1\n")
    assert f"  GPU[1]: card9, GPU 編號 1, APU-{made.report.gpus[0].gpu_uuid}\n" in summary
    for name, figures in average.items():
        if name.startswith("GPU"):
            line = f"  {name}: GPU 使用率 {figures[0]}%, VRAM 使用率 {figures[1]}%, 使用者: {figures[2]}\n"
            assert line in summary
    assert summary.endswith(f"  GPU 使用率: {average['全部平均'][0]}%\n  VRAM 使用率: {average['全部平均'][1]}%\n")
    assert summary.count("    使用時長: ") == sum(len(task.gpu_uuids) for task in made.report.tasks)


def test_the_summary_of_one_day_of_several_has_that_days_tasks_and_hours() -> None:
    days = files(sample(8, to="2025-07-23"), to="2025-07-23")
    found = days[f"{DAY}/summary_2025-07-22.txt"]
    alone = files(sample(8))[f"{DAY}/summary_2025-07-22.txt"]

    assert [line for line in found.splitlines() if "使用時長" in line] == [
        line for line in alone.splitlines() if "使用時長" in line
    ]


@pytest.mark.parametrize("hostname", ["../x", "..", ".", "", "/etc", "a/b", "a\0b", "陳" * 200, "-rf", "a\nb"])
def test_no_hostname_leads_out_of_the_directory(hostname: str) -> None:
    made = sample(8)
    gpus = [row.model_copy(update={"hostname": hostname}) for row in made.report.gpus]
    found = files(Sample(made.report.model_copy(update={"gpus": gpus}), made.timeline))

    for path in found:
        parts = PurePosixPath(path).parts
        assert len(parts) == 3
        assert not parts[0].startswith((".", "/"))
        assert len(parts[0].encode()) <= 255


@given(st.text(max_size=300), st.text(max_size=300))
@example("a/b", "a_b")
@example("陳" * 100, "陳" * 101)
def test_every_host_has_a_folder_of_its_own(one: str, other: str) -> None:
    assert (legacy.folder(one) == legacy.folder(other)) == (one == other)
    assert "/" not in legacy.folder(one)
