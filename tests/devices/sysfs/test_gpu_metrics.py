"""The decoder against bytes packed by other hands: tests/libraries/gpu_metrics.py, from the driver's definitions."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.devices import decode
from exporter.devices.sysfs.gpu_metrics import decode as fields
from exporter.errors import ReadFailedError, UnknownTableError
from exporter.model import Reading
from tests.libraries.gpu_metrics import REVISIONS, SIZES, U16, U32, Telemetry, attribute, frame, pack

WITH_RESIDENCIES = {"1.6", "1.7", "1.8", "1.9"}
PARTITIONED = {"1.6", "1.7", "1.8", "1.9"}
SMALL = st.integers(0, 2**16 - 2)
PERCENT = st.integers(0, 100)
COUNTER = st.integers(0, 2**31)


@st.composite
def telemetries(draw: st.DrawFn) -> Telemetry:
    return Telemetry(
        temperature_hotspot=draw(SMALL),
        temperature_mem=draw(SMALL),
        temperature_vrsoc=draw(SMALL),
        curr_socket_power=draw(SMALL),
        average_gfx_activity=draw(PERCENT),
        average_umc_activity=draw(PERCENT),
        gfx_busy_inst=tuple(draw(PERCENT) for _ in range(8)),
        energy_accumulator=draw(st.integers(0, 2**63)),
        accumulation_counter=draw(COUNTER),
        ppt_residency_acc=draw(COUNTER),
        current_gfxclk=tuple(draw(SMALL) for _ in range(8)),
        current_uclk=draw(SMALL),
        xgmi_read_data_acc=tuple(draw(COUNTER) for _ in range(8)),
        pcie_replay_count_acc=draw(COUNTER),
    )


def read(table: bytes) -> Reading:
    return decode.reading(fields(table), None, taken=0.0)


@pytest.mark.parametrize("revision", REVISIONS)
@given(telemetry=telemetries())
def test_what_is_packed_is_read(revision: str, telemetry: Telemetry) -> None:
    found = read(pack(telemetry, revision, 1))

    assert found.utilization == telemetry.average_gfx_activity / 100
    assert found.memory_controller_utilization == telemetry.average_umc_activity / 100
    assert found.power_watts == telemetry.curr_socket_power
    assert found.energy_joules == telemetry.energy_accumulator / 65536
    assert found.temperatures_celsius == {
        "hotspot": telemetry.temperature_hotspot,
        "memory": telemetry.temperature_mem,
        "vrsoc": telemetry.temperature_vrsoc,
    }
    assert found.clocks_hertz == {
        "gfx": pytest.approx(sum(telemetry.current_gfxclk) / 8 * 1e6),
        "memory": telemetry.current_uclk * 1e6,
    }
    assert found.pcie_replays == telemetry.pcie_replay_count_acc
    assert list(found.xgmi_read_bytes.values()) == [value * 1024 for value in telemetry.xgmi_read_data_acc]
    assert found.throttle_ticks == (telemetry.accumulation_counter if revision in WITH_RESIDENCIES else None)
    assert found.throttle_residency.get("ppt") == (
        telemetry.ppt_residency_acc if revision in WITH_RESIDENCIES else None
    )


@pytest.mark.parametrize("partitions", [1, 2, 4, 8])
@pytest.mark.parametrize("revision", sorted(PARTITIONED))
@given(busy=st.lists(PERCENT, min_size=8, max_size=8))
def test_without_an_average_the_xccs_of_all_partitions_are_averaged(
    revision: str, partitions: int, busy: list[int]
) -> None:
    telemetry = Telemetry(average_gfx_activity=2**16 - 1, gfx_busy_inst=tuple(busy))

    assert read(pack(telemetry, revision, partitions)).utilization == pytest.approx(sum(busy) / 800)


@pytest.mark.parametrize("revision", REVISIONS)
def test_what_the_firmware_leaves_all_ones_is_absent(revision: str) -> None:
    table = bytearray(pack(Telemetry(), revision, 1))
    if revision == "1.9":
        table = bytearray(frame((1, 9), [attribute(3, 3, U16, [2**16 - 1]), attribute(9, 0, U32, [2**32 - 1])]))
    else:
        table[4:] = b"\xff" * (len(table) - 4)

    assert read(bytes(table)) == Reading(taken=0.0)


@pytest.mark.parametrize(("major", "minor"), [(1, 3), (1, 10), (2, 0), (0, 0), (255, 255)])
def test_an_unknown_revision_is_refused_by_name(major: int, minor: int) -> None:
    with pytest.raises(UnknownTableError, match=rf"revision {major}\.{minor} is not known here"):
        fields(struct.pack("<HBB", 8, major, minor) + bytes(4))


@pytest.mark.parametrize("revision", SIZES)
@pytest.mark.parametrize("change", [-8, -1, 1, 8])
def test_a_table_of_another_size_than_its_revision_has_is_refused(revision: str, change: int) -> None:
    whole = pack(Telemetry(), revision, 1)
    other = whole[:change] if change < 0 else whole + bytes(change)
    lying = struct.pack("<H", len(whole) + change) + whole[2:]

    for table in (other, lying):
        with pytest.raises(ReadFailedError, match=f"expected {len(whole)} bytes"):
            fields(table)


def test_attributes_that_are_not_known_are_skipped() -> None:
    table = frame((1, 9), [attribute(900, 7, U32, [1, 2, 3]), attribute(3, 3, U16, [650])])

    assert read(table) == Reading(taken=0.0, power_watts=650)


def test_an_announced_attribute_that_is_not_there_is_refused() -> None:
    table = bytearray(frame((1, 9), [attribute(3, 3, U16, [650])]))
    table[4] = 2

    with pytest.raises(ReadFailedError, match="cut off, 2 attributes are announced"):
        fields(bytes(table))


def test_a_negative_number_of_attributes_is_refused() -> None:
    with pytest.raises(ReadFailedError, match="-1 attributes"):
        fields(struct.pack("<HBBi", 8, 1, 9, -1))


def begins_as(revision: int) -> Any:
    return st.builds(
        lambda body: struct.pack("<HBB", 4 + len(body), 1, revision) + body, st.binary(min_size=0, max_size=256)
    )


@given(st.one_of(st.binary(max_size=64), *(begins_as(revision) for revision in range(4, 10))))
@example(b"")
def test_no_bytes_make_it_do_worse_than_refuse(table: bytes) -> None:
    with contextlib.suppress(ReadFailedError):
        assert isinstance(read(table), Reading)


@pytest.mark.parametrize("revision", REVISIONS)
@given(data=st.data())
def test_a_flipped_byte_makes_it_do_no_worse_than_refuse(revision: str, data: st.DataObject) -> None:
    table = bytearray(pack(Telemetry(), revision, 8))
    place = data.draw(st.integers(0, len(table) - 1))
    table[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ReadFailedError):
        assert isinstance(read(bytes(table)), Reading)
