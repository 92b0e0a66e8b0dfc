"""The made-up files are of the driver's sizes and places, as its C structures give them on x86-64."""

from __future__ import annotations

import itertools
import struct

import pytest

from tests.libraries.gpu_metrics import REVISIONS, SIZES, Telemetry, pack, pack_partition


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_header_tells_size_and_revision(revision: str) -> None:
    data = pack(Telemetry(), revision)
    assert struct.unpack_from("<HBB", data) == (len(data), 1, int(revision[2:]))


def test_sizes_are_the_drivers() -> None:
    assert SIZES == {"1.4": 288, "1.5": 360, "1.6": 1664, "1.7": 2208, "1.8": 3872}


@pytest.mark.parametrize(("revision", "place"), [("1.4", 24), ("1.5", 88), ("1.6", 16), ("1.7", 24), ("1.8", 24)])
def test_energy_stands_where_the_driver_aligns_it(revision: str, place: int) -> None:
    data = pack(Telemetry(energy_accumulator=0x1122334455667788), revision)
    assert data.index(struct.pack("<Q", 0x1122334455667788)) == place


@pytest.mark.parametrize(("revision", "each"), [("1.6", 168), ("1.7", 232), ("1.8", 440)])
def test_partitions_follow_each_other_at_the_drivers_distance(revision: str, each: int) -> None:
    busy = (0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7)
    data = pack(Telemetry(gfx_busy_inst=busy), revision, partitions=8)
    absent = b"\xff" * 4
    places = [data.index(struct.pack("<I", xcc) + absent) for xcc in busy]
    assert {second - first for first, second in itertools.pairwise(places)} == {each}


def test_attributes_of_1_9_fill_the_file_without_gaps() -> None:
    data = pack(Telemetry(), "1.9")
    (count,) = struct.unpack_from("<i", data, 4)
    place = 8
    for _ in range(count):
        (encoding,) = struct.unpack_from("<Q", data, place)
        kind, values = encoding >> 20 & 0xF, encoding & 0x3FF
        place += 8 + values * (1, 1, 2, 2, 4, 4, 8, 8)[kind]
    assert place == len(data)


@pytest.mark.parametrize(("revision", "content"), [("1.8", 0), ("1.9", 1)])
def test_a_partition_tells_its_own_xccs_only(revision: str, content: int) -> None:
    data = pack_partition(Telemetry(gfx_busy_inst=(0xA0, 0xA1, 0xA2, 0xA3) * 2), revision, 1, 4)
    assert struct.unpack_from("<HBB", data) == (len(data), 1, content)
    assert struct.pack("<III", 0xA2, 0xA3, 0xFFFFFFFF) in data
    assert struct.pack("<I", 0xA0) not in data
