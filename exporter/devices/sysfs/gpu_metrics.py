"""The kernel's file `gpu_metrics`, decoded: one table of each GPU, of whatever revision its driver writes.

Layouts: Linux, drivers/gpu/drm/amd/include/kgd_pp_interface.h (`struct gpu_metrics_v1_4` to `_v1_8`, naturally
aligned; 1.9: `enum amdgpu_metrics_attr_id`, packed as drivers/gpu/drm/amd/pm/swsmu/smu_cmn.h has it).
An MI300X writes 1.4 to 1.9, by the age of its driver. Little-endian, like the machines that it sits in.
Fields go by the names that AMD's bindings give them, so that one decoder makes readings of both.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from exporter.errors import ReadFailedError, UnknownTableError

Metrics = dict[str, int | list[int | None] | list[list[int | None]] | None]
"""By name: a number, a number by instance, or (`xcp_stats.gfx_busy_inst`) by partition and XCC. None: not told."""

_HEADER = struct.Struct("<HBB")
"""structure_size, format_revision, content_revision."""
_WIDTHS = {"B": 1, "H": 2, "I": 4, "Q": 8}
_ALL_ONES = {code: 2 ** (8 * width) - 1 for code, width in _WIDTHS.items()}

_SENSORS = "temperature_hotspot:H temperature_mem:H temperature_vrsoc:H current_socket_power:H"
_ACTIVITY = "average_gfx_activity:H average_umc_activity:H"
_LINK = "-:I -:H -:H -:H -:H -:I -:I -:Q -:Q -:Q pcie_replay_count_acc:Q -:Q"
"""Clock locks, link widths and speeds, accumulated activity, PCIe bandwidth and counts."""
_THROTTLING = (
    "accumulation_counter:I prochot_residency_acc:I ppt_residency_acc:I socket_thm_residency_acc:I "
    "vr_thm_residency_acc:I hbm_thm_residency_acc:I"
)
_XGMI = "xgmi_read_data_acc:8Q xgmi_write_data_acc:8Q"
_CLOCKS = "-:Q current_gfxclks:8H -:4H -:4H -:4H current_uclk:H"
"""Behind the firmware's timestamp."""
_XCP = 8
"""Partitions that a table has room for, whatever the mode."""

_LAYOUTS = {
    (1, 4): f"{_SENSORS} {_ACTIVITY} -:4H energy_accumulator:Q -:Q -:I {_LINK} {_XGMI} {_CLOCKS} -:H",
    (1, 5): f"{_SENSORS} {_ACTIVITY} -:4H -:32H energy_accumulator:Q -:Q -:I {_LINK} -:I -:I {_XGMI} {_CLOCKS} -:H",
    (1, 6): (
        f"{_SENSORS} {_ACTIVITY} energy_accumulator:Q -:Q {_THROTTLING} {_LINK} -:I -:I {_XGMI} {_CLOCKS} -:H "
        + _XCP * "-:0Q gfx_busy_inst:8I -:32H -:4H -:8Q "
        + "-:I"
    ),
    (1, 7): (
        f"{_SENSORS} {_ACTIVITY} -:Q energy_accumulator:Q -:Q {_THROTTLING} {_LINK} -:I -:I {_XGMI} -:8H -:H "
        f"{_CLOCKS} -:H " + _XCP * "-:0Q gfx_busy_inst:8I -:32H -:4H -:8Q -:8Q " + "-:I"
    ),
    (1, 8): (
        f"{_SENSORS} {_ACTIVITY} -:Q energy_accumulator:Q -:Q {_THROTTLING} {_LINK} -:I -:I {_XGMI} -:8H -:H "
        f"{_CLOCKS} -:H " + _XCP * "-:0Q gfx_busy_inst:8I -:40H -:4H -:8Q -:8Q -:8Q -:8Q -:8Q " + "-:I"
    ),
}
"""Fields in their order, as name:type; `-` is none of ours, and `-:0Q` aligns the structure that follows."""

_ATTRIBUTES = {
    0: "temperature_hotspot",
    1: "temperature_mem",
    2: "temperature_vrsoc",
    3: "current_socket_power",
    4: "average_gfx_activity",
    5: "average_umc_activity",
    7: "energy_accumulator",
    9: "accumulation_counter",
    10: "prochot_residency_acc",
    11: "ppt_residency_acc",
    12: "socket_thm_residency_acc",
    13: "vr_thm_residency_acc",
    14: "hbm_thm_residency_acc",
    25: "pcie_replay_count_acc",
    29: "xgmi_read_data_acc",
    30: "xgmi_write_data_acc",
    33: "current_gfxclks",
    37: "current_uclk",
    40: "gfx_busy_inst",
}
"""Those of 1.9 that are ours, by id."""
_ATTRIBUTE_LISTS = {"xgmi_read_data_acc", "xgmi_write_data_acc", "current_gfxclks", "gfx_busy_inst"}
_ATTRIBUTE_TYPES = "BbHhIiQq"
_COUNT = struct.Struct("<i")
_ENCODING = struct.Struct("<Q")


def decode(table: bytes) -> Metrics:
    """Returns the fields of a table that a reading is made of; what the firmware does not tell is None or missing.

    Args:
        table: the whole file.

    Raises:
        UnknownTableError: it is of a revision that is not known here.
        ReadFailedError: it is no such table.
    """
    if len(table) < _HEADER.size:
        raise ReadFailedError(f"gpu_metrics: {len(table)} bytes, which is not even a header")
    size, *revision = _HEADER.unpack_from(table)
    if tuple(revision) == (1, 9):
        return _attributes(table, size)
    layout = _FIXED.get((revision[0], revision[1]))
    if layout is None:
        raise UnknownTableError(f"gpu_metrics: revision {revision[0]}.{revision[1]} is not known here")
    if not layout.size == size == len(table):
        raise ReadFailedError(
            f"gpu_metrics {revision[0]}.{revision[1]}: expected {layout.size} bytes, the header says {size}, "
            f"found {len(table)}"
        )
    return layout.fields(table)


@dataclass(frozen=True, slots=True)
class _Layout:
    """A fixed table: one unpacking gives all values that are ours, one after the other."""

    values: struct.Struct
    places: tuple[tuple[str, int, int, int], ...]
    """Name, first value, how many (0: a number, not a list), and what stands for "not available"."""

    @property
    def size(self) -> int:
        return self.values.size

    def fields(self, table: bytes) -> Metrics:
        values = self.values.unpack(table)
        metrics: Metrics = {}
        partitions: list[list[int | None]] = []
        for name, first, count, absent in self.places:
            if not count:
                value = values[first]
                metrics[name] = None if value == absent else value
                continue
            several = [None if value == absent else value for value in values[first : first + count]]
            if name == "gfx_busy_inst":
                partitions.append(several)
            else:
                metrics[name] = several
        metrics["xcp_stats.gfx_busy_inst"] = partitions
        return metrics


def _layout(text: str) -> _Layout:
    """A layout with the padding that a C compiler puts between and behind fields, which are naturally aligned."""
    formats, places = ["<4x"], []
    offset, first, widest = _HEADER.size, 0, 2
    for field in text.split():
        name, _, kind = field.partition(":")
        code, count = kind[-1], int(kind[:-1] or 1)
        width = _WIDTHS[code]
        widest = max(widest, width)
        padding = -offset % width
        offset += padding + count * width
        if name == "-":
            formats.append(f"{padding + count * width}x")
            continue
        formats.append(f"{padding}x{count}{code}")
        places.append((name, first, count if len(kind) > 1 else 0, _ALL_ONES[code]))
        first += count
    return _Layout(struct.Struct("".join(formats) + f"{-offset % widest}x"), tuple(places))


_FIXED = {revision: _layout(text) for revision, text in _LAYOUTS.items()}


def _attributes(table: bytes, size: int) -> Metrics:
    """A table of revision 1.9, which says of each field what it is."""
    if size != len(table) or size < _HEADER.size + _COUNT.size:
        raise ReadFailedError(f"gpu_metrics 1.9: the header says {size} bytes, found {len(table)}")
    metrics: Metrics = {}
    for name, values in _named(table, _COUNT.unpack_from(table, _HEADER.size)[0]):
        if name == "gfx_busy_inst":
            metrics["xcp_stats.gfx_busy_inst"] = [values]
        elif name in _ATTRIBUTE_LISTS:
            metrics[name] = values
        elif values:
            metrics[name] = values[0]
    return metrics


def _named(table: bytes, count: int) -> Iterator[tuple[str, list[int | None]]]:
    """The values of each attribute that is ours; those of unknown ids are skipped."""
    offset = _HEADER.size + _COUNT.size
    if count < 0:
        raise ReadFailedError(f"gpu_metrics 1.9: {count} attributes")
    for _ in range(count):
        if offset + _ENCODING.size > len(table):
            raise ReadFailedError(f"gpu_metrics 1.9: cut off, {count} attributes are announced")
        (encoding,) = _ENCODING.unpack_from(table, offset)
        offset += _ENCODING.size
        kind, identity, instances = encoding >> 20 & 0xF, encoding >> 10 & 0x3FF, encoding & 0x3FF
        if kind >= len(_ATTRIBUTE_TYPES):
            raise ReadFailedError(f"gpu_metrics 1.9: attribute {identity} has the unknown type {kind}")
        code = _ATTRIBUTE_TYPES[kind]
        width = _WIDTHS[code.upper()]
        end = offset + instances * width
        if end > len(table):
            raise ReadFailedError(f"gpu_metrics 1.9: attribute {identity} is cut off")
        if (name := _ATTRIBUTES.get(identity)) is not None:
            # Signed fields are filled with ones, too, before the driver sets what it has.
            absent = _ALL_ONES[code] if code.isupper() else -1
            values = struct.unpack_from(f"<{instances}{code}", table, offset)
            yield name, [None if value == absent else value for value in values]
        offset = end
