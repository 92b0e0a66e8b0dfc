"""podman with a store of its own, whose containers have no network but their loopback, and a base of Debian's packages.

A machine may have no registry of images, no systemd, and a hierarchy of cgroups that crun does not know: the base is
made with mmdebstrap, and podman runs in a mount namespace that has a cgroup2 of its own, which it leaves alone.
"""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import registry
from tests.support.debian import UnavailableError, bootstrapped, run

_REPOSITORY = Path(__file__).resolve().parents[2]
_SUITE = "trixie"
_LEFT_OUT = ("doc", "groff", "info", "linda", "lintian", "locale", "man")
_LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
"""podman's own are more than a container may give."""
_HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
"""As docs/operations.md runs it."""
_ENTER = "mount --make-rprivate / && mount -t cgroup2 cgroup2 /sys/fs/cgroup && echo && exec sleep infinity"
IMAGE = "localhost/mi300x-exporter"
BASE = "localhost/base"


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    output: str
    """What it wrote to both."""


class Engine:
    """podman, until it is closed.

    Args:
        folder: For images and containers; whoever made it removes it.

    Raises:
        UnavailableError: This machine has no podman, or does not let it run.
    """

    def __init__(self, folder: Path) -> None:
        run("podman", "--version")
        self._folder = folder
        command = ("unshare", "--mount", "sh", "-c", _ENTER)
        self._namespace = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._namespace.stdout is not None
        assert self._namespace.stderr is not None
        if not self._namespace.stdout.readline():
            raise UnavailableError(f"no mount namespace with a cgroup2: {self._namespace.stderr.read().strip()}")

    def close(self) -> None:
        """Ends what runs, and forgets images and containers."""
        self.podman("system", "reset", "--force")
        self._namespace.send_signal(signal.SIGTERM)
        self._namespace.communicate()

    def podman(self, *words: str | Path) -> Done:
        """Runs podman."""
        places = ("--root", self._folder / "store", "--runroot", self._folder / "run", "--tmpdir", self._folder / "tmp")
        # Health checks are run by the tests: the timers that podman asks systemd for are not to be had everywhere.
        quiet = ("--log-level", "fatal", "--cgroup-manager", "cgroupfs")
        inside = ("nsenter", "--target", str(self._namespace.pid), "--mount", "--", "podman", *places, *quiet)
        done = subprocess.run(
            [*inside, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return Done(done.returncode, done.stdout)

    def build(self) -> None:
        """Makes the image of the Dockerfile, on a base that is imported.

        Raises:
            UnavailableError: Packages of Debian or Python cannot be had.
        """
        registry.demand()
        imported = self.podman("import", _base(), BASE)
        assert imported.code == 0, imported.output
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            pip = Path(folder, "pip.conf")
            pip.write_text(registry.configuration("/run/secrets/ca.pem"))
            secrets = ("--secret", f"id=pip.conf,src={pip}", "--secret", f"id=ca.pem,src={registry.certificates()}")
            how = ("--isolation", "chroot", "--network", "host", "--format", "docker")
            made = self.podman("build", *how, "--build-arg", f"BASE={BASE}", *secrets, "--tag", IMAGE, _REPOSITORY)
        assert made.code == 0, made.output[-3000:]

    def size(self, image: str) -> int:
        """Returns the bytes of an image."""
        return int(self.inspected("image", image)["Size"])

    def inspected(self, kind: str, name: str) -> dict[str, Any]:
        """Returns what podman knows of an image or a container."""
        shown = self.podman(kind, "inspect", name)
        assert shown.code == 0, shown.output
        found: dict[str, Any] = json.loads(shown.output)[0]
        return found

    def start(self, name: str, config: Path) -> Container:
        """Starts the exporter with the folder of a config."""
        volume = ("--volume", f"{config}:/etc/mi300x-exporter:ro")
        how = ("--detach", "--name", name, "--cgroups", "disabled", "--network", "none", *_LIMITS, *_HARDENED, *volume)
        started = self.podman("run", *how, IMAGE)
        assert started.code == 0, started.output
        return Container(self, name)


@dataclass(frozen=True)
class Container:
    """The exporter in a container of its own."""

    engine: Engine
    name: str

    def run(self, *words: str) -> Done:
        """Runs a command beside the service, as its user."""
        return self.engine.podman("exec", self.name, *words)

    def is_healthy(self) -> bool:
        """Whether the image's own check says so."""
        return self.engine.podman("healthcheck", "run", self.name).code == 0

    def log(self) -> str:
        """What the service has written."""
        return self.engine.podman("logs", self.name).output

    def signal(self, name: str) -> None:
        """Sends the service a signal."""
        self.engine.podman("kill", "--signal", name, self.name)

    def remove(self) -> None:
        """Ends it, at once."""
        self.engine.podman("rm", "--force", "--time", "0", self.name)


def contents(container: Container, folders: Sequence[str]) -> dict[str, int]:
    """Returns how many bytes these folders have; of one within another, the inner has its own."""
    sizes = container.run("du", "--bytes", "--summarize", "--one-file-system", *folders)
    lines = (line.split(maxsplit=1) for line in sizes.output.splitlines() if line[:1].isdigit())
    return {folder: int(size) for size, folder in lines}


def _base() -> Path:
    """Returns Debian's essential packages, as its slim images have them.

    Raises:
        UnavailableError: One cannot be had.
    """
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{kind}/*" for kind in _LEFT_OUT]
    return bootstrapped("image", _SUITE, "base.tar", *left_out)
