"""C headers from ctypes structures, and what the installed amdsmi bindings expect of the library.

The bindings' generated half, amdsmi_wrapper.py, is run with `ctypes.CDLL` replaced by a recorder. That tells the
symbols it binds and the layout of every structure, so the simulated library fits the installed version whichever
it is, and the compiler checks each size and offset.
"""

from __future__ import annotations

import ctypes
import importlib.util
import runpy
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

_SCALARS = {
    "c": "char",
    "B": "uint8_t",
    "H": "uint16_t",
    "I": "uint32_t",
    "L": "uint64_t",
    "Q": "uint64_t",
    "d": "double",
}


class _Recorder:
    """Stands in for the loaded library and notes what is looked up in it."""

    def __init__(self) -> None:
        self.symbols: dict[str, _Recorder] = {}

    def __getattr__(self, name: str) -> _Recorder:
        return self.symbols.setdefault(name, _Recorder())


class Bindings:
    """What the installed bindings expect."""

    def __init__(self) -> None:
        found = importlib.util.find_spec("amdsmi")
        assert found is not None
        assert found.origin is not None
        recorder = _Recorder()
        with patch.object(ctypes, "CDLL", lambda *_arguments, **_options: recorder):
            self._names = runpy.run_path(str(Path(found.origin).with_name("amdsmi_wrapper.py")))
        self.symbols = sorted(name for name in recorder.symbols if name.startswith("amdsmi_"))

    def structure(self, name: str) -> type[ctypes.Structure]:
        """A structure of the wrapper, as `amdsmi_gpu_metrics_t`."""
        structure: type[ctypes.Structure] = self._names[name]
        return structure


def header(structures: Iterable[type[ctypes.Structure]]) -> str:
    """Definitions of the structures and of those within them, each with its size and offsets asserted."""
    lines = ["#pragma once", "#include <stddef.h>", "#include <stdint.h>"]
    defined: set[str] = set()
    for structure in structures:
        lines += _definition(structure, defined)
    return "\n".join(lines) + "\n"


def field_place(structure: type[ctypes.Structure], path: str) -> tuple[int, int]:
    """Offset and size of a field, as `xcp_stats[0].gfx_busy_inst[3]`."""
    offset = 0
    here: Any = structure
    for step in path.replace("[", ".").replace("]", "").split("."):
        if step.isdigit():
            here = here._type_
            offset += int(step) * ctypes.sizeof(here)
        else:
            offset += getattr(here, step).offset
            here = {field[0]: field[1] for field in here._fields_}[step]
    return offset, ctypes.sizeof(here)


def _definition(structure: type[ctypes.Structure], defined: set[str]) -> Iterator[str]:
    if (name := structure.__name__) in defined:
        return
    defined.add(name)
    fields = [(field[0], *_shape(field[1])) for field in structure._fields_]
    for _, base, _ in fields:
        if isinstance(base, type) and issubclass(base, ctypes.Structure):
            yield from _definition(base, defined)
    yield f"struct __attribute__((packed)) {name} {{"
    for field, base, dimensions in fields:
        yield f"    {_type_name(base)} {field}{''.join(f'[{length}]' for length in dimensions)};"
    yield "};"
    yield f'_Static_assert(sizeof(struct {name}) == {ctypes.sizeof(structure)}, "{name}");'
    for field, _, _ in fields:
        offset = getattr(structure, field).offset
        yield f'_Static_assert(offsetof(struct {name}, {field}) == {offset}, "{name}.{field}");'


def _shape(kind: Any) -> tuple[Any, list[Any]]:
    """The type at the bottom of an array, and the lengths of its dimensions."""
    dimensions: list[Any] = []
    while isinstance(kind, type) and issubclass(kind, ctypes.Array):
        dimensions.append(kind._length_)
        kind = kind._type_
    return kind, dimensions


def _type_name(base: Any) -> str:
    if issubclass(base, ctypes.Structure):
        return f"struct {base.__name__}"
    return _SCALARS.get(base._type_, "void *") if isinstance(base._type_, str) else "void *"
