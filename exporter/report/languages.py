"""The words of a report for people, in English and in the Traditional Chinese of Taiwan, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh-TW"]


@dataclass(frozen=True, slots=True)
class _Term:
    """One word or phrase; read from `Words`, it is in that language."""

    english: str
    chinese: str

    def __get__(self, words: Words, _: type[Words]) -> str:
        return self.english if words.language == "en" else self.chinese


@dataclass(frozen=True)
class Words:
    """Every word in one language: `Words("zh-TW").node` is 節點."""

    language: Language

    # What a row is about.
    title = _Term("GPU usage report", "GPU 使用報告")
    node = _Term("Node", "節點")
    nodes = _Term("Nodes", "節點")
    gpu = _Term("GPU", "GPU")
    gpus = _Term("GPUs", "GPU")
    gpu_id = _Term("GPU id", "GPU 編號")
    gpu_uuid = _Term("Unique id", "唯一識別碼")
    model = _Term("Model", "型號")
    card = _Term("Card", "顯示卡")
    user = _Term("User", "使用者")
    users = _Term("Users", "使用者")
    task = _Term("Task", "任務")
    tasks = _Term("Tasks", "任務")
    task_type = _Term("Task type", "任務類型")
    task_types = _Term("Task types", "任務類型")
    project = _Term("Project", "專案")
    projects = _Term("Projects", "專案")
    image = _Term("Image", "映像檔")
    start = _Term("Start", "開始時間")
    end = _Term("End", "結束時間")
    running = _Term("running", "執行中")
    duration = _Term("Hours in window", "期間內時數")
    totals = _Term("Totals", "總計")
    warnings = _Term("Warnings", "警告")

    # Whose the time is.
    capacity = _Term("Capacity", "總容量")
    owned = _Term("Owned", "已分配")
    shared = _Term("shared", "共用")
    free = _Term("Free", "未分配")
    unallocated = _Term("unallocated", "未分配")
    unknown = _Term("Unknown", "歸屬不明")
    nobody = _Term("nobody", "無人使用")

    # What became of it.
    observed = _Term("Observed", "已觀測")
    not_observed = _Term("Not observed", "未觀測")
    coverage = _Term("Coverage", "觀測涵蓋率")
    busy = _Term("Busy", "忙碌")
    busy_unowned = _Term("Busy without owner", "未分配卻忙碌")
    active = _Term("Active", "使用中")
    idle = _Term("Idle", "閒置")
    idle_owned = _Term("Idle while owned", "已分配但閒置")
    idle_vram_held = _Term("Idle with VRAM held", "閒置且佔用 VRAM")
    idle_empty = _Term("Idle and empty", "閒置且未佔用 VRAM")
    efficiency = _Term("Efficiency", "使用效率")
    utilization = _Term("Utilization", "使用率")
    mean_utilization = _Term("Mean utilization", "平均使用率")
    p95_utilization = _Term("p95 utilization", "使用率 p95")
    peak_utilization = _Term("Peak utilization", "使用率峰值")
    vram = _Term("VRAM", "VRAM")
    mean_vram = _Term("Mean VRAM", "平均 VRAM")
    p95_vram = _Term("p95 VRAM", "VRAM p95")
    peak_vram = _Term("Peak VRAM", "VRAM 峰值")
    energy = _Term("Energy", "耗電量")
    facility_energy = _Term("Energy of the facility", "機房耗電量")
    energy_per_busy = _Term("kWh per busy GPU-hour", "每忙碌 GPU 小時耗電 (kWh)")
    cost = _Term("Cost", "費用")
    waste = _Term("Owned but idle", "閒置浪費清單")
    longest_idle = _Term("Longest idle", "最長連續閒置")
    freed_gpus = _Term("Would free", "可釋出 GPU")
    day_before = _Term("day before", "前一日")
    median_of_seven = _Term("median of 7 days", "前 7 日中位數")

    # Units.
    gpu_hours = _Term("GPU-hours", "GPU 小時")
    hours = _Term("hours", "小時")

    # Where it comes from.
    sources = _Term("Sources", "資料來源")
    history = _Term("Scrape history", "監控歷史")
    history_prometheus = _Term("Prometheus", "Prometheus")
    history_none = _Term("none: owned hours alone", "無：僅有分配時數")
    ownership = _Term("Ownership", "GPU 歸屬")
    tasks_api = _Term("consumption API", "任務 API")
    tasks_labels = _Term("labels of the history", "監控歷史的標籤")
    tasks_none = _Term("none: all unknown", "無：全部歸屬不明")
    timezone = _Term("Time zone", "時區")
    partial = _Term("The day is not over: figures reach up to", "本日尚未結束，數據統計至")


def words(language: Language) -> Words:
    """All words in that language."""
    return Words(language)
