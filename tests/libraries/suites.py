"""AMD's real libraries, unpacked from Debian's suites into roots of their own beside the exporter's dependencies.

Nothing is installed: apt resolves and downloads with a state of its own, dpkg-deb unpacks, and a root is renamed to its
place when it is whole. `python -m tests.libraries.suites` unpacks all and says where they are.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
_HERE = Path(__file__).resolve().parent
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
_PACKAGES = ("base-files", "python3", "python3-venv", "amd-smi")
"""With all they depend on."""
_HEADERS = "libdrm-dev"
"""Alone, for the ioctls that the preloaded object answers."""
VENV = "opt/mi300x-exporter/venv"
"""Where the exporter's dependencies are in a root, as deploy/install.sh lays them."""
_UNUSED_SECONDS = 14 * 86400
"""After which a root that another recipe made is removed."""


class UnavailableError(Exception):
    """A suite cannot be had here; the message says why."""


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
        place = _cache() / f"{self.name}-{_recipe()}"
        with _alone(place):
            if not place.exists():
                self._unpack(place)
            os.utime(place)
        return place

    def _unpack(self, place: Path) -> None:
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{self.name}-") as folder:
            packages = _Apt(Path(folder), self.name).download()
            root = Path(folder) / "root"
            # First, as it has the links of the merged /usr.
            for package in sorted(packages, key=lambda path: not path.name.startswith("base-files")):
                _run("dpkg-deb", "--extract", str(package), str(root))
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
    library = _cache() / f"drm_node-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}.so"
    if not library.exists():
        flags = ("-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
        fresh = library.with_suffix(f".{os.getpid()}")
        _run("gcc", *flags, f"-I{root}/usr/include/libdrm", str(source), "-o", str(fresh))
        fresh.rename(library)
    return library


def bindings_version(root: Path) -> str:
    """Returns the version that the bindings of a root call themselves."""
    text = next(root.glob("usr/*/**/amdsmi/_version.py")).read_text()
    return text.split("=")[1].strip().strip("\"'").partition("+")[0]


class _Apt:
    """apt-get on a suite, apart from this machine's own packages."""

    def __init__(self, folder: Path, suite: str) -> None:
        self._folder = folder
        for needed in ("lists/partial", "cache/archives/partial", "headers"):
            (folder / needed).mkdir(parents=True)
        (folder / "status").touch()
        source = folder / "sources.list"
        signed = f"[signed-by={_KEYRING}]" if _KEYRING.exists() else ""
        source.write_text(f"deb {signed} {_MIRROR} {suite} main\n")
        options = {
            "Dir::State": folder,
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Dir::Etc::sourcelist": source,
            "Dir::Etc::sourceparts": "/dev/null",
            # A mirror may be frozen, and a machine's clock off.
            "Acquire::Check-Valid-Until": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Acquire::http::Timeout": "30",
            "APT::Sandbox::User": "root",
        }
        self._options = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]

    def download(self) -> list[Path]:
        """Returns the package files."""
        self._get("update", "--error-on=any")
        self._get("install", "--yes", "--download-only", "--no-install-recommends", *_PACKAGES)
        self._get("download", _HEADERS, folder=self._folder / "headers")
        return [*self._folder.glob("cache/archives/*.deb"), *self._folder.glob("headers/*.deb")]

    def _get(self, *command: str, folder: Path | None = None) -> None:
        _run("apt-get", "-qq", *self._options, *command, folder=folder)


def _add_dependencies(root: Path) -> None:
    """The exporter's dependencies, for the root's own Python, in a virtual environment as on a node."""
    _run("chroot", str(root), "python3", "-m", "venv", "--without-pip", f"/{VENV}")
    site = next(root.glob(f"{VENV}/lib/python3*/site-packages"))
    version = site.parent.name.removeprefix("python")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile")
    wheels = ("--python-version", version, "--implementation", "cp", "--only-binary", ":all:")
    _run(*pip, *wheels, "--target", str(site), *_dependencies())
    (site / "project.pth").write_text("/project\n")
    (root / "project").mkdir()


def _demand_namespaces() -> None:
    if os.geteuid() != 0:
        raise UnavailableError("unpacking a root, and entering it, needs root")
    # In most containers, too, that is not for root to do.
    _run("unshare", "--mount", "sh", "-c", "mount --make-rprivate / && mount -t tmpfs tmpfs /mnt")


def _run(*command: str, folder: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UnavailableError(f"{command[0]} is not there") from error
    if done.returncode:
        said = re.sub(r"\s+", " ", done.stderr.strip() or done.stdout.strip())
        raise UnavailableError(
            f"{' '.join(word for word in command if '=' not in word and word != '-o')}: {said[-600:]}"
        )


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "mi300x-exporter" / "libraries"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _dependencies() -> list[str]:
    return list(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"])


def _recipe() -> str:
    """Returns what changes when a root must be made anew."""
    parts = [Path(__file__).read_text(), *_dependencies()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """One process at a time; and roots of other recipes go once nobody has used them for long."""
    name = place.name.rpartition("-")[0]
    with (place.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for other in place.parent.glob(f"{name}-*"):
            if time.time() - other.stat().st_mtime > _UNUSED_SECONDS:
                shutil.rmtree(other)
        yield


if __name__ == "__main__":
    for suite in SUITES:
        path = suite.root()
        sys.stdout.write(f"{bindings_version(path)} {path}\n")
