"""What a GPU says now, from the structure that AMD's bindings have the library fill: without the dict they build of it.

Type and layout are what these bindings declare, and the call is the one that they make themselves, so it is right where
the dict is. Building the dict, of some 200 values, costs most of a reading; twenty are wanted.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

_BUSY = "xcp_stats.gfx_busy_inst"


class Structure:
    """Asks for metrics by the bindings' structure.

    Args:
        smi: the bindings.

    Raises:
        AttributeError: they have no such structure or call under the names known here.
    """

    def __init__(self, smi: ModuleType) -> None:
        self._type = smi.amdsmi_wrapper.amdsmi_gpu_metrics_t
        self._fill = smi.amdsmi_wrapper.amdsmi_get_gpu_metrics_info
        self._error = smi.AmdSmiLibraryException

    def metrics(self, handle: Any) -> Mapping[str, Any]:
        """Returns the answer of amdsmi_get_gpu_metrics_info, but that what is not available is all ones.

        Raises:
            amdsmi.AmdSmiLibraryException: as that call does.
        """
        structure = self._type()
        if status := self._fill(handle, ctypes.byref(structure)):
            raise self._error(status)
        return _Fields(structure)


class _Fields(Mapping[str, Any]):
    """A structure's fields under the names that the dict has; each is converted when it is asked for."""

    def __init__(self, structure: Any) -> None:
        self._structure = structure

    def __getitem__(self, name: str) -> Any:
        try:
            if name == _BUSY:
                return [partition.gfx_busy_inst for partition in self._structure.xcp_stats]
            return getattr(self._structure, name)
        except AttributeError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return (field[0] for field in self._structure._fields_)

    def __len__(self) -> int:
        return len(self._structure._fields_)
