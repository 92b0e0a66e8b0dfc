from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest
from rich.cells import cell_len

from exporter.model import RUNNING, Answer, Task, TaskGpu
from exporter.report.accounts import accounts
from exporter.report.build import Costs, build
from exporter.report.languages import Language, words
from exporter.report.render import text
from exporter.report.render.figures import marked, number
from exporter.report.rows import Report, Sources
from exporter.report.timeline import Timeline
from exporter.report.window import Window, window
from exporter.tasks.ownership import Holdings
from tests.support.reports import HOSTILE_NAMES, Sample, sample

LANGUAGES: tuple[Language, ...] = ("en", "zh-TW")
NAMES = dict(
    zip(("itrd", "admin", "nycubme", "easycard", "tku_csie"), (*HOSTILE_NAMES, "\x1b[31mred\u202e"), strict=True)
)


@cache
def hostile() -> Sample:
    return sample(16, usernames=NAMES)


def rendered(made: Sample, language: Language = "en", width: int = 80, *, colour: bool = False) -> str:
    return text.render(made.report, made.timeline, language, width, colour=colour)


def test_a_narrower_terminal_gets_lines_of_eighty_columns() -> None:
    assert rendered(hostile(), width=40) == rendered(hostile(), width=80)


def section(page: str, title: str) -> list[str]:
    """The lines below a heading."""
    after = page.split(f"\n== {title}", 1)[1].split("\n== ", 1)[0]
    return after.splitlines()[1:]


def tables(page: str) -> str:
    """All but the blocks that print names in full."""
    return page.split(f"\n{words('zh-TW').task_summary}:", maxsplit=1)[0]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [80, 100, 120, 240])
def test_no_table_is_wider_than_the_terminal_whatever_the_names(language: Language, width: int) -> None:
    page = tables(rendered(hostile(), language, width))

    assert max(cell_len(line) for line in page.splitlines()) <= width


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [80, 120, 160])
def test_columns_end_at_the_same_place_beside_wide_characters(language: Language, width: int) -> None:
    made = hostile()
    speech = words(language)
    lines = [line for line in section(rendered(made, language, width), speech.users) if line]
    below = [line for line in lines[lines.index(next(line for line in lines if line.startswith("---"))) + 1 :] if line]

    assert len(below) == len(made.report.users)
    assert len({cell_len(line) for line in below}) == 1
    assert all(line.endswith("%") for line in below)


@pytest.mark.parametrize("language", LANGUAGES)
def test_figures_are_never_cut(language: Language) -> None:
    page = tables(rendered(hostile(), language))

    assert not re.search(r"\d…", page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_name_steers_the_terminal(language: Language) -> None:
    page = rendered(sample(8, usernames=NAMES), language)

    assert "�[31mred�" in page
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", page)


def test_colour_changes_nothing_but_colour() -> None:
    plain, coloured = rendered(sample(8)), rendered(sample(8), colour=True)
    stripped = "".join(f"{line.rstrip()}\n" for line in re.sub(r"\x1b\[[0-9;]*m", "", coloured).splitlines())

    assert "\x1b[" in coloured
    assert stripped == plain


def test_the_surroundings_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = rendered(sample(8))
    for name, value in {"COLUMNS": "55", "FORCE_COLOR": "1", "TERM": "dumb", "TTY_INTERACTIVE": "1"}.items():
        monkeypatch.setenv(name, value)

    assert rendered(sample(8)) == plain


def test_chinese_has_every_figure_that_english_has() -> None:
    made = sample(16)
    figures = re.compile(r"\d[\d,]*\.\d+")
    english = Counter(figures.findall(rendered(made, "en", 240)))
    chinese = Counter(figures.findall(rendered(made, "zh-TW", 240)))

    assert english
    assert english <= chinese


def grid(made: Sample, width: int = 80) -> dict[str, str]:
    """The strips of the first node, by index."""
    title = "Utilization by hour" if made.report.date == made.report.to else "Utilization by day"
    lines = section(rendered(made, width=width), title)
    rows = [re.match(r"\s*(\d+|–)\s+\d+\s+([0-9–]+)\s", line) for line in lines]
    return {row[1]: row[2] for row in rows if row}


def test_the_grid_has_a_digit_an_hour_and_a_dash_where_nothing_was_observed() -> None:
    strips = grid(sample(8))

    assert {len(strip) for strip in strips.values()} == {24}
    assert strips["1"][2:5] == "–––"
    assert "–" not in strips["2"]
    assert strips["–"] == "–" * 24


@pytest.mark.parametrize(("date", "hours"), [("2025-10-26", 25), ("2025-03-30", 23)])
def test_the_grid_has_every_hour_of_a_day_on_which_clocks_change(date: str, hours: int) -> None:
    assert len(grid(sample(8, date=date, zone="Europe/Berlin"))["1"]) == hours


def test_the_grid_of_a_range_has_a_digit_a_day() -> None:
    assert len(grid(sample(8, to="2025-07-24"))["1"]) == 3


def test_a_range_over_a_month_is_drawn_in_parts() -> None:
    made = sample(8)
    days = span("2025-07-01", "2025-08-02").days()
    edges = np.array([day.start for day in days] + [days[-1].end])
    cells = np.full(len(days), 0.5)
    lanes = tuple(
        replace(lane, observed_seconds=cells, utilization=cells, vram_used=cells) for lane in made.timeline.lanes
    )
    report = made.report.model_copy(update={"date": "2025-07-01", "to": "2025-08-02"})
    page = text.render(report, Timeline(edges, lanes), "en", 80)

    assert "2025-07-01 – 2025-07-31" in page
    assert "2025-08-01 – 2025-08-02" in page
    assert set(re.findall(r"\b5+\b", "\n".join(section(page, "Utilization by day")))) == {"5" * 31, "5" * 2, "5"}


def span(first: str, last: str) -> Window:
    return window(first, last, "Asia/Taipei", datetime(2026, 1, 1, tzinfo=UTC).timestamp())


def test_idle_time_is_shown_also_where_labels_cannot_tell_what_vram_it_held() -> None:
    made = sample(8, tasks="labels")
    lines = section(rendered(made), "Split of the owned time")

    assert [line.split()[:2] for line in lines if line][1] == ["Idle", number(made.report.totals.idle_gpu_hours)]


@pytest.mark.parametrize(("least", "mark"), [(0.99, "! "), (0.98, "")])
def test_coverage_is_marked_where_it_is_less_than_the_report_expects(least: float, mark: str) -> None:
    made = sample(16)
    page = rendered(Sample(made.report.model_copy(update={"min_coverage_ratio": least}), made.timeline))
    line = next(line for line in section(page, "Nodes") if line.startswith("colab-gpu1"))

    assert line.endswith(f"  {mark}98.4\N{NO-BREAK SPACE}%")


def test_what_is_absent_is_a_dash_and_never_nought() -> None:
    page = rendered(sample(8, history=False))
    line = next(line for line in section(page, "Nodes") if line.startswith("colab-gpu1"))

    assert re.split(r"\s{2,}", line)[4:] == ["–", "–", "–", marked(0.0, 0.99)]


def test_it_says_what_it_rests_on() -> None:
    partial = rendered(sample(8, now="2025-07-22T03:17", tasks="labels"))

    assert "The day is not over: figures reach up to 2025-07-22T11:17:00+08:00" in partial
    assert "Ownership: labels of the history" in partial
    assert "! colab-gpu2: no scrapes from 12:00 to 15:00 <is the exporter running?>" in partial


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("tasks", ["api", "labels", "none"])
def test_a_report_of_nothing_but_nodes_is_still_a_report(language: Language, tasks: str) -> None:
    made = sample(8, tasks=tasks, history=False)  # type: ignore[arg-type]
    bare = made.report.model_copy(update={"users": [], "tasks": [], "waste": [], "comparison": [], "warnings": []})

    assert words(language).nodes in text.render(bare, made.timeline, language, 80)


def seed_report(*tasks: Task) -> Report:
    """A day of the consumption API's alone, without history."""
    day = window("2025-07-22", None, "UTC", datetime(2026, 1, 1, tzinfo=UTC).timestamp())
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


def test_the_task_report_says_that_there_were_no_tasks() -> None:
    assert text.task_report(seed_report(), "zh-TW").splitlines()[2:] == ["沒有任務"]
    assert text.task_report(seed_report(), "en").splitlines()[2:] == ["no tasks"]


def test_chinese_has_the_blocks_that_people_know() -> None:
    made = sample(8)
    page = rendered(made, "zh-TW")
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
    page = rendered(sample(8, tasks="none"), "zh-TW")

    assert "使用者: N/A" in page
    assert "未使用" not in page


@pytest.mark.parametrize("tasks", ["labels", "none"])
def test_only_the_api_can_tell_that_there_were_no_tasks(tasks: str) -> None:
    made = sample(8, tasks=tasks)  # type: ignore[arg-type]

    assert section(rendered(made), "Tasks")[-1] == "N/A"
    assert section(rendered(made), "Owned but idle")[-1] == "N/A"
    assert "沒有任務" not in rendered(made, "zh-TW")
    assert text.task_report(made.report, "zh-TW").splitlines()[-1] == "N/A"
