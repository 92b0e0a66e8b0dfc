"""The blocks of lines that people know from the script before: tasks by GPU, the hardware, usage and averages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final, NamedTuple

from exporter.names import natural, visible
from exporter.report.accounting.figures import Usage
from exporter.report.accounting.rows import GpuRow, Report, TaskRow
from exporter.report.languages import Words
from exporter.report.render.figures import ABSENT
from exporter.report.render.headline import dates

NOT_AVAILABLE: Final = "N/A"
_RULE: Final = "-" * 40


class Means(NamedTuple):
    """Of one GPU or of several, 0 to 1; None where nothing was observed."""

    utilization: float | None
    vram: float | None

    @classmethod
    def of(cls, usage: Usage) -> Means:
        """Those of a row."""
        return cls(usage.mean_utilization_ratio, usage.mean_vram_used_ratio)


def task_summary(report: Report, words: Words) -> Iterator[str]:
    """`GPU 25 (colab-gpu4): nycubme - AMD Instinct MI300X`, for each GPU that somebody held."""
    yield f"{words.task_summary}:"
    held = [row for row in report.gpus if row.users]
    for row in held:
        name = f"GPU {row.gpu_id or ABSENT} ({row.hostname}): {'+'.join(row.users)} - {row.model or ABSENT}"
        yield f"  {visible(name)}"
    if not held:
        yield f"  {nothing('tasks', report, words)}"


def task_report(report: Report, words: Words) -> Iterator[str]:
    """Every task, under each of its GPUs, by node; on a GPU in the order of the report, by time."""
    yield f"=== {dates(report)} {words.task_report} ==="
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
        yield from task_details(gpu_id, uuid, task, task.seconds_in_window, words)
        yield ""
    if not held:
        yield nothing("tasks", report, words)


def task_details(gpu_id: str, uuid: str, task: TaskRow, seconds: float, words: Words) -> Iterator[str]:
    """One task on one GPU, a line a field; `seconds` is how much of it lies in the stretch of time told about."""
    memory = f"{task.gpu_memory_mib} MB" if task.gpu_memory_mib is not None else ABSENT
    fields = {
        words.user: task.username,
        words.gpu_model: task.gpu_model or ABSENT,
        words.gpu_memory: memory,
        words.task_type: task.task_type or ABSENT,
        words.image: task.image or ABSENT,
        words.start: _gmt(task.start),
    }
    if task.end is not None:
        fields[words.end] = _gmt(task.end)
    fields |= {
        words.status: words.running if task.running else words.ended,
        words.time_used: f"{seconds:.1f} {words.seconds}",
        "GPU UUID": f"APU-{uuid}",
    }
    yield f"GPU {visible(gpu_id) or ABSENT}:"
    yield from (f"  {name}: {visible(value)}" for name, value in fields.items())


def hardware_map(rows: Iterable[GpuRow], words: Words) -> Iterator[str]:
    """Of each GPU of a node its index, DRM card, the API's number and the unique id."""
    for row in rows:
        uuid = f"APU-{row.gpu_uuid}" if row.gpu_uuid else ABSENT
        places = f"{row.card or ABSENT}, {words.gpu_id} {row.gpu_id or ABSENT}, {uuid}"
        yield f"  {index(row.gpu)}: {visible(places)}"


def usage_line(gpu: int | None, means: Means, users: str, words: Words) -> str:
    """`GPU[3]: GPU 使用率 18.17%, VRAM 使用率 82.27%, 使用者: nycubme`."""
    figures = f"{words.gpu_utilization} {percent(means.utilization)}, {words.vram_utilization} {percent(means.vram)}"
    return f"  {index(gpu)}: {figures}, {words.user}: {visible(users)}"


def averages(means: Means, words: Words) -> Iterator[str]:
    """The means over all GPUs."""
    yield f"{words.overall_averages}:"
    yield f"  {words.gpu_utilization}: {percent(means.utilization)}"
    yield f"  {words.vram_utilization}: {percent(means.vram)}"


def holders(row: GpuRow, words: Words) -> str:
    """Who held a GPU in the window; `N/A` where no source could tell at any time."""
    return "+".join(row.users) or (words.unused if row.usage.unallocated_gpu_hours else NOT_AVAILABLE)


def nothing(rows: str, report: Report, words: Words) -> str:
    """What stands for an empty list of the report: there are none, or no source could tell."""
    if not is_told(rows, report):
        return NOT_AVAILABLE
    return words.no_tasks if rows == "tasks" else words.nothing


def is_told(rows: str, report: Report) -> bool:
    """Whether an empty list of the report means that there are none; if not, no source could tell."""
    tasks, history = report.sources.tasks, report.sources.history
    match rows:
        case "tasks" | "projects":
            return tasks == "api"
        case "waste":
            return tasks == "api" and history == "prometheus"
        case "users" | "task_types":
            return tasks != "none"
        case _:
            return True


def index(gpu: int | None) -> str:
    """`GPU[3]`."""
    return f"GPU[{ABSENT if gpu is None else gpu}]"


def percent(ratio: float | None) -> str:
    """`18.17%`, or `N/A`."""
    return NOT_AVAILABLE if ratio is None else f"{ratio * 100:.2f}%"


def _gmt(instant: str) -> str:
    """`Wed, 16 Jul 2025 08:19:32 GMT`, as the consumption API writes it."""
    return format_datetime(datetime.fromisoformat(instant).astimezone(UTC), usegmt=True)
