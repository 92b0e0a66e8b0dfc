"""Finding AMD's Python bindings: the node's own first, as only they fit the node's library.

ROCm puts them beside itself, Linux distributions among the system's Python packages; PyPI has some of 2025 that fit a
node by luck only. Which release they are of does not matter: what is called is called by name, and what one of them
lacks is absent.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from exporter.errors import LibraryMismatchError, LibraryMissingError

_NAME = "amdsmi"
_ROCM = Path("/opt/rocm")
_BESIDE_ROCM = Path("share/amd_smi")
_INSTALL = "install ROCm's amd-smi-lib, which brings its bindings along"
_ONE_RELEASE = "library and bindings must be of one ROCm release: see docs/operations.md (Bindings)"
UNUSABLE = (ImportError, OSError, KeyError, AttributeError)
"""What loading, or the first call, raises where the library is missing or another than the bindings are for."""


def folders() -> Iterator[Path | None]:
    """Yields where bindings may be, best first; None stands for this Python's own packages.

    An operator's own wish, PYTHONPATH, comes before everything.
    """
    yield from (Path(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry)
    if named := os.environ.get("ROCM_PATH"):
        yield Path(named) / _BESIDE_ROCM
    for release in sorted(_ROCM.glob("core-*"), key=_release, reverse=True):
        yield release / _BESIDE_ROCM
    yield _ROCM / _BESIDE_ROCM
    yield Path("/usr") / _BESIDE_ROCM
    yield from sorted(Path("/usr/local/lib").glob("python3*/dist-packages"), reverse=True)
    yield Path("/usr/lib/python3/dist-packages")
    yield None


def candidates() -> Iterator[ModuleType | Exception]:
    """Yields the bindings there are, best first; in place of those that cannot be imported, why.

    The caller takes the first that initialise.
    """
    for folder in folders():
        try:
            module = _import(folder)
        except UNUSABLE as error:
            yield error
        else:
            if module is not None:
                yield module


def explained(error: Exception | None) -> LibraryMissingError | LibraryMismatchError:
    """Returns what an error of loading, or of the first call, means; None: there are no bindings at all."""
    if error is None or isinstance(error, ModuleNotFoundError):
        return LibraryMissingError(f"the amdsmi bindings are not installed; {_INSTALL}")
    if isinstance(error, AttributeError):
        return LibraryMismatchError(f"libamd_smi.so lacks what the bindings expect ({error}); {_ONE_RELEASE}")
    # Some bindings print why to stdout, and then fail over the empty table: KeyError. Others tell it in several lines.
    told = " ".join(str(error).split())
    return LibraryMissingError(f"libamd_smi.so cannot be loaded ({told}); {_INSTALL}")


def _import(folder: Path | None) -> ModuleType | None:
    """Returns the bindings of one folder; None where it has none."""
    for name in [name for name in sys.modules if name.partition(".")[0] == _NAME]:
        del sys.modules[name]
    spec = importlib.machinery.PathFinder.find_spec(_NAME, None if folder is None else [str(folder)])
    if spec is None or spec.loader is None:
        return None
    module = sys.modules[_NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _release(folder: Path) -> list[int]:
    """Orders core-7.9 before core-7.14."""
    return [int(part) for part in re.findall(r"\d+", folder.name)]
