"""Which unique id a GPU has, from the several places that tell it."""

from __future__ import annotations

from exporter.gpu_id import canonical


def establish(device_uuid: object, serial: object, *others: object) -> tuple[str, frozenset[str]] | None:
    """The GPU's key and every id it goes by.

    The serial is the kernel's unique id and so the key. But without access to the render node the library puts
    a decimal behind `0x` there, which cannot be told from hexadecimal; then it also gives a device UUID of all
    ones. So the serial counts only beside a real device UUID.

    Args:
        device_uuid: amdsmi_get_gpu_device_uuid.
        serial: `asic_serial` of amdsmi_get_gpu_asic_info.
        *others: further spellings (`hip_uuid`, sysfs `unique_id`); None and nonsense are passed over.

    Returns:
        The key and the aliases, the key among them; None where the device UUID gives no id.
    """
    decoded = canonical(device_uuid)
    if decoded is None:
        return None
    key = canonical(serial) or decoded
    aliases = (key, decoded, *(canonical(other) for other in others))
    return key, frozenset(alias for alias in aliases if alias is not None)
