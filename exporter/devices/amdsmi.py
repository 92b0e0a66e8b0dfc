"""AMD's library through AMD's bindings: the only place that loads them, and only in a worker process.

The library is not thread-safe, can hang in the driver and can crash. So one thread of a process that may be
killed makes every call here, one after the other.
"""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import Any

from exporter.devices import decode, identity
from exporter.errors import (
    DeviceError,
    DriverMissingError,
    GpuLostError,
    LibraryMismatchError,
    LibraryMissingError,
    PermissionDeniedError,
    ReadFailedError,
)
from exporter.model import Gpu, Health, Reading

_INSTALL = "install ROCm's amd-smi-lib, and its bindings with: pip install /opt/rocm/share/amd_smi"
_ACCESS = "add the user of this service to the groups render and video, and start it again"
_ERRORS: dict[int, tuple[type[DeviceError], str]] = {
    8: (ReadFailedError, "the driver took too long"),
    10: (PermissionDeniedError, _ACCESS),
    30: (ReadFailedError, "another program holds the GPU's lock"),
    31: (GpuLostError, "the GPU fell off the bus: see dmesg; it needs a reset, or the node a reboot"),
    34: (DriverMissingError, "load the driver with modprobe amdgpu, and see dmesg"),
    43: (ReadFailedError, "the driver gave data that the library does not know"),
}
_LIBRARY_OF_ROCM = {(6, 2): (24,), (6, 3): (24,), (6, 4): (25,), (7, 0): (26, 0), (7, 1): (26, 1)}
"""The library's version, as far as it tells releases apart, by the ROCm release that a wheel on PyPI is named after."""
_KNOWN_MAJORS = {24, 25, 26}
_PCI_DEVICES = Path("/sys/bus/pci/devices")


def library_version_for(bindings: str) -> tuple[int, ...]:
    """The library's version that bindings are made for, as far as it matters.

    Args:
        bindings: their `__version__`: `7.0.2` (PyPI, a ROCm release) or `26.0.0+8dc45db3` (those that ROCm installs).

    Raises:
        LibraryMismatchError: no such bindings are known.
    """
    try:
        major, minor = (int(part) for part in bindings.split(".")[:2])
    except ValueError:
        major, minor = 0, 0
    expected = (major, minor) if major in _KNOWN_MAJORS else _LIBRARY_OF_ROCM.get((major, minor))
    if expected is None:
        raise LibraryMismatchError(f"the amdsmi bindings {bindings} are not among those known here; {_INSTALL}")
    return expected


class Library:
    """The library, loaded and initialised.

    Raises:
        LibraryMissingError: it, or the bindings, cannot be loaded.
        LibraryMismatchError: the two do not fit each other.
        DriverMissingError: no driver, or no GPU.
        DeviceError: it refuses to begin for another reason.
    """

    def __init__(self) -> None:
        self._smi = _load()
        self._check_version()
        self._call("amdsmi_init")
        self._handles = self._call("amdsmi_get_processor_handles")
        if not self._handles:
            raise DriverMissingError("amdgpu has no GPU: see dmesg and lspci")
        self._vram = self._smi.AmdSmiMemoryType.VRAM
        self.addresses: list[str] = [self._call("amdsmi_get_gpu_device_bdf", handle) for handle in self._handles]
        """The bus address of each GPU by position, as `amd-smi list` prints them; asking for it touches no GPU."""

    def identify(self, position: int) -> Gpu:
        """What does not change while the driver is loaded.

        Raises:
            PermissionDeniedError: its unique id cannot be established.
            DeviceError: the GPU cannot be asked for it.
        """
        handle = self._handles[position]
        bdf = self.addresses[position]
        device_uuid = self._call("amdsmi_get_gpu_device_uuid", handle)
        asic = self._optional("amdsmi_get_gpu_asic_info", handle) or {}
        enumeration = self._optional("amdsmi_get_gpu_enumeration_info", handle) or {}
        ids = identity.establish(
            device_uuid, asic.get("asic_serial"), enumeration.get("hip_uuid"), _unique_id_of_kernel(bdf)
        )
        if ids is None:
            raise PermissionDeniedError(f"no unique id (device UUID {device_uuid}): {_ACCESS}")
        uuid, aliases = ids
        board = self._optional("amdsmi_get_gpu_board_info", handle) or {}
        driver = self._optional("amdsmi_get_gpu_driver_info", handle) or {}
        vbios = self._optional("amdsmi_get_gpu_vbios_info", handle) or {}
        card = decode.number(enumeration.get("drm_card"))
        return Gpu(
            index=position,
            uuid=uuid,
            aliases=aliases,
            model=decode.text(asic.get("market_name")) or decode.text(board.get("product_name")),
            bdf=bdf,
            card="" if card is None else f"card{card}",
            driver_version=decode.text(driver.get("driver_version")),
            vbios_version=decode.text(vbios.get("version")),
            compute_partition=decode.text(self._optional("amdsmi_get_gpu_compute_partition", handle)),
            memory_partition=decode.text(self._optional("amdsmi_get_gpu_memory_partition", handle)),
            vram_total_bytes=decode.number(self._optional("amdsmi_get_gpu_memory_total", handle, self._vram)),
        )

    def read(self, position: int) -> Reading:
        """What a GPU says now.

        Raises:
            GpuLostError: it fell off the bus.
            DeviceError: it cannot be read.
        """
        handle = self._handles[position]
        metrics = self._call("amdsmi_get_gpu_metrics_info", handle)
        taken = time.monotonic()
        vram_used = self._optional("amdsmi_get_gpu_memory_usage", handle, self._vram)
        return decode.reading(metrics, vram_used, taken)

    def inspect(self, position: int) -> Health:
        """What is slow to read, and changes slowly.

        Raises:
            GpuLostError: the GPU fell off the bus.
        """
        handle = self._handles[position]
        return decode.health(
            self._optional("amdsmi_get_gpu_total_ecc_count", handle),
            self._optional("amdsmi_get_gpu_bad_page_info", handle),
        )

    def _check_version(self) -> None:
        version = self._call("amdsmi_get_lib_version")
        # Before 25, `major` counted within the year that stands in front of it.
        found = tuple(version[part] for part in ("year", "major", "minor") if part in version)
        expected = library_version_for(self._smi.__version__)
        if found[: len(expected)] != expected:
            raise LibraryMismatchError(
                f"libamd_smi.so is version {_dotted(found)}, the bindings {self._smi.__version__} are for "
                f"{_dotted(expected)}; install those of this ROCm with: pip install /opt/rocm/share/amd_smi"
            )

    def _call(self, function: str, *arguments: object) -> Any:
        """One call of the bindings, its errors typed."""
        try:
            return getattr(self._smi, function)(*arguments)
        except self._smi.AmdSmiLibraryException as error:
            kind, advice = _ERRORS.get(error.err_code, (ReadFailedError, "see dmesg"))
            raise kind(f"{function}: {error.get_error_info()} (error {error.err_code}); {advice}") from error
        except (self._smi.AmdSmiException, AttributeError, ValueError) as error:
            raise ReadFailedError(f"{function}: {error}") from error

    def _optional(self, function: str, *arguments: object) -> Any:
        """The answer of a call that not every GPU, driver or user can have; None where there is none."""
        try:
            return self._call(function, *arguments)
        except (ReadFailedError, PermissionDeniedError):
            return None


def _load() -> Any:
    """The bindings, which load the library as they are imported."""
    try:
        return importlib.import_module("amdsmi")
    except ModuleNotFoundError as error:
        raise LibraryMissingError(f"the amdsmi bindings are not installed; {_INSTALL}") from error
    except AttributeError as error:
        raise LibraryMismatchError(
            f"libamd_smi.so lacks what the bindings expect ({error}); "
            "install those of this ROCm with: pip install /opt/rocm/share/amd_smi"
        ) from error
    except (ImportError, OSError, KeyError) as error:
        # The bindings print why to stdout, and then fail over the empty table: KeyError.
        raise LibraryMissingError(f"libamd_smi.so cannot be loaded; {_INSTALL}") from error


def _unique_id_of_kernel(bdf: str) -> str | None:
    try:
        return (_PCI_DEVICES / bdf / "unique_id").read_text(encoding="ascii")
    except (OSError, ValueError):
        return None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
