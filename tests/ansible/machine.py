"""A Debian that systemd boots, reached by SSH on loopback as a machine of a fleet is.

It shares this machine's network, through which pip and apt find their registries: what it opens is on free ports. What
changes in it is gone with it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import registry
from tests.support.debian import UnavailableError, bootstrapped, run

_SUITE = "bookworm"
_PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-apt,ca-certificates,openssh-server,prometheus"
"""What a machine of a fleet has before anything is installed; python3-venv is for the role to install."""
_PATIENCE_SECONDS = 300.0
_BOOT = """
mount --make-rprivate /
mount -t overlay -o "lowerdir=$1,upperdir=$2/changes,workdir=$2/work" overlay "$2/root"
exec systemd-nspawn --quiet --directory="$2/root" --register=no --keep-unit --console=pipe \\
    --resolv-conf=copy-host --boot
"""


@dataclass
class Machine:
    """A booted Debian."""

    folder: Path
    """Scratch, which whoever made it removes."""
    ports: dict[str, int] = field(default_factory=lambda: _free("ssh", "prometheus", "node", "portal"))

    @property
    def key(self) -> Path:
        """The private key that opens root's account."""
        return self.folder / "key"

    @property
    def ssh_options(self) -> Sequence[str]:
        """For ssh, and for Ansible."""
        return ("-i", str(self.key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-q")

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Runs a shell's command as root."""
        words = ("ssh", *self.ssh_options, "-p", str(self.ports["ssh"]), "root@127.0.0.1", command)
        return subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    def says(self, command: str) -> str:
        """Returns what a command prints, which must succeed."""
        done = self.run(command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    @contextlib.contextmanager
    def booted(self) -> Iterator[None]:
        """Boots it, and ends it.

        Raises:
            UnavailableError: Debian or Python's packages cannot be had, or it does not boot here.
        """
        registry.demand()
        tree = bootstrapped("ansible", _SUITE, "root", f"--include={_PACKAGES}")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        self._prepare()
        # Of cgroups it is to see what this machine has.
        unified = run("stat", "--file-system", "--format", "%T", "/sys/fs/cgroup").strip() == "cgroup2fs"
        environment = os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": str(int(unified))}
        command = ("unshare", "--mount", "sh", "-ec", _BOOT, "boot", str(tree), str(self.folder))
        with (
            (self.folder / "boot.log").open("wb") as log,
            subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process,
        ):
            try:
                self._wait(process)
                if (lists := self.run("apt-get -qq update")).returncode:
                    raise UnavailableError(f"its package lists cannot be had: {lists.stderr.strip()[-600:]}")
                yield
            finally:
                process.terminate()

    def _prepare(self) -> None:
        for name in ("changes", "work", "root"):
            (self.folder / name).mkdir()
        prometheus = f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}"
        self._write("etc/ssh/sshd_config.d/test.conf", f"Port {self.ports['ssh']}\nListenAddress 127.0.0.1\n")
        self._write("root/.ssh/authorized_keys", self.key.with_suffix(".pub").read_text())
        self._write("etc/default/prometheus", f'ARGS="{prometheus}"\n')
        self._write("etc/pip.crt", registry.certificates().read_text())
        (self.folder / "changes/root").chmod(0o700)

    def _write(self, path: str, text: str) -> None:
        (target := self.folder / "changes" / path).parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self.run("systemctl is-system-running --wait").stdout.strip() not in {"running", "degraded"}:
            if process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "boot.log").read_text(errors="replace").strip()
                raise UnavailableError(f"Debian {_SUITE} does not boot in a container: {said[-600:]}")
            time.sleep(0.5)


def _free(*names: str) -> dict[str, int]:
    """Returns a port for each name, on which nobody listens."""
    with contextlib.ExitStack() as held:
        sockets = {name: held.enter_context(socket.create_server(("127.0.0.1", 0))) for name in names}
        return {name: listener.getsockname()[1] for name, listener in sockets.items()}
