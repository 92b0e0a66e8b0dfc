"""A bare Debian of this machine's release that systemd boots, to install packages in: without a network, and forgotten.

It is made with debootstrap once, and kept in a cache; what happens in it is written to memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.debian import UnavailableError, cache, mirror, one_at_a_time, run

_PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3", "fish", "zsh")
_UNIFIED = Path("/sys/fs/cgroup/cgroup.controllers")
PATIENCE_SECONDS = 300.0
"""For what has to come, however slow the machine."""


@dataclass(frozen=True, slots=True)
class BareDebian:
    """A machine that has booted. What is done in it is printed, as on a terminal."""

    leader: int
    """The process, outside, that is its first one inside."""

    def run(self, *command: str) -> str:
        """Runs a program in it as root; returns what it printed.

        Raises:
            AssertionError: It failed.
        """
        code, said = self.tried(*command)
        assert code == 0, said
        return said

    def tried(self, *command: str) -> tuple[int, str]:
        """Runs a program in it as root; returns its exit code and what it printed."""
        environment = (
            "env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "DEBIAN_FRONTEND=noninteractive",
        )
        kinds = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
        done = subprocess.run(
            ["nsenter", "--target", str(self.leader), *kinds, "--", *environment, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        sys.stdout.write(f"# {' '.join(command)}\n{done.stdout}{f'[{done.returncode}]' if done.returncode else ''}\n")
        return done.returncode, done.stdout

    def shell(self, script: str) -> str:
        """Runs a script in it as root; returns what it printed.

        Raises:
            AssertionError: It failed.
        """
        return self.run("sh", "-c", script)

    def awaits(self, script: str) -> None:
        """Waits until a script succeeds.

        Raises:
            AssertionError: It never did.
        """
        waiting = f"until {{ {script}; }} >/dev/null 2>&1; do sleep 0.5; done"
        code, _ = self.tried("timeout", str(PATIENCE_SECONDS), "sh", "-c", waiting)
        if code:
            self.shell(script)


@contextlib.contextmanager
def booted(share: Path) -> Iterator[BareDebian]:
    """Boots one, with a folder of this machine as its /mnt, until the block is left.

    Raises:
        UnavailableError: It cannot be made or booted here; the message says why.
    """
    root = _root()
    with tempfile.TemporaryFile() as log, contextlib.ExitStack() as ending:
        outer = subprocess.Popen(
            [
                # It does not outlive who started it.
                *("setpriv", "--pdeathsig", "TERM"),
                *("systemd-nspawn", "--quiet", "--directory", root, "--volatile=overlay", "--private-network"),
                f"--bind-ro={share}:/mnt",
                # Its own registration would need a systemd outside.
                *("--register=no", "--keep-unit", "--console=pipe", "--boot"),
            ],
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": str(int(_UNIFIED.exists()))},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        ending.callback(outer.wait)
        ending.callback(outer.terminate)
        yield BareDebian(_leader(outer, log.fileno()))


def _leader(outer: subprocess.Popen[bytes], log: int) -> int:
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    deadline = time.monotonic() + PATIENCE_SECONDS
    state = ""
    while time.monotonic() < deadline and outer.poll() is None:
        for child in children.read_text().split():
            _, state = BareDebian(int(child)).tried("systemctl", "is-system-running", "--wait")
            if state.strip() in {"running", "degraded"}:
                return int(child)
        time.sleep(0.5)  # its first process makes no event out here
    said = os.pread(log, 4000, max(0, os.fstat(log).st_size - 4000)).decode(errors="replace")
    raise UnavailableError(f"systemd-nspawn boots nothing here: {' '.join((state + said).split())[-600:]}")


def _root() -> Path:
    if os.geteuid() != 0:
        raise UnavailableError("making a Debian, and booting it, needs root")
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    recipe = hashlib.sha256(" ".join(_PACKAGES).encode()).hexdigest()[:12]
    place = cache("bare") / f"{release}-{recipe}"
    with one_at_a_time(place):
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{release}-") as folder:
                fresh = Path(folder) / "root"
                wanted = f"--include={','.join(_PACKAGES)}"
                run("debootstrap", "--variant=minbase", wanted, release, str(fresh), mirror())
                fresh.rename(place)
        os.utime(place)
    return place
