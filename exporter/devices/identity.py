"""Who a GPU is, from the several places that tell it."""

from __future__ import annotations

from dataclasses import replace

from exporter.errors import PermissionDeniedError
from exporter.gpu_id import canonical
from exporter.model import Gpu

_NO_ID = (
    "{}: neither the kernel (unique_id) nor amdsmi tells its unique id: "
    "add the user of this service to the groups render and video, and start it again"
)


def established(unique_id: object, serial: object, device_uuid: object, *others: object) -> tuple[str, frozenset[str]]:
    """Returns the GPU's key, empty where nothing tells it, and every id it goes by.

    Without access to the render node the library puts a decimal behind `0x` as the serial, which cannot be told from
    hexadecimal, and gives a device UUID of all ones. So the serial counts only beside a real device UUID.

    Args:
        unique_id: the kernel's: the socket's, whoever asks.
        serial: `asic_serial` of amdsmi_get_gpu_asic_info.
        device_uuid: amdsmi_get_gpu_device_uuid.
        *others: further spellings, as `hip_uuid`; None and nonsense are passed over.
    """
    decoded = canonical(device_uuid)
    ids = [canonical(unique_id)]
    if decoded is not None:
        ids += [canonical(serial), decoded, *map(canonical, others)]
    known = [one for one in ids if one is not None]
    return (known[0] if known else ""), frozenset(known)


def merged(kernel: Gpu | None, library: Gpu | None) -> Gpu:
    """Returns one identity from what the kernel and the library say of one GPU.

    The kernel's key is the key: it does not depend on permissions, as the library's may. Model and VRAM, too, are the
    kernel's where it tells them, so that no label flips with the library. For the rest the library's words come first.

    Raises:
        PermissionDeniedError: neither tells an id.
    """
    if kernel is None or library is None:
        found = kernel or library
        assert found is not None
    else:
        found = replace(
            library,
            uuid=kernel.uuid or library.uuid,
            aliases=kernel.aliases | library.aliases,
            model=kernel.model or library.model,
            card=library.card or kernel.card,
            driver_version=library.driver_version or kernel.driver_version,
            vbios_version=library.vbios_version or kernel.vbios_version,
            compute_partition=library.compute_partition or kernel.compute_partition,
            memory_partition=library.memory_partition or kernel.memory_partition,
            vram_total_bytes=kernel.vram_total_bytes or library.vram_total_bytes,
        )
    if not found.uuid:
        raise PermissionDeniedError(_NO_ID.format(found.bdf))
    return found
