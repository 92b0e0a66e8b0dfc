"""Every PromQL text that a look at the cluster sends.

None reads more than an index and the samples of each GPU's last minutes, but those about one user, and about GPUs that
may be idle.
"""

from __future__ import annotations

from typing import Final

from exporter.report.history.queries import Query

GAUGES: Final = Query(
    "GPUs now",
    "by metric",
    '{__name__=~"amdgpu_(up|utilization_ratio|vram_used_bytes|vram_total_bytes|power_watts'
    '|task_info|task_(start|end)_timestamp_seconds)",$scope}',
    frozenset({"__name__", "hostname", "gpu", "gpu_uuid"}),
)
SCRAPED_AT: Final = Query("time of the newest scrape", "Unix s", "max(timestamp(amdgpu_up{$scope}))")

# Sent to /api/v1/series, which reads the index alone.
KNOWN: Final = Query("GPUs of the last day", "1", "amdgpu_up{$scope}")

# Series as they are, of each replica: to aggregate over hundreds of instants costs Prometheus more than to read them.
OBSERVED_AND_IDLE: Final = Query(
    "observed and idle time",
    "s",
    '{__name__=~"amdgpu_(observed|idle)_seconds_total",$scope}',
    frozenset({"__name__", "gpu_uuid"}),
)
LAST_SEEN: Final = Query("GPUs that reported", "1", "amdgpu_up{$scope}", frozenset({"gpu_uuid"}))

# Each owner's series begins at 0.
USED_BY: Final = Query(
    "a user's counters",
    "s",
    '{__name__=~"amdgpu_owner_(|busy_|idle_)seconds_total",$scope}',
    frozenset({"__name__", "gpu_uuid"}),
)
USED_BY_LABELS: Final = Query("a user's series", "1", "amdgpu_owner_seconds_total{$scope}")
