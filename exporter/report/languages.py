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
    card = _Term("Card", "DRM 裝置")
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
    overview = _Term("At a glance", "總覽")
    all_gpus = _Term("All GPUs", "全部 GPU")
    warnings = _Term("Warnings", "警告")

    # Whose the time is.
    capacity = _Term("Capacity", "總時數")
    owned = _Term("Owned", "已分配")
    free = _Term("Free", "未分配")
    free_and_quiet = _Term("Free, not busy", "未分配且未忙碌")
    unallocated = _Term("unallocated", "未分配")
    unknown = _Term("Unknown", "歸屬不明")
    nobody = _Term("nobody", "無所屬使用者")

    # What became of it.
    observed = _Term("Observed", "已觀測")
    not_observed = _Term("Not observed", "未觀測")
    coverage = _Term("Coverage", "觀測涵蓋率")
    busy = _Term("Busy", "忙碌")
    busy_owned = _Term("Busy while owned", "已分配且忙碌")
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
    owned_unobserved = _Term("Owned, not observed", "已分配但未觀測")
    energy = _Term("Energy", "耗電量")
    facility_energy = _Term("Energy of the facility", "機房耗電量")
    energy_per_busy = _Term("kWh per busy GPU-hour", "每忙碌 GPU 小時耗電 (kWh)")
    cost = _Term("Cost", "費用")
    waste = _Term("Owned but idle", "閒置資源清單")
    longest_idle = _Term("Longest idle", "最長閒置")
    freed_gpus = _Term("Would free", "可釋出 GPU")
    day_before = _Term("day before", "前一日")
    median_of_seven = _Term("7-day median", "7 日中位數")

    # Headings and notes of the charts.
    where_time_went = _Term("Where the GPU-hours went", "GPU 時數組成")
    hours_by_user = _Term("GPU-hours by user", "各使用者 GPU 時數")
    heat_map = _Term("Every GPU over time", "各 GPU 使用率時間分布")
    over_time = _Term("Utilization and VRAM over time", "使用率與 VRAM 變化")
    heat_map_note = _Term(
        "The stronger the colour, the busier. The strip below each row shows who holds the GPU; users who share it "
        "have a part of its height each. Point at a cell, or walk with the arrow keys.",
        "顏色越濃使用率越高；每列下方色帶為該 GPU 的使用者，共用時上下並列。將游標移至格上，或以方向鍵逐格檢視。",
    )
    no_owner_times = _Term(
        "Labels of the history tell how much each user had, not when.",
        "監控歷史資料的標籤僅能得知各使用者用量，無法得知時段。",
    )
    needs_script = _Term("The heat map needs JavaScript.", "熱圖需啟用 JavaScript。")
    others = _Term("others", "其他使用者")
    nothing = _Term("none", "無")
    all_rows = _Term("all {count} rows", "顯示全部 {count} 筆")
    left_out = _Term("smaller rows are in the JSON report", "筆較小項目請見 JSON 報告")

    # What the words mean.
    reading = _Term("How to read this", "名詞說明")
    meaning_owned = _Term(
        "GPU-time that a task holds, whether or not anything runs.", "任務持有 GPU 的時間，不論是否有程式執行。"
    )
    meaning_busy = _Term(
        "Utilization summed over time: one hour at 50 % is half a GPU-hour.",
        "使用率對時間的累計：以 50% 使用率執行一小時為 0.5 GPU 小時。",
    )
    meaning_idle = _Term(
        "Owned time with utilization below the threshold; worse where VRAM is held, as nobody else can use the GPU.",
        "已分配但使用率低於門檻的時間；若同時佔用 VRAM，他人更無法使用該 GPU。",
    )
    meaning_efficiency = _Term(
        "Busy while owned, as a part of the owned time observed.", "已分配時間中的忙碌時數，除以其中已觀測的時數。"
    )
    meaning_coverage = _Term(
        "How much of the time was observed. What was not is left out of means, and is never counted as idle.",
        "已觀測時間所佔比例。未觀測的時間不計入平均，也不視為閒置。",
    )
    meaning_unknown = _Term(
        "Time for which no source could say whose the GPU was: neither idle nor free.",
        "無任何來源可判定 GPU 歸屬的時間：既不算閒置，也不算未分配。",
    )

    # Blocks of the text, in the order of their lines.
    task_summary = _Term("GPU tasks by user", "GPU 使用者任務摘要")
    task_report = _Term("GPU task report", "GPU 使用者任務報告")
    task_information = _Term("GPU tasks of this node", "GPU 使用者任務資訊")
    gpu_model = _Term("GPU model", "GPU 型號")
    gpu_memory = _Term("GPU memory", "GPU 記憶體")
    status = _Term("Status", "狀態")
    ended = _Term("ended", "已結束")
    time_used = _Term("Time used", "使用時長")
    seconds = _Term("seconds", "秒")
    no_tasks = _Term("no tasks", "沒有任務")
    hardware_map = _Term("GPU hardware map", "GPU 硬體對應表")
    usage_by_gpu = _Term("Mean usage of each GPU", "各 GPU 平均使用率")
    overall_averages = _Term("Overall averages", "整體平均使用率")
    gpu_utilization = _Term("GPU utilization", "GPU 使用率")
    vram_utilization = _Term("VRAM in use", "VRAM 使用率")
    unused = _Term("not used", "未使用")
    utilization_by_hour = _Term("Utilization by hour", "每小時使用率")
    utilization_by_day = _Term("Utilization by day", "每日使用率")
    scale = _Term("0: below 10 % … 9: 90 % and more; – not observed", "0：低於 10% … 9：90% 以上；–：未觀測")
    split_of_owned = _Term("Split of the owned time", "已分配時間的組成")
    units = _Term("Units", "單位")
    meaning_units = _Term(
        "Amounts of time without a unit are GPU-hours; the longest idle stretch is in hours.",
        "未註明單位的時數均為 GPU 小時；最長閒置為連續時間，以小時計。",
    )

    # Punctuation of our own lines; the familiar blocks keep theirs.
    colon = _Term(": ", "：")
    semicolon = _Term("; ", "；")
    comma = _Term(", ", "、")
    aside = _Term(" ({})", "（{}）")

    # Units.
    gpu_hours = _Term("GPU-hours", "GPU 小時")

    # Where it comes from.
    history = _Term("Scrape history", "監控歷史資料")
    history_prometheus = _Term("Prometheus", "Prometheus")
    history_none = _Term("none (owned hours alone)", "無（僅有分配時數）")
    ownership = _Term("Ownership", "GPU 歸屬")
    tasks_api = _Term("consumption API", "任務 API")
    tasks_labels = _Term("labels of the history", "監控歷史資料的標籤")
    tasks_none = _Term("none (all unknown)", "無（全部歸屬不明）")
    only_users = _Term("Only users", "僅限使用者")
    only_nodes = _Term("Only nodes", "僅限節點")
    timezone = _Term("Time zone", "時區")
    partial = _Term("The day is not over: figures reach up to", "本日尚未結束，數據統計至")

    # Warnings, and what fills their braces: hosts, numbers, ratios, and errors in words of their own.
    server_says = _Term("the scrape history's server says: {said}", "監控歷史資料的伺服器提示：{said}")
    more_than_listed = _Term(
        "{hostname}: {seen} GPUs were seen, report.nodes lists {listed}",
        "{hostname}：實際有 {seen} 張 GPU，report.nodes 只列了 {listed} 張",
    )
    too_little_observed = _Term(
        "{hostname}: {coverage} of its GPU time was observed, expected {expected} or more",
        "{hostname}：GPU 時間的觀測涵蓋率為 {coverage}，應達 {expected} 以上",
    )
    no_api = _Term(
        "tasks.url is not set: owners come from the history's labels",
        "未設定 tasks.url，GPU 歸屬改依監控歷史資料的標籤",
    )
    no_answer = _Term(
        "{error}; owners come from the history's labels",
        "無法取得任務資料，GPU 歸屬改依監控歷史資料的標籤：{error}",
    )
    malformed_tasks = _Term(
        "{count} entries of the consumption API cannot be accounted in full: "
        "the GPUs they name are unknown where no other task holds them",
        "任務 API 有 {count} 筆資料無法完整計入，所列 GPU 若無其他任務持有，即列為歸屬不明",
    )
    no_history = _Term("{error}; only owned time can be told", "無法取得監控歷史資料，僅能統計已分配時數：{error}")


def words(language: Language) -> Words:
    """All words in that language."""
    return Words(language)
