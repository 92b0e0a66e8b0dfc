"""The library, initialised: what one GPU is, says and suffers, by calls of the bindings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from exporter.devices import decode, identity
from exporter.devices.amdsmi import bindings
from exporter.devices.amdsmi.structure import Structure
from exporter.devices.economy import Economy
from exporter.devices.reconcile import agree
from exporter.errors import DeviceError, DriverMissingError, GpuLostError, PermissionDeniedError, ReadFailedError
from exporter.model import Gpu, Health, Reading

ACCESS = "add the user of this service to the groups render and video, and start it again"
_ERRORS: dict[int, tuple[type[DeviceError], str]] = {
    8: (ReadFailedError, "the driver took too long"),
    10: (PermissionDeniedError, ACCESS),
    30: (ReadFailedError, "another program holds the GPU's lock"),
    31: (GpuLostError, "the GPU fell off the bus: see dmesg; it needs a reset, or the node a reboot"),
    34: (DriverMissingError, "load the driver with modprobe amdgpu, and see dmesg"),
    43: (ReadFailedError, "the driver gave data that the library does not know: it is newer than the library"),
}
_METRICS = "amdsmi_get_gpu_metrics_info"
_NONSENSE = (AttributeError, ValueError, TypeError, LookupError, OSError, ArithmeticError)
"""What a call raises whose function is missing, or whose answer has another shape than the bindings expect."""


class Library:
    """The library, loaded and initialised.

    Args:
        check: seconds between comparisons of the structure with the dict.

    Raises:
        LibraryMissingError: it, or the bindings, cannot be loaded.
        LibraryMismatchError: the two do not fit each other.
        DriverMissingError: no driver, or no GPU.
        DeviceError: it refuses to begin for another reason.
    """

    def __init__(self, check: float) -> None:
        self._smi = self._begun()
        try:
            self._structure: Structure | None = Structure(self._smi)
        except AttributeError:
            self._structure = None
        handles = self._call("amdsmi_get_processor_handles")
        if not handles:
            raise DriverMissingError("amdgpu has no GPU: see dmesg and lspci")
        self._vram = getattr(getattr(self._smi, "AmdSmiMemoryType", None), "VRAM", None)
        self._handles: dict[str, Any] = {}
        for handle in handles:
            bdf = self._call("amdsmi_get_gpu_device_bdf", handle)
            self._handles.setdefault(bdf.rpartition(".")[0].lower(), handle)
        self._economies = {address: Economy(check) for address in self._handles}
        self.version = self._version()
        """As the library tells it: 26.0.2."""

    @property
    def addresses(self) -> list[str]:
        """Domain, bus and device of each package; its first partition speaks for all. Asking touches no GPU."""
        return sorted(self._handles)

    def identify(self, address: str) -> Gpu:
        """What does not change while the driver is loaded; `index` says nothing, `uuid` is empty without an id.

        Raises:
            DeviceError: the GPU cannot be asked for it.
        """
        handle = self._handles[address]
        asic = self._call("amdsmi_get_gpu_asic_info", handle)
        enumeration = self._optional("amdsmi_get_gpu_enumeration_info", handle) or {}
        key, aliases = identity.established(
            None,
            asic.get("asic_serial"),
            self._optional("amdsmi_get_gpu_device_uuid", handle),
            enumeration.get("hip_uuid"),
        )
        board = self._optional("amdsmi_get_gpu_board_info", handle) or {}
        driver = self._optional("amdsmi_get_gpu_driver_info", handle) or {}
        vbios = self._optional("amdsmi_get_gpu_vbios_info", handle) or {}
        card = decode.number(enumeration.get("drm_card"))
        return Gpu(
            index=0,
            uuid=key,
            aliases=aliases,
            model=decode.text(asic.get("market_name")) or decode.text(board.get("product_name")),
            bdf=f"{address}.0",
            card="" if card is None else f"card{card}",
            driver_version=decode.text(driver.get("driver_version")),
            vbios_version=decode.text(vbios.get("version")),
            compute_partition=decode.text(self._optional("amdsmi_get_gpu_compute_partition", handle)),
            memory_partition=decode.text(self._optional("amdsmi_get_gpu_memory_partition", handle)),
            vram_total_bytes=decode.number(self._optional("amdsmi_get_gpu_memory_total", handle, self._vram)),
            source="amdsmi",
            library_version=self.version,
        )

    def read(self, address: str) -> Reading:
        """What a GPU says now, by the structure or the bindings' dict, as `economy` has it.

        Raises:
            GpuLostError: it fell off the bus.
            DeviceError: it cannot be read.
        """
        handle, economy = self._handles[address], self._economies[address]
        if self._structure is None:
            return self._by_dict(handle)
        now = time.monotonic()
        if not economy.must_compare(now):
            try:
                return self._by_structure(handle, self._structure)
            except DeviceError:
                economy.compared(now, agreed=False)
                raise
        told = self._by_dict(handle)
        try:
            agreed = agree(told, self._by_structure(handle, self._structure), lambda: self._by_dict(handle))
        except DeviceError:
            agreed = False
        economy.compared(now, agreed=agreed)
        return told

    def inspect(self, address: str) -> Health:
        """What is slow to read, and changes slowly.

        Raises:
            GpuLostError: the GPU fell off the bus.
        """
        handle = self._handles[address]
        return decode.health(
            self._optional("amdsmi_get_gpu_total_ecc_count", handle),
            self._optional("amdsmi_get_gpu_bad_page_info", handle),
        )

    def _by_dict(self, handle: Any) -> Reading:
        return self._reading(handle, self._call(_METRICS, handle))

    def _by_structure(self, handle: Any, structure: Structure) -> Reading:
        return self._reading(handle, self._call(_METRICS, handle, by=structure.metrics))

    def _reading(self, handle: Any, metrics: Mapping[str, Any]) -> Reading:
        taken = time.monotonic()
        vram_used = self._optional("amdsmi_get_gpu_memory_usage", handle, self._vram)
        try:
            return decode.reading(metrics, vram_used, taken)
        except _NONSENSE as error:
            raise ReadFailedError(f"{_METRICS}: an answer of another shape ({error!r})") from error

    def _begun(self) -> ModuleType:
        """Returns the best bindings that initialise. The first call may be what loads the library."""
        first: Exception | None = None
        for candidate in bindings.candidates():
            if isinstance(candidate, Exception):
                first = first or candidate
                continue
            try:
                candidate.amdsmi_init()
            except getattr(candidate, "AmdSmiLibraryException", ()) as error:
                raise self._typed("amdsmi_init", error) from error
            except bindings.UNUSABLE as error:
                first = first or error
            else:
                return candidate
        raise bindings.explained(first) from first

    def _version(self) -> str:
        try:
            told = self._call("amdsmi_get_lib_version")
            # Before 25, `major` counted within the year that stands in front of it.
            return ".".join(str(told[part]) for part in ("year", "major", "minor", "release") if part in told)
        except (DeviceError, TypeError):
            return str(getattr(self._smi, "__version__", ""))

    def _call(self, function: str, *arguments: object, by: Callable[..., Any] | None = None) -> Any:
        """One call of the bindings, or of what stands for it, its errors typed."""
        try:
            return (by or getattr(self._smi, function))(*arguments)
        except getattr(self._smi, "AmdSmiLibraryException", ()) as error:
            raise self._typed(function, error) from error
        except getattr(self._smi, "AmdSmiException", ()) as error:
            raise ReadFailedError(f"{function}: {error}") from error
        except _NONSENSE as error:
            raise ReadFailedError(f"{function}: {error!r}") from error

    @staticmethod
    def _typed(function: str, error: Any) -> DeviceError:
        code = getattr(error, "err_code", -1)
        kind, advice = _ERRORS.get(code, (ReadFailedError, "see dmesg"))
        return kind(f"{function}: {error.get_error_info()} (error {code}); {advice}")

    def _optional(self, function: str, *arguments: object) -> Any:
        """The answer of a call that not every GPU, driver or user can have; None where there is none."""
        try:
            return self._call(function, *arguments)
        except (ReadFailedError, PermissionDeniedError):
            return None
