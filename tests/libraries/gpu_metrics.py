"""The bytes of an MI300X's `gpu_metrics` file, as the Linux driver writes them.

Written from the driver's definitions (drivers/gpu/drm/amd/include/kgd_pp_interface.h: `struct gpu_metrics_v1_4` to
`v1_8`, `amdgpu_xcp_metrics*`, `amdgpu_metrics_attr_*`; pm/swsmu/smu13/smu_v13_0_6_ppt.h: the attributes of 1.9), and
not from the exporter's decoder, which it is there to check. Like the driver it begins with all ones: what a revision
has and the firmware does not tell stays all ones.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

XCCS = 8
"""Accelerator complex dies of an MI300X."""
LINKS = 8
"""XGMI links that the tables have room for."""

U8, U16, U32, U64 = ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64
_Field = tuple[str, Any]


@dataclass(frozen=True)
class Telemetry:
    """What the firmware of one GPU says, in the units of the file."""

    temperature_hotspot: int = 48
    temperature_mem: int = 44
    temperature_vrsoc: int = 46
    """The three in °C."""
    curr_socket_power: int = 153
    """W."""
    average_gfx_activity: int = 37
    average_umc_activity: int = 12
    """The two in percent."""
    gfx_busy_inst: tuple[int, ...] = (30, 44, 30, 44, 30, 44, 30, 44)
    """Percent by XCC; their mean is the average, as the firmware's is."""
    energy_accumulator: int = 987_654_321
    """2⁻¹⁶ J."""
    accumulation_counter: int = 1_000_000
    prochot_residency_acc: int = 0
    ppt_residency_acc: int = 125_000
    socket_thm_residency_acc: int = 3_000
    vr_thm_residency_acc: int = 20
    hbm_thm_residency_acc: int = 1
    """Throttled, in ticks of the accumulation counter."""
    current_gfxclk: tuple[int, ...] = (2100, 2090, 2080, 2070, 2060, 2050, 2040, 2030)
    """MHz by XCC."""
    current_uclk: int = 1300
    """MHz."""
    xgmi_read_data_acc: tuple[int, ...] = (0, 11, 22, 33, 44, 55, 66, 77)
    xgmi_write_data_acc: tuple[int, ...] = (0, 101, 202, 303, 404, 505, 606, 707)
    """The two in KiB by link."""
    pcie_replay_count_acc: int = 5
    system_clock_counter: int = 123_456_789_000
    """ns."""
    firmware_timestamp: int = 9_876_543_210
    """10 ns."""
    rest: dict[str, int] = field(
        default_factory=lambda: {
            "pcie_link_width": 16,
            "pcie_link_speed": 320,
            "xgmi_link_width": 16,
            "xgmi_link_speed": 32,
            "gfxclk_lock_status": 0,
            "mem_max_bandwidth": 5300,
            "gfx_activity_acc": 4_000_000,
            "mem_activity_acc": 1_000_000,
            "pcie_bandwidth_acc": 77,
            "pcie_bandwidth_inst": 1,
            "pcie_l0_to_recov_count_acc": 2,
            "pcie_replay_rover_count_acc": 0,
            "pcie_nak_sent_count_acc": 0,
            "pcie_nak_rcvd_count_acc": 0,
            "pcie_lc_perf_other_end_recovery": 0,
        }
    )
    """Fields that the exporter does not read, so that none of them reads as absent by chance."""


def pack(telemetry: Telemetry, revision: str, partitions: int = 1) -> bytes:
    """Returns the file's bytes.

    Args:
        telemetry: what the firmware says.
        revision: `1.4` to `1.9`.
        partitions: compute partitions, by which 1.6 to 1.8 group the XCCs.
    """
    if revision == "1.9":
        return pack_attributes(telemetry)
    table = _TABLES[revision]
    data = bytearray(b"\xff" * ctypes.sizeof(table))
    metrics = table.from_buffer(data)
    metrics.structure_size, metrics.format_revision, metrics.content_revision = len(data), 1, int(revision[2:])
    for name, value in _values(telemetry).items():
        if hasattr(metrics, name):
            _store(metrics, name, value)
    if hasattr(metrics, "xcp_stats"):
        metrics.num_partition = partitions
        for partition, xccs in zip(metrics.xcp_stats, xccs_of(partitions), strict=False):
            for name, value in _by_xcc(telemetry, xccs).items():
                if hasattr(partition, name):
                    _store(partition, name, value)
    return bytes(data)


def xccs_of(partitions: int) -> list[range]:
    """Returns which XCCs each compute partition has."""
    each = XCCS // partitions
    return [range(first, first + each) for first in range(0, XCCS, each)]


def _busy_acc(telemetry: Telemetry, xcc: int) -> int:
    """Returns a counter that differs by XCC and is far from any percentage, should someone read it as one."""
    return 1_000_000 * (xcc + 1) + telemetry.gfx_busy_inst[xcc]


def _values(telemetry: Telemetry) -> dict[str, Any]:
    """Returns the fields by the driver's name, but those of partitions."""
    said = {name: value for name, value in vars(telemetry).items() if name not in {"rest", "gfx_busy_inst"}}
    # 1.4 and 1.5 have a field for each engine; the driver fills it, and an MI300X has four of them.
    return said | telemetry.rest | {"vcn_activity": [0] * 4, "xgmi_link_status": [1] * LINKS}


def _store(target: Any, name: str, value: int | Sequence[int]) -> None:
    if isinstance(value, int):
        setattr(target, name, value)
    else:
        for place, element in enumerate(value):
            getattr(target, name)[place] = element


def _structure(name: str, *fields: _Field) -> Any:
    """Returns a C structure with the compiler's own alignment."""
    return type(name, (ctypes.Structure,), {"_fields_": list(fields)})


_HEADER: list[_Field] = [("structure_size", U16), ("format_revision", U8), ("content_revision", U8)]
_SENSORS: list[_Field] = [
    ("temperature_hotspot", U16),
    ("temperature_mem", U16),
    ("temperature_vrsoc", U16),
    ("curr_socket_power", U16),
    ("average_gfx_activity", U16),
    ("average_umc_activity", U16),
]
_ENERGY: list[_Field] = [("energy_accumulator", U64), ("system_clock_counter", U64)]
_THROTTLE_STATUS: list[_Field] = [("throttle_status", U32)]
_RESIDENCIES: list[_Field] = [
    ("accumulation_counter", U32),
    ("prochot_residency_acc", U32),
    ("ppt_residency_acc", U32),
    ("socket_thm_residency_acc", U32),
    ("vr_thm_residency_acc", U32),
    ("hbm_thm_residency_acc", U32),
]
_TRAFFIC: list[_Field] = [
    ("gfxclk_lock_status", U32),
    ("pcie_link_width", U16),
    ("pcie_link_speed", U16),
    ("xgmi_link_width", U16),
    ("xgmi_link_speed", U16),
    ("gfx_activity_acc", U32),
    ("mem_activity_acc", U32),
    ("pcie_bandwidth_acc", U64),
    ("pcie_bandwidth_inst", U64),
    ("pcie_l0_to_recov_count_acc", U64),
    ("pcie_replay_count_acc", U64),
    ("pcie_replay_rover_count_acc", U64),
]
_NAKS: list[_Field] = [("pcie_nak_sent_count_acc", U32), ("pcie_nak_rcvd_count_acc", U32)]
_XGMI: list[_Field] = [("xgmi_read_data_acc", U64 * LINKS), ("xgmi_write_data_acc", U64 * LINKS)]
_LINK_STATUS: list[_Field] = [("xgmi_link_status", U16 * LINKS), ("padding", U16)]
_CLOCKS: list[_Field] = [
    ("firmware_timestamp", U64),
    ("current_gfxclk", U16 * XCCS),
    ("current_socclk", U16 * 4),
    ("current_vclk0", U16 * 4),
    ("current_dclk0", U16 * 4),
    ("current_uclk", U16),
]
_BANDWIDTH: list[_Field] = [("mem_max_bandwidth", U64)]


def _partitioned(jpeg_engines: int, *counters: str) -> list[_Field]:
    """Returns the end of 1.6 to 1.8: room for eight partitions of eight XCCs each."""
    partition = _structure(
        "amdgpu_xcp_metrics",
        ("gfx_busy_inst", U32 * XCCS),
        ("jpeg_busy", U16 * jpeg_engines),
        ("vcn_busy", U16 * 4),
        *((counter, U64 * XCCS) for counter in ("gfx_busy_acc", *counters)),
    )
    return [("num_partition", U16), ("xcp_stats", partition * 8), ("pcie_lc_perf_other_end_recovery", U32)]


_BELOW_HOST_LIMIT = [
    "gfx_below_host_limit_ppt_acc",
    "gfx_below_host_limit_thm_acc",
    "gfx_low_utilization_acc",
    "gfx_below_host_limit_total_acc",
]
_TABLES = {
    "1.4": _structure(
        "gpu_metrics_v1_4",
        *(*_HEADER, *_SENSORS, ("vcn_activity", U16 * 4)),
        *(*_ENERGY, *_THROTTLE_STATUS, *_TRAFFIC, *_XGMI, *_CLOCKS, ("padding", U16)),
    ),
    "1.5": _structure(
        "gpu_metrics_v1_5",
        *(*_HEADER, *_SENSORS, ("vcn_activity", U16 * 4), ("jpeg_activity", U16 * 32)),
        *(*_ENERGY, *_THROTTLE_STATUS, *_TRAFFIC, *_NAKS, *_XGMI, *_CLOCKS, ("padding", U16)),
    ),
    "1.6": _structure(
        "gpu_metrics_v1_6",
        *(*_HEADER, *_SENSORS, *_ENERGY, *_RESIDENCIES, *_TRAFFIC, *_NAKS, *_XGMI, *_CLOCKS),
        *_partitioned(32),
    ),
    "1.7": _structure(
        "gpu_metrics_v1_7",
        *(*_HEADER, *_SENSORS, *_BANDWIDTH, *_ENERGY, *_RESIDENCIES, *_TRAFFIC, *_NAKS, *_XGMI, *_LINK_STATUS),
        *(*_CLOCKS, *_partitioned(32, "gfx_below_host_limit_acc")),
    ),
    "1.8": _structure(
        "gpu_metrics_v1_8",
        *(*_HEADER, *_SENSORS, *_BANDWIDTH, *_ENERGY, *_RESIDENCIES, *_TRAFFIC, *_NAKS, *_XGMI, *_LINK_STATUS),
        *(*_CLOCKS, *_partitioned(40, *_BELOW_HOST_LIMIT)),
    ),
}
_PARTITION_METRICS = _structure(
    "amdgpu_partition_metrics_v1_0",
    *(*_HEADER, *_CLOCKS[1:], ("padding", U16)),
    *(("gfx_busy_inst", U32 * XCCS), ("jpeg_busy", U16 * 40), ("vcn_busy", U16 * 4)),
    *((counter, U64 * XCCS) for counter in ("gfx_busy_acc", *_BELOW_HOST_LIMIT)),
)
SIZES = {revision: ctypes.sizeof(table) for revision, table in _TABLES.items()}
"""In bytes, by revision; 1.9 has as many as its attributes need."""
REVISIONS = (*_TABLES, "1.9")

_TYPES = {U8: 0, U16: 2, U32: 4, U64: 6}
"""`enum amdgpu_metrics_attr_type`."""
_NONE, _MHZ, _CELSIUS, _WATTS, _NS, _10NS, _GTPS, _TENTH_GTPS, _GBPS, _KB, _PERCENT = range(11)
"""`enum amdgpu_metrics_attr_unit`."""
# Name, id (`enum amdgpu_metrics_attr_id`), unit, type, values: in the order in which the driver writes them.
_ATTRIBUTES: list[tuple[str, int, int, Any, int]] = [
    ("temperature_hotspot", 0, _CELSIUS, U16, 1),
    ("temperature_mem", 1, _CELSIUS, U16, 1),
    ("temperature_vrsoc", 2, _CELSIUS, U16, 1),
    ("curr_socket_power", 3, _WATTS, U16, 1),
    ("average_gfx_activity", 4, _PERCENT, U16, 1),
    ("average_umc_activity", 5, _PERCENT, U16, 1),
    ("mem_max_bandwidth", 6, _GBPS, U64, 1),
    ("energy_accumulator", 7, _NONE, U64, 1),
    ("system_clock_counter", 8, _NS, U64, 1),
    ("accumulation_counter", 9, _NONE, U32, 1),
    ("prochot_residency_acc", 10, _NONE, U32, 1),
    ("ppt_residency_acc", 11, _NONE, U32, 1),
    ("socket_thm_residency_acc", 12, _NONE, U32, 1),
    ("vr_thm_residency_acc", 13, _NONE, U32, 1),
    ("hbm_thm_residency_acc", 14, _NONE, U32, 1),
    ("gfxclk_lock_status", 15, _NONE, U32, 1),
    ("pcie_link_width", 16, _NONE, U16, 1),
    ("pcie_link_speed", 17, _TENTH_GTPS, U16, 1),
    ("xgmi_link_width", 18, _NONE, U16, 1),
    ("xgmi_link_speed", 19, _GTPS, U16, 1),
    ("gfx_activity_acc", 20, _PERCENT, U32, 1),
    ("mem_activity_acc", 21, _PERCENT, U32, 1),
    ("pcie_bandwidth_acc", 22, _PERCENT, U64, 1),
    ("pcie_bandwidth_inst", 23, _GBPS, U64, 1),
    ("pcie_l0_to_recov_count_acc", 24, _NONE, U64, 1),
    ("pcie_replay_count_acc", 25, _NONE, U64, 1),
    ("pcie_replay_rover_count_acc", 26, _NONE, U64, 1),
    ("pcie_nak_sent_count_acc", 27, _NONE, U32, 1),
    ("pcie_nak_rcvd_count_acc", 28, _NONE, U32, 1),
    ("xgmi_read_data_acc", 29, _KB, U64, LINKS),
    ("xgmi_write_data_acc", 30, _KB, U64, LINKS),
    ("xgmi_link_status", 31, _NONE, U16, LINKS),
    ("firmware_timestamp", 32, _10NS, U64, 1),
    ("current_gfxclk", 33, _MHZ, U16, XCCS),
    ("current_socclk", 34, _MHZ, U16, 4),
    ("current_vclk0", 35, _MHZ, U16, 4),
    ("current_dclk0", 36, _MHZ, U16, 4),
    ("current_uclk", 37, _MHZ, U16, 1),
    ("pcie_lc_perf_other_end_recovery", 39, _NONE, U32, 1),
    ("gfx_busy_inst", 40, _PERCENT, U32, XCCS),
    ("jpeg_busy", 41, _PERCENT, U16, 40),
    ("vcn_busy", 42, _PERCENT, U16, 4),
    ("gfx_busy_acc", 43, _PERCENT, U64, XCCS),
    ("gfx_below_host_limit_ppt_acc", 44, _NONE, U64, XCCS),
    ("gfx_below_host_limit_thm_acc", 45, _NONE, U64, XCCS),
    ("gfx_low_utilization_acc", 46, _NONE, U64, XCCS),
    ("gfx_below_host_limit_total_acc", 47, _NONE, U64, XCCS),
]
_XCP_ATTRIBUTES = {
    *("current_gfxclk", "current_socclk", "current_vclk0", "current_dclk0", "current_uclk"),
    *("gfx_busy_inst", "jpeg_busy", "vcn_busy", "gfx_busy_acc", *_BELOW_HOST_LIMIT),
}


def attribute(number: int, unit: int, kind: Any, values: Sequence[int]) -> bytes:
    """Returns one attribute of 1.9: unit, type, id and count in 64 bits, then the values, without any padding."""
    encoding = unit << 24 | _TYPES[kind] << 20 | number << 10 | len(values)
    return struct.pack("<Q", encoding) + bytes((kind * len(values))(*values))


def frame(revision: tuple[int, int], attributes: Sequence[bytes]) -> bytes:
    """Returns the self-describing file that holds these attributes."""
    body = b"".join(attributes)
    return struct.pack("<HBBi", 8 + len(body), *revision, len(attributes)) + body


def _attributes(values: dict[str, Any], only: set[str] | None = None) -> list[bytes]:
    packed = []
    for name, number, unit, kind, count in _ATTRIBUTES:
        if only is None or name in only:
            value = values.get(name, ())
            told = [value] if isinstance(value, int) else list(value)
            absent = [2 ** (8 * ctypes.sizeof(kind)) - 1] * (count - len(told))
            packed.append(attribute(number, unit, kind, told + absent))
    return packed


def _by_xcc(telemetry: Telemetry, xccs: range) -> dict[str, Any]:
    return {
        "current_gfxclk": [telemetry.current_gfxclk[xcc] for xcc in xccs],
        "gfx_busy_inst": [telemetry.gfx_busy_inst[xcc] for xcc in xccs],
        "gfx_busy_acc": [_busy_acc(telemetry, xcc) for xcc in xccs],
        "vcn_busy": [0] * 4,
    }


def pack_attributes(telemetry: Telemetry) -> bytes:
    """Returns the file of revision 1.9."""
    return frame((1, 9), _attributes(_values(telemetry) | _by_xcc(telemetry, range(XCCS))))


def pack_partition(telemetry: Telemetry, revision: str, partition: int, partitions: int) -> bytes:
    """Returns what a partition's own `xcp_metrics` holds: what its XCCs say.

    Args:
        telemetry: what the firmware of the whole GPU says.
        revision: of the driver's `gpu_metrics`: with 1.9 the partition's file describes itself, too.
        partition: which one, from 0.
        partitions: how many there are.
    """
    values = {"current_uclk": telemetry.current_uclk} | _by_xcc(telemetry, xccs_of(partitions)[partition])
    if revision == "1.9":
        return frame((1, 1), _attributes(values, _XCP_ATTRIBUTES))
    data = bytearray(b"\xff" * ctypes.sizeof(_PARTITION_METRICS))
    metrics = _PARTITION_METRICS.from_buffer(data)
    metrics.structure_size, metrics.format_revision, metrics.content_revision = len(data), 1, 0
    for name, value in values.items():
        _store(metrics, name, value)
    return bytes(data)
