"""Every PromQL text the report sends, with its name and unit.

Three rules keep the answers the same on Prometheus 2 and 3, VictoriaMetrics, Thanos and Mimir:

- A counter comes as samples, never as `rate()` or `increase()`: Prometheus extrapolates those to the range's
  edges, VictoriaMetrics does not.
- A sample comes with its own timestamp. Looked up at an instant it may be up to five minutes old (Prometheus)
  or a whole step (VictoriaMetrics); with its timestamp beside it that does not matter.
- No range relies on its left edge, which is part of the range on Prometheus 2 and not on Prometheus 3.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from string import Template

from exporter.model import Amounts

COUNTER_METRICS = (
    "amdgpu_observed_seconds_total",
    "amdgpu_busy_seconds_total",
    "amdgpu_idle_seconds_total",
    "amdgpu_idle_vram_held_seconds_total",
    "amdgpu_vram_used_byte_seconds_total",
    "amdgpu_energy_joules_total",
)
"""In the order of `Amounts`."""

OWNER_METRICS = (
    "amdgpu_owner_seconds_total",
    "amdgpu_owner_busy_seconds_total",
    "amdgpu_owner_idle_seconds_total",
    None,
    "amdgpu_owner_vram_used_byte_seconds_total",
    "amdgpu_owner_energy_joules_total",
)
"""In the order of `Amounts`; owners have no series of the missing one."""

VRAM_USED = "amdgpu_vram_used_bytes"

assert len(COUNTER_METRICS) == len(OWNER_METRICS) == len(Amounts._fields)


@dataclass(frozen=True, slots=True)
class Question:
    """A query ready to be sent."""

    name: str
    promql: str


@dataclass(frozen=True, slots=True)
class Query:
    """A query with holes."""

    name: str
    unit: str
    text: str
    """`$scope` stands for further matchers; `$range` and `$offset` for durations."""

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
        return Question(self.name, Template(self.text).substitute(holes))


COUNTERS = Query(
    "device counters",
    "s, byte·s (VRAM), J (energy)",
    f'{{__name__=~"{"|".join(COUNTER_METRICS)}",$scope}}$offset',
)

# Of a plain selector, and only of one, both engines give the sample's own time rather than the evaluation's.
# All counters of a GPU come from one scrape, so one of them speaks for all.
COUNTER_TIMES = Query(
    "times of the device counters", "Unix s", "timestamp(amdgpu_observed_seconds_total{$scope}$offset)"
)

# VictoriaMetrics returns the staleness markers among them, as NaN.
SAMPLES = Query(
    "device samples",
    "s, byte·s (VRAM), J (energy), byte (VRAM in use)",
    f'{{__name__=~"{"|".join((*COUNTER_METRICS, VRAM_USED))}",$scope}}[$range]',
)

OWNER_COUNTERS = Query(
    "owner counters",
    "s, byte·s (VRAM), J (energy)",
    f'{{__name__=~"{"|".join(filter(None, OWNER_METRICS))}",$scope}}',
)

OWNER_TIMES = Query("times of the owner counters", "Unix s", "timestamp(amdgpu_owner_seconds_total{$scope})")

OWNER_SAMPLES = Query(
    "owner samples",
    "s, byte·s (VRAM), J (energy)",
    f'{{__name__=~"{"|".join(filter(None, OWNER_METRICS))}",$scope}}[$range]',
)

SCRAPES = Query(
    "scrapes of the typical GPU",
    "scrapes in the range",
    "quantile(0.5, count_over_time(amdgpu_observed_seconds_total{$scope}[$range]))",
)

VRAM_PEAK = Query(
    "most VRAM in use",
    "byte",
    f"max by (gpu_uuid) (max_over_time({VRAM_USED}{{$scope}}[$range]))",
)

VRAM_TOTAL = Query(
    "VRAM of each GPU",
    "byte",
    "max by (gpu_uuid) (max_over_time(amdgpu_vram_total_bytes{$scope}[$range]))",
)

READ_BEFORE = Query(
    "GPUs read before the window",
    "1 if it was",
    "max by (gpu_uuid) (max_over_time(amdgpu_up{$scope}[$range]))",
)

PRESENCE = Query("GPUs scraped", "GPUs", "count(amdgpu_observed_seconds_total{$scope})")

# Sent to /api/v1/series, which reads the index alone: a week costs nothing.
IDENTITY = Query("identities", "1", "amdgpu_info{$scope}")


def any_of(label: str, values: Collection[str]) -> str:
    """The matcher of a label that has one of these values; engines look such alternatives up one by one."""
    pattern = "|".join(re.escape(value) for value in sorted(values))
    escaped = pattern.replace("\\", "\\\\").replace('"', '\\"')
    return f'{label}=~"{escaped}"'


def _duration(seconds: float) -> str:
    """In whole milliseconds, which every engine reads."""
    return f"{round(seconds * 1000)}ms"
