from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.gpu_id import canonical

UNIQUE_IDS = st.integers(min_value=1, max_value=2**64 - 2)
BYTES = st.integers(min_value=0, max_value=0xFF)
DEVICE_IDS = st.integers(min_value=0, max_value=0xFFFF)


def device_uuid(unique_id: int, function: int, device_id: int) -> str:
    high, second, rest = unique_id >> 56, unique_id >> 48 & 0xFF, unique_id & 0xFFFF_FFFF_FFFF
    return f"{high:02x}{function:02x}{device_id:04x}-0000-1000-80{second:02x}-{rest:012x}"


@given(UNIQUE_IDS, BYTES, DEVICE_IDS, st.booleans())
def test_every_spelling_means_the_same_id(unique_id: int, function: int, device_id: int, upper: bool) -> None:
    plain = f"{unique_id:016x}"
    spellings = [plain, f"APU-{plain}", f"GPU-{plain}", f"0x{plain}", f"0x{unique_id:x}", f"{plain}\n"]
    spellings.append(device_uuid(unique_id, function, device_id))
    for spelling in spellings:
        assert canonical(spelling.upper() if upper else spelling) == plain


@given(st.one_of(st.text(), st.integers(), st.none(), st.binary(), st.from_regex(r"(0x|GPU-)?[0-9a-f]{15,18}")))
def test_whatever_is_read_is_canonical_already(spelling: object) -> None:
    unique_id = canonical(spelling)
    if unique_id is not None:
        assert len(unique_id) == 16
        assert canonical(unique_id) == unique_id


@pytest.mark.parametrize(
    ("uuid", "unique_id"),
    [
        ("67ff740f-0000-1000-80c6-3ac3c3c637f9", "67c63ac3c3c637f9"),
        ("bcff74a1-0000-1000-8021-9ee4fb78e9ba", "bc219ee4fb78e9ba"),
        ("f500740c-0000-1000-8065-5f1b8584dc16", "f5655f1b8584dc16"),
        ("52ff74a1-0000-1000-80f6-7b3700dcc6f3", "52f67b3700dcc6f3"),
    ],
)
def test_device_uuids_of_real_gpus_give_their_ids(uuid: str, unique_id: str) -> None:
    assert canonical(uuid) == unique_id


@pytest.mark.parametrize(
    "spelling",
    [
        "",
        "N/A",
        "0",
        "0x0000000000000000",
        "ffffffffffffffff",
        "0xFFFFFFFFFFFFFFFF",
        "ffff0000-0000-1000-80ff-ffffffffffff",
        "00000000-0000-1000-8000-000000000000",
        "0x18446744073709551615",
        "GPU-XX",
        "GPU-9f3c1c2e-1111-2222-3333-444455556666",
        "52f67b3700dcc6f3 or so",
        0x52F67B3700DCC6F3,
        None,
    ],
)
def test_what_is_no_id_is_refused(spelling: object) -> None:
    assert canonical(spelling) is None
