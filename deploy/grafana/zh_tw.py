"""The dashboards' words in Traditional Chinese, as used in Taiwan."""

from __future__ import annotations

WORDS = {
    # Links and tags lead to the dashboards of the same language.
    "mi300x": "mi300x-zh-TW",
    "mi300x-cluster": "mi300x-cluster-zh-tw",
    "mi300x-node": "mi300x-node-zh-tw",
    "mi300x-users": "mi300x-users-zh-tw",
    "/d/mi300x-node?var-host=${__value.text}&${__url_time_range}": (
        "/d/mi300x-node-zh-tw?var-host=${__value.text}&${__url_time_range}"
    ),
    "/d/mi300x-users?var-user=${__value.text}&${__url_time_range}": (
        "/d/mi300x-users-zh-tw?var-user=${__value.text}&${__url_time_range}"
    ),
    # Variables.
    "All": "全部",
    "Data source": "資料來源",
    "Price of a GPU-hour": "每 GPU 小時單價",
    "Task type": "任務類型",
    # Columns and legends.
    "Card": "顯示卡裝置",
    "Cluster GPU": "叢集 GPU 編號",
    "Compute partition": "運算分割",
    "Cost": "費用",
    "Driver": "驅動程式",
    "ECC correctable": "可更正 ECC",
    "ECC deferred": "延遲 ECC",
    "ECC uncorrectable": "不可更正 ECC",
    "Efficiency": "使用效率",
    "Energy": "用電量",
    "Held": "持有",
    "Held and idle": "持有但閒置",
    "Host": "節點",
    "Idle for": "閒置時間",
    "Image": "映像檔",
    "Memory partition": "記憶體分割",
    "Model": "型號",
    "Open": "開啟",
    "Ownership": "歸屬",
    "PCI address": "PCI 位址",
    "PCIe replays": "PCIe 重送",
    "Project": "專案",
    "Readable": "可讀取",
    "Retired pages": "停用記憶體頁",
    "Running for": "已執行",
    "Task": "任務",
    "Type": "類型",
    "Unique id": "唯一識別碼",
    "User": "使用者",
    "Utilization": "使用率",
    "VBIOS": "VBIOS 版本",
    "VRAM used": "VRAM 使用量",
    "VRAM used, share": "VRAM 使用比例",
    "Worked": "實際運算",
    "GPU {{gpu}} read": "GPU {{gpu}} 讀取",
    "GPU {{gpu}} written": "GPU {{gpu}} 寫入",
    "not yet booked": "尚未入帳",
    "owned": "使用中",
    "ownership": "任務歸屬",
    "read": "讀取",
    "readings": "GPU 讀數",
    "refresh": "更新任務",
    "shared": "共用",
    "unallocated": "未使用",
    "unknown": "不明",
    "unreadable": "無法讀取",
    # Titles.
    "Age of the sources": "資料來源延遲",
    "Core clock, by GPU": "各 GPU 核心時脈",
    "Duration of reads and refreshes": "讀取與更新耗時",
    "Efficiency, by user": "各使用者效率",
    "Energy, by node": "各節點用電量",
    "Errors of memory": "記憶體錯誤",
    "Errors, by GPU": "各 GPU 錯誤",
    "Exporter": "匯出程式",
    "Exporters": "匯出程式數",
    "Failures": "失敗次數",
    "GPU-hours, by user and task type": "各使用者與任務類型的 GPU 小時",
    "GPUs": "GPU 數量",
    "GPUs by ownership": "GPU 歸屬變化",
    "GPUs held, by user": "各使用者持有 GPU 數",
    "GPUs of these users": "這些使用者的 GPU",
    "Hardware": "硬體",
    "Health": "健康狀態",
    "Held and idle in the last hour": "最近一小時持有但閒置",
    "Held and idle, by user": "各使用者持有但閒置",
    "Identity": "硬體資訊",
    "In the range shown": "所選期間",
    "MI300X cluster": "MI300X 叢集",
    "MI300X node": "MI300X 節點",
    "MI300X users and tasks": "MI300X 使用者與任務",
    "Malformed tasks": "格式錯誤的任務",
    "Memory clock, by GPU": "各 GPU 記憶體時脈",
    "Memory controller, by GPU": "各 GPU 記憶體控制器",
    "Most GPU-hours, by user": "GPU 小時最多的使用者",
    "Now": "目前",
    "Over time": "時間變化",
    "Owners": "GPU 持有者",
    "Power": "功率",
    "Power, by GPU": "各 GPU 功率",
    "Power, by node": "各節點功率",
    "Refreshes and failures": "更新與失敗",
    "Resources": "資源",
    "Silent nodes": "失聯節點",
    "Tasks": "任務清單",
    "Temperature, hottest spot": "最熱點溫度",
    "Temperature, memory": "記憶體溫度",
    "Temperature, voltage regulator": "電壓調節器溫度",
    "Throttling": "降頻",
    "Unmatched GPUs": "無法對應的 GPU",
    "Use": "使用情形",
    "Utilization, by GPU": "各 GPU 使用率",
    "Utilization, by node": "各節點使用率",
    "VRAM free": "VRAM 剩餘",
    "VRAM headroom, by node": "各節點 VRAM 餘裕",
    "VRAM held, by user": "各使用者持有 VRAM",
    "VRAM used, by GPU": "各 GPU VRAM 使用比例",
    "Who uses what": "誰在使用什麼",
    "XGMI, by GPU": "各 GPU XGMI 流量",
    # Descriptions.
    "99th percentile: of reading one GPU, and of asking the consumption API.": (
        "第 99 百分位數:讀取一張 GPU,以及查詢管理 API。"
    ),
    "Answers of the consumption API by result, and failed reads by kind, counted in each step.": (
        "管理 API 的回應(依結果)與讀取失敗(依種類),每個時間間隔的次數。"
    ),
    "As booked to users.": "已入帳至使用者的用電量。",
    "Busy over observed time.": "運算時間 ÷ 觀測時間。",
    "By GPU.": "依 GPU。",
    "By ownership. Unknown: the consumption API has not said whose they are; they are not free.": (
        "依歸屬。不明:管理 API 未能說明屬於誰,不代表空閒。"
    ),
    "Counted in the range shown; retired pages in total.": "所選期間內的次數;停用記憶體頁為總數。",
    "ECC errors by severity, counted in each step.": "ECC 錯誤(依嚴重程度),每個時間間隔的次數。",
    "Each GPU while one of them held it. Names joined by + share the GPU.": (
        "這些使用者持有各 GPU 的期間。以 + 相連的名稱共用同一張 GPU。"
    ),
    "Entries of the consumption API that cannot be accounted.": "管理 API 中無法計入的項目。",
    "Exporters that Prometheus reaches.": "Prometheus 連得到的匯出程式。",
    "Failed reads of GPUs by kind, and restarts of the reading process by reason, counted in each step.": (
        "GPU 讀取失敗(依種類)與讀取程序重新啟動(依原因),每個時間間隔的次數。"
    ),
    "GPU-hours by user and task type over the range shown. Booked time is never rebooked; what the consumption API "
    "tells later only the daily report corrects, so for a bill take the report.": (
        "所選期間內各使用者與任務類型的 GPU 小時。入帳後不再更改;管理 API 事後的更正只反映在每日報告,計費請以報告為準。"
    ),
    "GPU-hours held times the price above.": "持有的 GPU 小時 × 上方單價。",
    "GPU-hours held without work in the range shown, the highest first. A shared GPU counts in parts.": (
        "所選期間內持有但未運算的 GPU 小時,由高至低。共用的 GPU 按比例分攤。"
    ),
    "GPU-hours of work.": "實際運算的 GPU 小時。",
    "GPU-hours without work.": "未運算的 GPU 小時。",
    "GPU-hours; a shared GPU counts in parts.": "GPU 小時;共用的 GPU 按比例分攤。",
    "GPUs that tasks name and their node does not have.": "任務指名、但節點上不存在的 GPU。",
    "Held in the range shown.": "所選期間內持有。",
    "In the range shown, from the hardware's counters; gaps in the readings are included.": (
        "所選期間內,取自硬體計數器,包含未觀測的時段。"
    ),
    "Mean of the compute dies.": "各運算晶粒的平均。",
    "Nodes seen in the range shown, but not now.": "所選期間內曾出現、目前沒有資料的節點。",
    "Of the GPUs that can be read.": "僅計可讀取的 GPU。",
    "Of the GPUs' sockets.": "GPU 插槽的功率。",
    "Of the HBM.": "HBM 的時脈。",
    "Of the socket.": "插槽的功率。",
    "A shared GPU counts in parts. A gap: it was not known who held what.": (
        "共用的 GPU 按比例分攤。空白表示當時不知道由誰持有。"
    ),
    "Used on the GPUs that each user holds; of a shared GPU a part.": (
        "使用者持有之 GPU 上使用的 VRAM;共用的 GPU 按比例分攤。"
    ),
    "One node: its GPUs, whose they are, and how they do.": "單一節點:GPU、持有者與狀態。",
    "One row for each GPU that can be read.": "每張可讀取的 GPU 一列。",
    "Over all links of the GPU.": "GPU 所有連結的總和。",
    "Share of its VRAM.": "佔該 GPU VRAM 的比例。",
    "Share of the GPUs' time, by reason. At the power limit (ppt) a GPU under full load is where it belongs.": (
        "佔 GPU 時間的比例,依原因。滿載的 GPU 達到功率上限(ppt)屬正常。"
    ),
    "Share of the time in which the memory was read or written.": "記憶體讀寫時間的比例。",
    "The 20 GPUs that were held and idle longest, and the VRAM in use on them.": (
        "持有但閒置最久的 20 張 GPU,以及其使用中的 VRAM。"
    ),
    "Those that run now, by GPU.": "目前執行中的任務,依 GPU。",
    "Those that run now.": "目前執行中的任務。",
    "Time since the last good reading, and the last good answer of the consumption API, where it is longest.": (
        "距上次成功讀取 GPU、以及管理 API 上次成功回應的時間,取最久者。"
    ),
    "Time since the last good reading, and the last good answer of the consumption API.": (
        "距上次成功讀取 GPU、以及管理 API 上次成功回應的時間。"
    ),
    "VRAM not used.": "未使用的 VRAM。",
    "What each GPU is, and whether it can be read now.": "各 GPU 的硬體資訊,以及目前是否可讀取。",
    "What each user held in the range shown. Time whose owner is unknown is in nobody's row.": (
        "各使用者在所選期間內的持有量。歸屬不明的時間不計入任何人。"
    ),
    "Who uses which GPU, who holds one without using it, and how the nodes do.": (
        "誰使用哪張 GPU、誰持有卻未使用,以及各節點的狀態。"
    ),
    "Whose each GPU was. A gap: no data. Names joined by + share the GPU.": (
        "各 GPU 的持有者。空白表示沒有資料。以 + 相連的名稱共用同一張 GPU。"
    ),
    "Work over time held.": "實際運算時間 ÷ 持有時間。",
}
