"""A table of metrics as a reading: units converted, and every way of saying "not available" absent.

The table is the bindings' answer or the kernel's file decoded, with the same names. The bindings turn a field of all
ones, in the width that they hold it in, into `'N/A'`. The firmware's own field can be narrower (a 32-bit residency
held in 64 bits), so its all ones can slip through; here they are absent too. A 16-bit field can not hold a genuine
65535; a 64-bit counter can, and 255 is genuine everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, TypeVar

from exporter.model import Health, Reading

T = TypeVar("T")

_ALL_ONES = {0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF}
_ALL_ONES_16 = 0xFFFF

_TEMPERATURES = {"hotspot": "temperature_hotspot", "memory": "temperature_mem", "vrsoc": "temperature_vrsoc"}
_RESIDENCIES = {
    "prochot": "prochot_residency_acc",
    "ppt": "ppt_residency_acc",
    "socket_thermal": "socket_thm_residency_acc",
    "vr_thermal": "vr_thm_residency_acc",
    "hbm_thermal": "hbm_thm_residency_acc",
}
_SEVERITIES = {
    "correctable": "correctable_count",
    "uncorrectable": "uncorrectable_count",
    "deferred": "deferred_count",
}

_JOULES = 2.0**-16
"""The unit of `energy_accumulator`: 15.259 µJ."""
_HERTZ = 1e6
"""Clocks are in MHz."""
_XGMI_BYTES = 1024
"""The unit of `xgmi_*_data_acc`: "in KByte", as the firmware's table has it (amdgpu: smu_v13_0_6_pmfw.h)."""


def reading(metrics: Mapping[str, Any], vram_used: object, taken: float) -> Reading:
    """One reading.

    Args:
        metrics: the answer of amdsmi_get_gpu_metrics_info.
        vram_used: the answer of amdsmi_get_gpu_memory_usage, in bytes; None where it gave none.
        taken: CLOCK_MONOTONIC seconds of the answer.
    """
    gfx_clocks = metrics.get("current_gfxclks", [])
    return Reading(
        taken=taken,
        utilization=_utilization(metrics),
        memory_controller_utilization=_ratio(metrics.get("average_umc_activity")),
        vram_used_bytes=number(vram_used),
        power_watts=_small(metrics.get("current_socket_power")),
        energy_joules=_scaled(number(metrics.get("energy_accumulator")), _JOULES),
        temperatures_celsius=_present({key: _small(metrics.get(name)) for key, name in _TEMPERATURES.items()}),
        clocks_hertz=_present(
            {
                "gfx": _scaled(_mean(_small(clock) for clock in gfx_clocks), _HERTZ),
                "memory": _scaled(_small(metrics.get("current_uclk")), _HERTZ),
            }
        ),
        throttle_residency=_present({key: number(metrics.get(name)) for key, name in _RESIDENCIES.items()}),
        throttle_ticks=number(metrics.get("accumulation_counter")),
        xgmi_read_bytes=_links(metrics.get("xgmi_read_data_acc", [])),
        xgmi_written_bytes=_links(metrics.get("xgmi_write_data_acc", [])),
        pcie_replays=number(metrics.get("pcie_replay_count_acc")),
    )


def health(ecc: Mapping[str, object] | None, pages: list[Any] | None) -> Health:
    """The slow facts.

    Args:
        ecc: the answer of amdsmi_get_gpu_total_ecc_count; None where it gave none.
        pages: the answer of amdsmi_get_gpu_bad_page_info; None where it gave none.
    """
    return Health(
        ecc_errors=_present({key: number((ecc or {}).get(name)) for key, name in _SEVERITIES.items()}),
        retired_pages=None if pages is None else len(pages),
    )


def number(value: object) -> int | None:
    """A field of 32 or 64 bits; None for `'N/A'` and all ones."""
    return value if isinstance(value, int) and value not in _ALL_ONES else None


def text(value: object) -> str:
    """A text field; empty for `'N/A'` and what is no text."""
    return value.strip() if isinstance(value, str) and value.strip() != "N/A" else ""


def _small(value: object) -> int | None:
    """A field of 16 bits."""
    return None if value == _ALL_ONES_16 else number(value)


def _ratio(percent: object) -> float | None:
    """An activity in percent; beyond 100 it is no activity, which is for `plausibility` to say."""
    value = _small(percent)
    return None if value is None else value / 100


def _utilization(metrics: Mapping[str, Any]) -> float | None:
    """The average over the package; where a partitioned GPU has none, the mean of the XCCs that report.

    If one of them is beyond 1 all may be misread (a table read at a wrong place): then that one, which nobody believes.
    """
    average = _ratio(metrics.get("average_gfx_activity"))
    if average is not None:
        return average
    partitions = metrics.get("xcp_stats.gfx_busy_inst", [])
    xccs = [ratio for xcc in chain.from_iterable(partitions) if (ratio := _ratio(xcc)) is not None]
    return max(xccs) if xccs and max(xccs) > 1 else _mean(xccs)


def _mean(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value * unit


def _links(counters: Iterable[object]) -> dict[str, int]:
    """Bytes by link, from a list by link."""
    values = {str(link): number(counter) for link, counter in enumerate(counters)}
    return {link: value * _XGMI_BYTES for link, value in values.items() if value is not None}


def _present(values: Mapping[str, T | None]) -> dict[str, T]:
    return {key: value for key, value in values.items() if value is not None}
