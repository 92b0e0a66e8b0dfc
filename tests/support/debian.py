"""Packages of Debian's suites, fetched and unpacked, or installed in a root of their own, in a cache.

apt resolves and downloads with a state of its own, from the mirror that this machine uses, and dpkg-deb unpacks.
Nothing is installed on this machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_MIRROR = re.compile(r"\S*/debian/?")
_UNUSED_SECONDS = 14 * 86400
"""After which what another recipe unpacked is removed."""


class UnavailableError(Exception):
    """A suite cannot be had here; the message says why."""


class Apt:
    """apt-get on a suite, apart from this machine's own packages.

    Args:
        folder: For its lists and packages.
        suite: Debian's name of it.

    Raises:
        UnavailableError: This machine knows no mirror of Debian.
    """

    def __init__(self, folder: Path, suite: str) -> None:
        self._folder = folder
        for needed in ("lists/partial", "cache/archives/partial", "alone"):
            (folder / needed).mkdir(parents=True)
        (folder / "status").touch()
        source = folder / "sources.list"
        signed = f"[signed-by={_KEYRING}]" if _KEYRING.exists() else ""
        source.write_text(f"deb {signed} {mirror()} {suite} main\n")
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

    def update(self) -> None:
        """Fetches the lists.

        Raises:
            UnavailableError: They cannot be had.
        """
        self._get("update", "--error-on=any")

    def with_dependencies(self, *packages: str) -> list[Path]:
        """Returns the files of packages and of all they need.

        Raises:
            UnavailableError: One cannot be had.
        """
        self._get("install", "--yes", "--download-only", "--no-install-recommends", *packages)
        return sorted(self._folder.glob("cache/archives/*.deb"))

    def alone(self, *packages: str) -> list[Path]:
        """Returns the files of packages, without what they need.

        Raises:
            UnavailableError: One cannot be had.
        """
        self._get("download", *packages, folder=self._folder / "alone")
        return sorted((self._folder / "alone").glob("*.deb"))

    def _get(self, *command: str, folder: Path | None = None) -> None:
        run("apt-get", "-qq", *self._options, *command, folder=folder)


def bootstrapped(kind: str, suite: str, name: str, *options: str) -> Path:
    """Returns a suite's essential packages, installed by mmdebstrap, made if they are not in the cache.

    Args:
        kind: Of the cache.
        suite: Debian's name of it.
        name: Of what is made: a tar file if it ends so, else a folder.
        options: For mmdebstrap, such as the packages to add.

    Raises:
        UnavailableError: A package cannot be had, or this is not root.
    """
    if os.geteuid() != 0:
        raise UnavailableError("installing Debian in a folder needs root")
    recipe = hashlib.sha256(repr((name, options)).encode()).hexdigest()[:12]
    place = cache(kind) / f"{suite}-{recipe}"
    with one_at_a_time(place):
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{suite}-") as folder:
                (made := Path(folder, "made")).mkdir()
                # A mirror may be frozen, and a machine's clock off.
                how = ("--quiet", "--variant=minbase", '--aptopt=Acquire::Check-Valid-Until "false"', *options)
                run("mmdebstrap", *how, suite, str(made / name), f"deb {mirror()} {suite} main")
                made.rename(place)
        os.utime(place)
    return place / name


def mirror() -> str:
    """Returns where this machine gets Debian's packages from, or `$DEBIAN_MIRROR`.

    Raises:
        UnavailableError: There is none.
    """
    if chosen := os.environ.get("DEBIAN_MIRROR"):
        return chosen
    known = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian").split()
    found = next((uri for uri in known if _MIRROR.fullmatch(uri)), None)
    if found is None:
        raise UnavailableError("apt knows no mirror of Debian (after `apt-get update`), and DEBIAN_MIRROR is not set")
    return found


def run(*command: str, folder: Path | None = None) -> str:
    """Runs a program, and returns what it printed.

    Raises:
        UnavailableError: It is not there, or failed.
    """
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UnavailableError(f"{command[0]} is not there") from error
    if done.returncode:
        said = re.sub(r"\s+", " ", done.stderr.strip() or done.stdout.strip())
        raise UnavailableError(
            f"{' '.join(word for word in command if '=' not in word and word != '-o')}: {said[-600:]}"
        )
    return done.stdout


def cache(kind: str) -> Path:
    """Returns the folder in which one kind of unpacked things is kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "mi300x-exporter" / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def one_at_a_time(place: Path) -> Iterator[None]:
    """One process at a time at `<name>-<recipe>`; and places of other recipes go once nobody has used them for long."""
    name = place.name.rpartition("-")[0]
    with (place.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for other in place.parent.glob(f"{name}-*"):
            if time.time() - other.stat().st_mtime > _UNUSED_SECONDS:
                shutil.rmtree(other)
        yield
