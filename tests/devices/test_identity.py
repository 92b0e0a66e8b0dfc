from __future__ import annotations

from exporter.devices.identity import establish

UUID = "52ff74a1-0000-1000-80f6-7b3700dcc6f3"
NO_ACCESS = "ffff0000-0000-1000-80ff-ffffffffffff"
KEY = "52f67b3700dcc6f3"


def test_spellings_of_one_id_are_one_alias() -> None:
    assert establish(UUID, "0x52F67B3700DCC6F3", f"GPU-{KEY}", f"{KEY}\n") == (KEY, frozenset({KEY}))


def test_without_access_no_serial_is_believed() -> None:
    assert establish(NO_ACCESS, "0x1234567890123456", f"GPU-{KEY}") is None


def test_the_serial_is_the_key_where_the_uuid_follows_another_id() -> None:
    assert establish("11ff74a1-0000-1000-8022-333344445555", f"0x{KEY}", None) == (
        KEY,
        frozenset({KEY, "1122333344445555"}),
    )


def test_without_a_serial_the_uuid_is_the_key() -> None:
    assert establish(UUID, "N/A", None) == (KEY, frozenset({KEY}))
