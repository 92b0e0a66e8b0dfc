"""Every PromQL text the report sends, with its name and unit.

Three rules keep the answers the same on Prometheus 2 and 3, VictoriaMetrics, Thanos and Mimir:

- A counter comes as samples, never as `rate()` or `increase()`: Prometheus extrapolates those to the range's
  edges, VictoriaMetrics does not.
- A sample comes with its own timestamp. Looked up at an instant it may be up to five minutes old (Prometheus)
  or a whole step (VictoriaMetrics); with its timestamp beside it that does not matter.
- No range relies on its left edge, which is part of the range on Prometheus 2 and not on Prometheus 3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from string import Template

_QUESTION_GPUS = 400
"""GPUs named in one question: VictoriaMetrics reads 16 KiB of it, and each unique id takes 17 bytes."""
_OF_GPU = frozenset({"gpu_uuid"})
_OF_COUNTER = frozenset({"__name__", "gpu_uuid"})
_UNQUOTABLE = re.compile("[\0-\x1f\x7f\ufffd]")
"""What Prometheus refuses within quotes: a line end, and what it takes for broken UTF-8; the others go with them."""
_ANSWER_SAMPLES = 60_000
"""In one answer: some 12 MB while it is decoded. Prometheus refuses more than 50 million."""
LONGEST_SECONDS = 31.5 * 86400.0
"""Looked at by one question: a month. Mimir's usual limit is 32 days (`max_total_query_length`)."""


@dataclass(frozen=True, slots=True)
class Question:
    """A query ready to be sent."""

    name: str
    promql: str
    labels: frozenset[str] = frozenset()
    """Those that every series of the answer has."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query with holes."""

    name: str
    unit: str
    text: str
    """`$scope` stands for further matchers; `$range` and `$offset` for durations."""
    labels: frozenset[str] = frozenset()
    """Those that every series of the answer has."""

    def ask(self, scope: str = "", *, range_seconds: float = 0.0, offset_seconds: float = 0.0) -> Question:
        """Fills the holes.

        Args:
            scope: Label matchers to join to the selector's.
            range_seconds: The width of the range selector.
            offset_seconds: How far the selector looks past the instant of evaluation.
        """
        # Thanos and Mimir may move an evaluation to a multiple of the step; a negative offset stays where it is.
        offset = f" offset -{_duration(offset_seconds)}" if offset_seconds else ""
        holes = {"scope": scope, "range": _duration(range_seconds), "offset": offset}
        return Question(self.name, Template(self.text).substitute(holes), self.labels)


@dataclass(frozen=True, slots=True)
class CounterGroup:
    """Counters that one scrape tells together, and how to get at them."""

    metrics: tuple[str | None, ...]
    """In the order of `Amounts`; None where the group has no such metric. The first speaks for the group."""
    values: Query
    samples: Query
    """All in a range. VictoriaMetrics returns the staleness markers among them, as NaN."""
    latest: Query
    """The last of each series in a range, be it gone since."""


def _counter_group(name: str, *metrics: str | None) -> CounterGroup:
    selector = f'{{__name__=~"{"|".join(filter(None, metrics))}",$scope}}'
    unit = "s, byte·s (VRAM), J (energy)"
    return CounterGroup(
        metrics,
        Query(f"{name} counters", unit, f"{selector}$offset", _OF_COUNTER),
        Query(f"{name} samples", unit, f"{selector}[$range]", _OF_COUNTER),
        Query(f"latest {name} samples", unit, f"last_over_time({selector}[$range])", _OF_COUNTER),
    )


DEVICES = _counter_group(
    "device",
    "amdgpu_observed_seconds_total",
    "amdgpu_busy_seconds_total",
    "amdgpu_idle_seconds_total",
    "amdgpu_idle_vram_held_seconds_total",
    "amdgpu_vram_used_byte_seconds_total",
    "amdgpu_energy_joules_total",
)

OWNERS = _counter_group(
    "owner",
    "amdgpu_owner_seconds_total",
    "amdgpu_owner_busy_seconds_total",
    "amdgpu_owner_idle_seconds_total",
    None,
    "amdgpu_owner_vram_used_byte_seconds_total",
    "amdgpu_owner_energy_joules_total",
)

# A gauge, read like counters; its column is that of observed seconds, of which it tells a part.
UNBOOKED = _counter_group("unbooked", "amdgpu_exporter_unbooked_seconds", *[None] * 5)

# A plain selector it must be: only of one do both engines give the sample's own time, not the evaluation's.
SCRAPE_TIMES = Query("times of the scrapes", "Unix s", "timestamp(amdgpu_up{$scope}$offset)", _OF_GPU)

SCRAPES = Query(
    "scrapes of the typical GPU",
    "scrapes in the range",
    "quantile(0.5, count_over_time(amdgpu_observed_seconds_total{$scope}[$range]))",
)

VRAM_PEAK = Query(
    "most VRAM in use",
    "byte",
    "max by (gpu_uuid) (max_over_time(amdgpu_vram_used_bytes{$scope}[$range]))",
    _OF_GPU,
)

VRAM_TOTAL = Query("VRAM of each GPU", "byte", "max by (gpu_uuid) (amdgpu_vram_total_bytes{$scope})", _OF_GPU)

VRAM_TOTAL_EARLIER = Query(
    "VRAM of GPUs that fell silent",
    "byte",
    "max by (gpu_uuid) (max_over_time(amdgpu_vram_total_bytes{$scope}[$range]))",
    _OF_GPU,
)

GPU_IDS = Query(
    "numbers of GPUs",
    "1",
    'group by (gpu_uuid, gpu_id) (last_over_time(amdgpu_task_info{gpu_id!="",$scope}[$range]))',
    frozenset({"gpu_uuid", "gpu_id"}),
)

READ_BEFORE = Query(
    "GPUs read before the window",
    "1 if it was",
    "max by (gpu_uuid) (max_over_time(amdgpu_up{$scope}[$range]))",
    _OF_GPU,
)

SCRAPED = Query(
    "GPUs that exporters told of",
    "1 if one did",
    "group by (gpu_uuid) (last_over_time(amdgpu_up{$scope}[$range]))",
    _OF_GPU,
)

BY_GPU_DAILY = Query(
    "device counters of earlier days",
    "s, J (energy)",
    'max by (__name__, gpu_uuid) ({__name__=~"amdgpu_(observed_seconds|busy_seconds|idle_seconds|energy_joules)_total"'
    ",$scope})",
)

# The series of nobody's and of unknown time are served as long as the exporter runs, unlike those of users.
UNOWNED_DAILY = Query(
    "counters of nobody of earlier days",
    "s",
    "sum by (__name__, gpu_uuid) (max by (__name__, gpu_uuid, ownership) "
    '({__name__=~"amdgpu_owner_(|busy_|idle_)seconds_total",ownership=~"unallocated|unknown",$scope}))',
)

PRESENCE = Query("GPUs scraped", "GPUs", "count(amdgpu_observed_seconds_total{$scope})")

# Sent to /api/v1/series, which reads the index alone: a week costs nothing.
IDENTITY = Query("identities", "1", '{__name__=~"amdgpu_info|amdgpu_alias_info|amdgpu_observed_seconds_total",$scope}')

TASKS_OF_GPUS = Query("which GPU a task was seen on", "1", "amdgpu_task_info{$scope}")

# An exporter tells of a task by its id: one without would be no label.
_OF_TASK = frozenset({"gpu_uuid", "task_id"})

TASK_STARTS = Query(
    "starts of tasks",
    "Unix s",
    'last_over_time(amdgpu_task_start_timestamp_seconds{task_id!="",$scope}[$range])',
    _OF_TASK,
)

TASK_ENDS = Query(
    "ends of tasks",
    "Unix s",
    'last_over_time(amdgpu_task_end_timestamp_seconds{task_id!="",$scope}[$range])',
    _OF_TASK,
)

TASKS_AGAIN = Query(
    "ids of tasks that were used again",
    "s",
    'max_over_time(amdgpu_task_start_timestamp_seconds{task_id!="",$scope}[$range])'
    ' - min_over_time(amdgpu_task_start_timestamp_seconds{task_id!="",$scope}[$range]) > 0',
    _OF_TASK,
)

TASK_SAMPLES = Query(
    "samples of tasks",
    "1, Unix s",
    '{__name__=~"amdgpu_task_(info|start_timestamp_seconds|end_timestamp_seconds)",$scope}[$range]',
    _OF_COUNTER,
)

REFRESH_SAMPLES = Query(
    "refreshes of tasks", "Unix s", "amdgpu_exporter_tasks_last_success_timestamp_seconds{$scope}[$range]"
)

SCRAPED_CELLS = Query("scrapes of GPUs", "scrapes in the range", "count_over_time(amdgpu_up{$scope}[$range])", _OF_GPU)

TASKS_KNOWN_FIRST = Query(
    "first refreshes of tasks",
    "Unix s",
    "min_over_time(amdgpu_exporter_tasks_last_success_timestamp_seconds{$scope}[$range])",
)

TASKS_KNOWN_LAST = Query(
    "last refreshes of tasks",
    "Unix s",
    "max_over_time(amdgpu_exporter_tasks_last_success_timestamp_seconds{$scope}[$range])",
)


def batches(uuids: Collection[str], samples_each: float) -> list[list[str]]:
    """Returns GPUs in batches whose ids fit one question and whose samples fit one answer."""
    size = min(_QUESTION_GPUS, max(1, int(_ANSWER_SAMPLES / max(1.0, samples_each))))
    ordered = sorted(uuids)
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]


def pieces(start: float, end: float) -> list[tuple[float, float]]:
    """Returns a stretch of time in parts that one question each may look at, in the order of time."""
    count = max(1, math.ceil((end - start) / LONGEST_SECONDS))
    edges = [start + (end - start) * n / count for n in range(count)]
    return list(pairwise([*edges, end]))


def any_of(label: str, values: Collection[str]) -> str:
    """Returns the matcher of a label that has one of these values; engines look such alternatives up one by one."""
    pattern = "|".join(re.escape(value) for value in sorted(values))
    escaped = pattern.replace("\\", "\\\\").replace('"', '\\"')
    quoted = _UNQUOTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped)
    return f'{label}=~"{quoted}"'


def _duration(seconds: float) -> str:
    """Returns a duration in whole milliseconds, which every engine reads."""
    return f"{round(seconds * 1000)}ms"
