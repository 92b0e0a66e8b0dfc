"""The blocks of lines that people know from the script before: tasks by GPU, the hardware, usage and averages.

In Chinese they are in its words, whatever the catalogues say: people, and their scripts, look for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from operator import attrgetter
from typing import Final, NamedTuple

from exporter.names import by_hostname, joined, natural, visible
from exporter.report.accounting.figures import Usage
from exporter.report.accounting.rows import GpuRow, Report, TaskRow
from exporter.report.render.cells import NOT_AVAILABLE, is_told
from exporter.report.render.headline import dates
from exporter.speech import ABSENT, N_

_RULE: Final = "-" * 40
_FAMILIAR: Final = {
    "GPU hardware map": "GPU 硬體對應表",
    "GPU id": "GPU 編號",
    "GPU memory": "GPU 記憶體",
    "GPU model": "GPU 型號",
    "GPU task report": "GPU 使用者任務報告",
    "GPU task summary": "GPU 使用者任務摘要",
    "GPU utilization": "GPU 使用率",
    "Image": "映像檔",
    "Mean utilization by GPU": "各 GPU 平均使用率",
    "Overall mean utilization": "整體平均使用率",
    "Start": "開始時間",
    "End": "結束時間",
    "Status": "狀態",
    "Task type": "任務類型",
    "Time used": "使用時長",
    "Unallocated": "未使用",
    "User": "使用者",
    "VRAM utilization": "VRAM 使用率",
    "ended": "已結束",
    "no tasks": "沒有任務",
    "running": "執行中",
    "seconds": "秒",
}

Say = Callable[[str], str]
"""Says an English word in the words of a report."""


def familiar(word: str) -> str:
    """Returns the script's word for one that the blocks have."""
    return _FAMILIAR[word]


class Means(NamedTuple):
    """Of one GPU or of several, 0 to 1; None where nothing was observed."""

    utilization: float | None
    vram: float | None

    @classmethod
    def of(cls, usage: Usage) -> Means:
        """Returns those of a row."""
        return cls(usage.mean_utilization_ratio, usage.mean_vram_used_ratio)


def task_report(report: Report, say: Say) -> Iterator[str]:
    """Yields every task, under each of its GPUs, by node; on a GPU in the order of the report, by time."""
    title = say(N_("GPU task report"))
    yield f"=== {dates(report)} {title} ==="
    yield ""
    gpu_ids = {row.gpu_uuid: row.gpu_id for row in report.gpus}
    held = [(gpu_ids.get(uuid) or "", uuid, task) for task in report.tasks for uuid in task.gpu_uuids]
    held.sort(key=lambda one: (natural(one[2].hostname), natural(one[0]), one[1]))
    hostname = None
    for gpu_id, uuid, task in held:
        if task.hostname != hostname:
            hostname = task.hostname
            yield f"{visible(hostname) or ABSENT}:"
            yield _RULE
        yield from task_details(gpu_id, uuid, task, task.seconds_in_window, say)
        yield ""
    if not held:
        yield no_tasks(report, say)


def task_details(gpu_id: str, uuid: str, task: TaskRow, seconds: float, say: Say) -> Iterator[str]:
    """Yields one task on one GPU, a line a field; `seconds` is how much of it lies in the time told about."""
    unit = say(N_("seconds"))
    memory = f"{task.gpu_memory_mib} MB" if task.gpu_memory_mib is not None else ABSENT
    fields = {
        say(N_("User")): task.username,
        say(N_("GPU model")): task.gpu_model or ABSENT,
        say(N_("GPU memory")): memory,
        say(N_("Task type")): task.task_type or ABSENT,
        say(N_("Image")): task.image or ABSENT,
        say(N_("Start")): _gmt(task.start),
    }
    if task.end is not None:
        fields[say(N_("End"))] = _gmt(task.end)
    fields |= {
        say(N_("Status")): say(N_("running")) if task.running else say(N_("ended")),
        say(N_("Time used")): f"{seconds:.1f} {unit}",
        "GPU UUID": f"APU-{uuid}",
    }
    yield f"GPU {visible(gpu_id) or ABSENT}:"
    yield from (f"  {name}: {visible(value)}" for name, value in fields.items())


def no_tasks(report: Report, say: Say) -> str:
    """Returns what stands for no tasks: there were none, or no source could tell."""
    return say(N_("no tasks")) if is_told("tasks", report) else NOT_AVAILABLE


def everything(report: Report, say: Say) -> Iterator[str]:
    """Yields all blocks of a report, each behind a blank line."""
    yield from ("", *task_summary(report, say))
    yield from ("", say(N_("GPU hardware map")) + ":")
    for hostname, rows in by_hostname(report.gpus, attrgetter("hostname")).items():
        yield from (f"{visible(hostname)}:", *hardware_map(rows, say))
    yield from ("", say(N_("Mean utilization by GPU")) + ":")
    for hostname, rows in by_hostname(report.gpus, attrgetter("hostname")).items():
        yield f"{visible(hostname)}:"
        for row in rows:
            users = holders(row.users, is_free=row.usage.unallocated_gpu_hours > 0, unused=say(N_("Unallocated")))
            yield usage_line(row.gpu, Means.of(row.usage), users, say)
    yield from ("", *averages(Means.of(report.totals), say))
    yield from ("", *task_report(report, say))


def task_summary(report: Report, say: Say) -> Iterator[str]:
    """Yields `GPU 25 (colab-gpu4): nycubme - AMD Instinct MI300X`, for each GPU that somebody held."""
    yield say(N_("GPU task summary")) + ":"
    held = [row for row in report.gpus if row.users]
    for row in held:
        name = f"GPU {row.gpu_id or ABSENT} ({row.hostname}): {joined(row.users)} - {row.model or ABSENT}"
        yield f"  {visible(name)}"
    if not held:
        yield f"  {no_tasks(report, say)}"


def hardware_map(rows: Iterable[GpuRow], say: Say) -> Iterator[str]:
    """Yields of each GPU of a node its index, DRM card, the API's number and the unique id."""
    number = say(N_("GPU id"))
    for row in rows:
        uuid = f"APU-{row.gpu_uuid}" if row.gpu_uuid else ABSENT
        yield f"  {index(row.gpu)}: {visible(f'{row.card or ABSENT}, {number} {row.gpu_id or ABSENT}, {uuid}')}"


def usage_line(gpu: int | None, means: Means, users: str, say: Say) -> str:
    """Returns `GPU[3]: GPU 使用率 18.17%, VRAM 使用率 82.27%, 使用者: nycubme`."""
    user = say(N_("User"))
    figures = [f"{word} {figure}" for word, figure in _shown(means, say)]
    return f"  {index(gpu)}: {', '.join(figures)}, {user}: {visible(users)}"


def averages(means: Means, say: Say) -> Iterator[str]:
    """Yields the means over all GPUs."""
    yield say(N_("Overall mean utilization")) + ":"
    yield from (f"  {word}: {figure}" for word, figure in _shown(means, say))


def _shown(means: Means, say: Say) -> Iterator[tuple[str, str]]:
    yield say(N_("GPU utilization")), percent(means.utilization)
    yield say(N_("VRAM utilization")), percent(means.vram)


def holders(names: Iterable[str], *, is_free: bool, unused: str) -> str:
    """Returns who held a GPU; `N/A` where no source could tell at any time."""
    return joined(names) or (unused if is_free else NOT_AVAILABLE)


def index(gpu: int | None) -> str:
    """Returns `GPU[3]`."""
    return f"GPU[{ABSENT if gpu is None else gpu}]"


def percent(ratio: float | None) -> str:
    """Returns `18.17%`, or `N/A`."""
    return NOT_AVAILABLE if ratio is None else f"{ratio * 100:.2f}%"


def _gmt(instant: str) -> str:
    """`Wed, 16 Jul 2025 08:19:32 GMT`, as the consumption API writes it."""
    return format_datetime(datetime.fromisoformat(instant).astimezone(UTC), usegmt=True)
