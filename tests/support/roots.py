"""Roots of other Debian suites, unpacked into the cache beside the exporter's dependencies for their own Python.

Nothing is installed: packages are unpacked, and a root is renamed to its place when it is whole.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.debian import Apt, UnavailableError, cache, one_at_a_time, run

REPOSITORY = Path(__file__).resolve().parents[2]
VENV = "opt/mi300x-exporter/venv"
"""Where the exporter's dependencies are in a root, as deploy/install.sh lays them."""


@dataclass(frozen=True)
class Recipe:
    """What a root is made of."""

    kind: str
    """The folder of the cache in which it is kept."""
    suite: str
    """Debian's name."""
    packages: Sequence[str]
    """With all that they depend on; `base-files`, `python3` and `python3-venv` among them."""
    alone: Sequence[str] = ()
    """Without what they depend on."""

    def root(self) -> Path:
        """Returns the unpacked root, made if it is not in the cache.

        Raises:
            UnavailableError: a package cannot be fetched, or a root cannot be unpacked or entered here.
        """
        _demand_namespaces()
        place = cache(self.kind) / f"{self.suite}-{self._digest()}"
        with one_at_a_time(place):
            if not place.exists():
                self._unpack(place)
            os.utime(place)
        return place

    def _unpack(self, place: Path) -> None:
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{self.suite}-") as folder:
            apt = Apt(Path(folder) / "apt", self.suite)
            apt.update()
            packages = apt.with_dependencies(*self.packages)
            packages += apt.alone(*self.alone) if self.alone else []
            root = Path(folder) / "root"
            # First, as it has the links of the merged /usr.
            for package in sorted(packages, key=lambda path: not path.name.startswith("base-files")):
                run("dpkg-deb", "--extract", str(package), str(root))
            _add_dependencies(root)
            root.rename(place)

    def _digest(self) -> str:
        """Returns what changes when a root must be made anew."""
        parts = [Path(__file__).read_text(), *self.packages, *self.alone, *_dependencies()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _add_dependencies(root: Path) -> None:
    """The exporter's dependencies, for the root's own Python, in a virtual environment as on a node."""
    run("chroot", str(root), "python3", "-m", "venv", "--without-pip", f"/{VENV}")
    site = next(root.glob(f"{VENV}/lib/python3*/site-packages"))
    version = site.parent.name.removeprefix("python")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile")
    wheels = ("--python-version", version, "--implementation", "cp", "--only-binary", ":all:")
    run(*pip, *wheels, "--target", str(site), *_dependencies())
    (site / "project.pth").write_text("/project\n")
    (root / "project").mkdir()


def _demand_namespaces() -> None:
    if os.geteuid() != 0:
        raise UnavailableError("unpacking a root, and entering it, needs root")
    # In most containers, too, that is not for root to do.
    run("unshare", "--mount", "sh", "-c", "mount --make-rprivate / && mount -t tmpfs tmpfs /mnt")


def _dependencies() -> list[str]:
    return list(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"])
