"""AMD's real libraries, unpacked from Debian's suites into roots of their own beside the exporter's dependencies.

Nothing is installed: packages are unpacked, and a root is renamed to its place when it is whole.
`python -m tests.libraries.suites` unpacks all and says where they are.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.support.debian import Apt, UnavailableError, cache, one_at_a_time, run

REPOSITORY = Path(__file__).resolve().parents[2]
_HERE = Path(__file__).resolve().parent
_PACKAGES = ("base-files", "python3", "python3-venv", "amd-smi")
"""With all they depend on."""
_HEADERS = "libdrm-dev"
"""Alone, for the ioctls that the preloaded object answers."""
VENV = "opt/mi300x-exporter/venv"
"""Where the exporter's dependencies are in a root, as deploy/install.sh lays them."""


@dataclass(frozen=True)
class Suite:
    """A Debian suite, and the era of amdsmi that it carries."""

    name: str

    def root(self) -> Path:
        """Returns the unpacked root, made if it is not in the cache.

        Raises:
            UnavailableError: a package cannot be fetched, or a root cannot be unpacked or entered here.
        """
        _demand_namespaces()
        place = cache("libraries") / f"{self.name}-{_recipe()}"
        with one_at_a_time(place):
            if not place.exists():
                self._unpack(place)
            os.utime(place)
        return place

    def _unpack(self, place: Path) -> None:
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{self.name}-") as folder:
            apt = Apt(Path(folder) / "apt", self.name)
            apt.update()
            packages = [*apt.with_dependencies(*_PACKAGES), *apt.alone(_HEADERS)]
            root = Path(folder) / "root"
            # First, as it has the links of the merged /usr.
            for package in sorted(packages, key=lambda path: not path.name.startswith("base-files")):
                run("dpkg-deb", "--extract", str(package), str(root))
            _add_dependencies(root)
            root.rename(place)


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


def _recipe() -> str:
    """Returns what changes when a root must be made anew."""
    parts = [Path(__file__).read_text(), *_dependencies()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


if __name__ == "__main__":
    for suite in SUITES:
        path = suite.root()
        sys.stdout.write(f"{bindings_version(path)} {path}\n")
