from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.devices.identity import established, merged
from exporter.errors import PermissionDeniedError
from exporter.model import Gpu

UUID = "52ff74a1-0000-1000-80f6-7b3700dcc6f3"
NO_ACCESS = "ffff0000-0000-1000-80ff-ffffffffffff"
KEY = "52f67b3700dcc6f3"
XCD = "1122333344445555"


def test_spellings_of_one_id_are_one_alias() -> None:
    assert established(f"{KEY}\n", "0x52F67B3700DCC6F3", UUID, f"GPU-{KEY}") == (KEY, frozenset({KEY}))


def test_the_kernels_id_is_the_key_whatever_the_library_says() -> None:
    assert established(KEY, f"0x{XCD}", UUID) == (KEY, frozenset({KEY, XCD}))
    assert established(KEY, "0x1234567890123456", NO_ACCESS) == (KEY, frozenset({KEY}))


def test_without_access_no_serial_is_believed() -> None:
    assert established(None, "0x1234567890123456", NO_ACCESS, f"GPU-{KEY}") == ("", frozenset())


def test_the_serial_is_the_key_where_the_uuid_follows_another_id() -> None:
    expected = KEY, frozenset({KEY, XCD})
    assert established(None, f"0x{KEY}", "11ff74a1-0000-1000-8022-333344445555") == expected


def test_without_a_serial_the_uuid_is_the_key() -> None:
    assert established(None, "N/A", UUID) == (KEY, frozenset({KEY}))


def of_kernel() -> Gpu:
    return Gpu(0, KEY, frozenset({KEY, "a" * 16}), "AMD Instinct MI300X", "0000:05:00.0", vram_total_bytes=100)


def of_library() -> Gpu:
    return Gpu(
        0, XCD, frozenset({XCD}), "MI300X-O", "0000:05:00.0", vbios_version="022", vram_total_bytes=99, source="amdsmi"
    )


def test_a_gpu_that_both_know_has_the_kernels_key_and_goes_by_the_ids_of_both() -> None:
    both = merged(of_kernel(), of_library())

    assert (both.uuid, both.aliases) == (KEY, frozenset({KEY, XCD, "a" * 16}))
    assert (both.model, both.vbios_version, both.vram_total_bytes) == ("AMD Instinct MI300X", "022", 100)


def test_a_gpu_that_one_knows_is_as_that_says() -> None:
    assert merged(of_kernel(), None) == of_kernel()
    assert merged(None, of_library()) == of_library()


def test_a_gpu_whose_id_nothing_tells_is_refused_with_what_to_do() -> None:
    with pytest.raises(PermissionDeniedError, match="groups render and video"):
        merged(replace(of_kernel(), uuid=""), replace(of_library(), uuid=""))
