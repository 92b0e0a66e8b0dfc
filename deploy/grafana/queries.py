"""Every PromQL string of the dashboards, with its unit.

`max by` the contract's labels comes before any sum: series that differ beyond them (replicas of Prometheus, a
second job) are one GPU seen twice. Means are busy over observed time, from counters, never averages of gauges.
`$host`, `$user`, `$task_type` and `$price` are variables of the dashboards, `$__…` those of Grafana.
"""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.models import units

GPU_HOURS = "suffix: GPU·h"  # Grafana's own `h` would turn 48 GPU-hours into "2 days"
COUNT = units.NoUnit
GPU = "hostname, gpu, gpu_uuid"
OWNER = "username, task_type, ownership"
AT_HOST = 'hostname=~"$host"'
HELD = 'ownership=~"owned|shared"'
BY_ANYBODY = f"{AT_HOST}, {HELD}"
TASKS_OF_USER = f'{AT_HOST}, username=~"$user", task_type=~"$task_type"'
OF_USER = f"{TASKS_OF_USER}, {HELD}"
_AT_INSTANCE = f"and on (instance) amdgpu_up{{{AT_HOST}}}"  # the exporter's own metrics bear no hostname


@dataclass(frozen=True, slots=True)
class Query:
    """One expression."""

    expression: str
    unit: str
    step: str | None = None
    """The shortest step, where a rate needs a longer window: `$__rate_interval` is at least four of them."""


def _gpu(expression: str, *labels: str) -> str:
    """One value for each GPU, and each value of the labels."""
    return f"max by ({', '.join((GPU, *labels))}) ({expression})"


def _owner(expression: str) -> str:
    """One value for each GPU and owner."""
    return _gpu(expression, OWNER)


def _rate(metric: str, matchers: str = AT_HOST) -> str:
    return f"rate({metric}{{{matchers}}}[$__rate_interval])"


def _increase(metric: str, matchers: str = AT_HOST, window: str = "$__range") -> str:
    return f"increase({metric}{{{matchers}}}[{window}])"


def _by(labels: str) -> str:
    return f"sum by ({labels}) " if labels else "sum"


# GPUs by ownership.

_ALL_GPUS = _gpu(f"amdgpu_utilization_ratio{{{AT_HOST}}}")


def gpus(ownership: str) -> Query:
    """GPUs of that ownership; 0 where others are seen, absent where none is."""
    of_kind = _gpu(f'amdgpu_utilization_ratio{{{AT_HOST}, ownership="{ownership}"}}')
    return Query(f"count({of_kind}) or 0 * count({_ALL_GPUS})", COUNT)


UNREADABLE = Query(
    f"count({_gpu(f'amdgpu_up{{{AT_HOST}}}')} == 0) or 0 * count({_gpu(f'amdgpu_up{{{AT_HOST}}}')})", COUNT
)

# Use of the GPUs.


def utilization(by: str) -> Query:
    """Busy over observed time by these labels; none: over all."""
    busy, observed = _gpu(_rate("amdgpu_busy_seconds_total")), _gpu(_rate("amdgpu_observed_seconds_total"))
    return Query(f"{_by(by)}({busy}) / ({_by(by)}({observed}) > 0)", units.PercentUnit)


UTILIZATION_NOW = Query(_owner(f"amdgpu_utilization_ratio{{{AT_HOST}}}"), units.PercentUnit)
MEMORY_CONTROLLER = Query(_gpu(f"amdgpu_memory_controller_utilization_ratio{{{AT_HOST}}}"), units.PercentUnit)
_VRAM_USED = _gpu(f"amdgpu_vram_used_bytes{{{AT_HOST}}}")
_VRAM_TOTAL = _gpu(f"amdgpu_vram_total_bytes{{{AT_HOST}}}")
VRAM_NOW = Query(_owner(f"amdgpu_vram_used_bytes{{{AT_HOST}}}"), units.BytesIEC)
VRAM_RATIO_NOW = Query(f"{VRAM_NOW.expression} / on ({GPU}) group_left () {_VRAM_TOTAL}", units.PercentUnit)


def vram_used_ratio(by: str) -> Query:
    """VRAM used over VRAM of the GPUs that can be read."""
    return Query(f"{_by(by)}({_VRAM_USED}) / {_by(by)}({_VRAM_TOTAL} and {_VRAM_USED})", units.PercentUnit)


def vram_free(by: str) -> Query:
    """VRAM not used, of the GPUs that can be read."""
    return Query(f"{_by(by)}({_VRAM_TOTAL} - {_VRAM_USED})", units.BytesIEC)


def power(by: str) -> Query:
    """Power of the sockets."""
    return Query(f"{_by(by)}({_gpu(f'amdgpu_power_watts{{{AT_HOST}}}')})", units.Watt)


def energy(by: str) -> Query:
    """Energy in the range shown, from the hardware's counters."""
    joules = _gpu(_increase("amdgpu_energy_joules_total"))
    return Query(f"{_by(by)}({joules}) / 3.6e6", units.KiloWattHour)


def temperature(sensor: str) -> Query:
    """Temperature of one sensor by GPU."""
    return Query(_gpu(f'amdgpu_temperature_celsius{{{AT_HOST}, sensor="{sensor}"}}'), units.Celsius)


def clock(name: str) -> Query:
    """One clock by GPU."""
    return Query(_gpu(f'amdgpu_clock_hertz{{{AT_HOST}, clock="{name}"}}'), units.Hertz)


def xgmi(direction: str) -> Query:
    """Bytes a second over all XGMI links of a GPU, `read` or `written`."""
    links = _gpu(_rate(f"amdgpu_xgmi_{direction}_bytes_total"), "link")
    return Query(f"sum by ({GPU}) ({links})", units.BytesPerSecondSI)


# Owners.


def _running(matchers: str) -> str:
    """The tasks that run: those that ended within the hour are told of, too, with an end."""
    return f"(amdgpu_task_info{{{matchers}}} unless on ({GPU}, task_id) amdgpu_task_end_timestamp_seconds{{{AT_HOST}}})"


def _shares(matchers: str) -> str:
    """The part of each GPU that each user's tasks hold: an instant is divided equally among the tasks."""
    own = f"count by ({GPU}, username) ({_gpu(_running(matchers), 'username', 'task_id')})"
    every = f"count by ({GPU}) ({_gpu(_running(AT_HOST), 'task_id')})"
    return f"{own} / on ({GPU}) group_left () {every}"


def held(matchers: str) -> Query:
    """GPUs held by each user at each instant. Not from the counters: after an outage of the API these catch up."""
    return Query(f"sum by (username) ({_shares(matchers)})", COUNT)


def vram_held(matchers: str) -> Query:
    """VRAM used on the GPUs that each user holds at each instant."""
    return Query(f"sum by (username) ({_shares(matchers)} * on ({GPU}) group_left () {_VRAM_USED})", units.BytesIEC)


def efficiency(by: str, matchers: str) -> Query:
    """Busy over held time. Owners are booked in steps of up to a minute."""
    busy = _owner(_rate("amdgpu_owner_busy_seconds_total", matchers))
    seconds = _owner(_rate("amdgpu_owner_seconds_total", matchers))
    return Query(f"{_by(by)}({busy}) / ({_by(by)}({seconds}) > 0)", units.PercentUnit, step="1m")


def _in_range(metric: str, by: str, matchers: str) -> str:
    return f"{_by(by)}({_owner(_increase(metric, matchers))})"


def held_hours(by: str, matchers: str) -> Query:
    """GPU-hours held in the range shown."""
    return Query(f"{_in_range('amdgpu_owner_seconds_total', by, matchers)} / 3600", GPU_HOURS)


def busy_hours(by: str, matchers: str) -> Query:
    """GPU-hours of work in the range shown."""
    return Query(f"{_in_range('amdgpu_owner_busy_seconds_total', by, matchers)} / 3600", GPU_HOURS)


def idle_hours(by: str, matchers: str) -> Query:
    """GPU-hours held and idle in the range shown."""
    return Query(f"{_in_range('amdgpu_owner_idle_seconds_total', by, matchers)} / 3600", GPU_HOURS)


def efficiency_in_range(by: str, matchers: str) -> Query:
    """Busy over held time of the range shown."""
    busy, seconds = (_in_range(f"amdgpu_owner_{kind}seconds_total", by, matchers) for kind in ("busy_", ""))
    return Query(f"{busy} / ({seconds} > 0)", units.PercentUnit)


def owner_energy(by: str, matchers: str) -> Query:
    """Energy booked in the range shown."""
    return Query(f"{_in_range('amdgpu_owner_energy_joules_total', by, matchers)} / 3.6e6", units.KiloWattHour)


def cost(by: str, matchers: str) -> Query:
    """GPU-hours held times the price."""
    return Query(f"{held_hours(by, matchers).expression} * $price", COUNT)


def ranked(query: Query, count: int) -> Query:
    """The highest of an instant query; over a range each step would rank anew."""
    return Query(f"topk({count}, {query.expression})", query.unit, query.step)


def _idle_last_hour(matchers: str) -> str:
    idle = _owner(_increase("amdgpu_owner_idle_seconds_total", matchers, "1h"))
    return f"topk(20, sum by ({GPU}, username) ({idle}) > 60)"


def idle_last_hour(matchers: str) -> Query:
    """The GPUs that were held and idle longest in the last hour, by user."""
    return Query(_idle_last_hour(matchers), units.DurationInHoursMinutesSeconds)


def vram_of_idle(matchers: str) -> Query:
    """VRAM used on the same GPUs."""
    same = f"0 * {_idle_last_hour(matchers)}"
    return Query(f"{same} + on ({GPU}) group_left () {_VRAM_USED}", units.BytesIEC)


def _owner_as_label(gauge: str) -> str:
    """The label `owner`: the user's name, or the ownership where there is none."""
    ownership = f'label_replace({gauge}, "owner", "$1", "ownership", "(.*)")'
    return f'label_replace({ownership}, "owner", "$1", "username", "(.+)")'


_GAUGE = f"amdgpu_utilization_ratio{{{AT_HOST}}}"
# On gauges the names of a shared GPU are joined by `+`, which names may contain; tasks bear one name each.
_GAUGE_OF_USERS = f"({_GAUGE} and on ({GPU}) {_running(TASKS_OF_USER)})"
_UNREADABLE = f'label_replace(amdgpu_up{{{AT_HOST}}} == 0, "owner", "unreadable", "", "")'
OWNER_BY_GPU = Query(
    "max by (device, owner) ("
    f'label_replace({_owner_as_label(_GAUGE)} or {_UNREADABLE}, "device", "GPU $1", "gpu", "(.*)"))',
    COUNT,
)
OWNER_BY_HOST_AND_GPU = Query(
    f'max by (device, owner) (label_join({_owner_as_label(_GAUGE_OF_USERS)}, "device", " GPU ", "hostname", "gpu"))',
    COUNT,
)


# Annotations: what differs from one step before. The window outlasts a step and an outage, or no reset would be in it.
_RESETS = f"resets(amdgpu_observed_seconds_total{{{AT_HOST}}}[$__rate_interval]"
RESTARTS = f"max by (hostname) ({_RESETS}) > {_RESETS} offset $__interval))"
OWNER_CHANGES = (
    f"max by (hostname, gpu, username) ({_GAUGE})"
    f" unless on (hostname, gpu, username) {_GAUGE} offset $__interval"
    f" and on (hostname, gpu) {_GAUGE} offset $__interval"
)


def task_age(matchers: str) -> Query:
    """Running tasks by GPU, and for how long they have run."""
    labels = "task_id, username, task_type, project_uuid, image, gpu_id"
    task = _gpu(_running(matchers), labels)
    start = _gpu(f"amdgpu_task_start_timestamp_seconds{{{AT_HOST}}}", "task_id")
    return Query(
        f"{task} * on ({GPU}, task_id) group_left () (time() - {start})", units.DurationInDaysHoursMinutesSeconds
    )


# Identity, errors and throttling.

_IDENTITY = "model, bdf, card, driver_version, vbios_version, compute_partition, memory_partition"
READABLE = Query(
    f"{_gpu(f'amdgpu_info{{{AT_HOST}}}', _IDENTITY)} * on ({GPU}) group_left () {_gpu(f'amdgpu_up{{{AT_HOST}}}')}",
    units.BoolYesNo,
)


def ecc_errors(severity: str) -> Query:
    """ECC errors of the range shown by GPU."""
    return Query(_gpu(_increase("amdgpu_ecc_errors_total", f'{AT_HOST}, severity="{severity}"')), COUNT)


ECC_BY_SEVERITY = Query(
    f"sum by (severity) ({_gpu(_increase('amdgpu_ecc_errors_total', window='$__rate_interval'), 'severity')})", COUNT
)
RETIRED_PAGES = Query(_gpu(f"amdgpu_retired_pages{{{AT_HOST}}}"), COUNT)
PCIE_REPLAYS = Query(_gpu(_increase("amdgpu_pcie_replays_total")), COUNT)
THROTTLED = Query(
    f"sum by (reason) ({_gpu(_rate('amdgpu_throttled_seconds_total'), 'reason')})"
    f" / ignoring (reason) group_left () (sum({_gpu(_rate('amdgpu_observed_seconds_total'))}) > 0)",
    units.PercentUnit,
)

# Exporter and sources. Their series are one for each exporter, so `instance` is the key.

EXPORTERS = Query(f"count(max by (instance) (amdgpu_exporter_build_info {_AT_INSTANCE}))", COUNT)
SILENT_NODES = Query(
    f"count(max by (hostname) (last_over_time(amdgpu_up{{{AT_HOST}}}[$__range])))"
    f" - (count(max by (hostname) (amdgpu_up{{{AT_HOST}}})) or vector(0))",
    COUNT,
)
UNMATCHED = Query(f"sum(max by (instance) (amdgpu_exporter_unmatched_gpus {_AT_INSTANCE}))", COUNT)
# Every node counts the same entries of the same answer.
MALFORMED = Query(f"max(amdgpu_exporter_malformed_tasks {_AT_INSTANCE})", COUNT)
UNBOOKED = Query(f"max({_gpu(f'amdgpu_exporter_unbooked_seconds{{{AT_HOST}}}')})", units.Seconds)


def age(source: str) -> Query:
    """Time since the last good answer of `devices` or `tasks`, of the exporter for which it is longest."""
    last = f"amdgpu_exporter_{source}_last_success_timestamp_seconds"
    return Query(f"max(time() - max by (instance) ({last} {_AT_INSTANCE}))", units.Seconds)


def duration(histogram: str) -> Query:
    """The 99th percentile of a histogram of the exporter."""
    rates = f"max by (instance, le) (rate(amdgpu_exporter_{histogram}_duration_seconds_bucket[$__rate_interval])"
    return Query(f"histogram_quantile(0.99, sum by (le) ({rates} {_AT_INSTANCE})))", units.Seconds, step="1m")


def events(counter: str, label: str) -> Query:
    """What a counter of the exporter counted in each step, by one of its labels."""
    increase = f"increase(amdgpu_exporter_{counter}_total[$__rate_interval]) {_AT_INSTANCE}"
    keys = "instance, gpu_uuid" if counter == "device_errors" else "instance"
    return Query(f"sum by ({label}) (max by ({keys}, {label}) ({increase}))", COUNT)
