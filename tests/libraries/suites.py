"""AMD's real libraries, unpacked from Debian's suites into roots of their own.

`python -m tests.libraries.suites` unpacks all and says where they are.
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.debian import cache, run
from tests.support.roots import Recipe

_HERE = Path(__file__).resolve().parent
_PACKAGES = ("base-files", "python3", "python3-venv", "amd-smi")
"""With all they depend on."""
_HEADERS = "libdrm-dev"
"""Alone, for the ioctls that the preloaded object answers."""


@dataclass(frozen=True)
class Suite:
    """A Debian suite, and the era of amdsmi that it carries."""

    name: str

    def root(self) -> Path:
        """Returns the unpacked root, made if it is not in the cache.

        Raises:
            UnavailableError: a package cannot be fetched, or a root cannot be unpacked or entered here.
        """
        return Recipe("libraries", self.name, _PACKAGES, (_HEADERS,)).root()


SUITES = (Suite("trixie"), Suite("unstable"))
"""amdsmi 24.5 (ROCm 6.1), and the newest that Debian has: 27.1 (ROCm 10.1) at the time of writing."""


def preload(root: Path) -> Path:
    """Returns the compiled drm_node.c, which a root's programs are to preload.

    Raises:
        UnavailableError: there is no compiler.
    """
    source = _HERE / "drm_node.c"
    library = cache("libraries") / f"drm_node-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}.so"
    if not library.exists():
        flags = ("-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
        fresh = library.with_suffix(f".{os.getpid()}")
        run("gcc", *flags, f"-I{root}/usr/include/libdrm", str(source), "-o", str(fresh))
        fresh.rename(library)
    return library


def bindings_version(root: Path) -> str:
    """Returns the version that the bindings of a root call themselves."""
    text = next(root.glob("usr/*/**/amdsmi/_version.py")).read_text()
    return text.split("=")[1].strip().strip("\"'").partition("+")[0]


if __name__ == "__main__":
    for suite in SUITES:
        path = suite.root()
        sys.stdout.write(f"{bindings_version(path)} {path}\n")
