"""A Slurm cluster of two nodes in namespaces of its own, on the packages of Debian 13, and what runs beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from exporter.devices.simulated.gpus import SimulatedGpus
from exporter.devices.simulated.workload import Workload
from tests.libraries.made_up_gpu import MadeUpGpu
from tests.libraries.made_up_sys import Node
from tests.support.roots import REPOSITORY, VENV, Recipe

RECIPE = Recipe(
    "slurm",
    "trixie",
    (
        *("base-files", "bash", "coreutils", "dash", "debianutils", "findutils", "grep", "hostname", "iproute2"),
        *("mount", "procps", "python3", "python3-venv", "sed", "util-linux"),
        *("mariadb-server", "munge", "slurm-client", "slurmctld", "slurmd", "slurmdbd"),
    ),
)
GPUS = 4
"""Of node 1, with two partitions each."""
SEED = 16
UIDS = {"root": 0, "alice": 2001, "bob": 2002, "exporter": 103}
PATIENCE_SECONDS = 180.0
"""For what has to come, however slow the machine."""
_HERE = Path(__file__).resolve().parent
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}


def uuids() -> list[str]:
    """Returns the unique ids of node 1's GPUs, in order."""
    return [gpu.uuid for gpu in SimulatedGpus(Workload(SEED, GPUS)).gpus]


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up."""

    pid: int
    """Of the first process in its namespaces."""

    @property
    def root(self) -> Path:
        """Its files, as seen from outside."""
        return Path(f"/proc/{self.pid}/root")

    def words(self, *command: str, user: str = "root") -> list[str]:
        """Returns the words that run a command on node 1."""
        uid = str(UIDS[user])
        clean = ("env", "-i", *(f"{name}={value}" for name, value in _ENVIRONMENT.items()))
        spaces = ("nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--uts", "--ipc")
        place = (f"--root={self.root}", f"--wd={self.root}/tmp")
        return [*clean, *spaces, *place, "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *command]

    def run(self, *command: str, user: str = "root") -> str:
        """Runs a command on node 1, and returns what it printed."""
        done = subprocess.run(self.words(*command, user=user), capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def beside(self, *command: str) -> list[str]:
        """Returns the words that run a program of this machine in the cluster's network."""
        return ["nsenter", f"--target={self.pid}", "--net", *command]

    def get(self, url: str) -> str:
        """Returns the body of an answer from the cluster's network."""
        program = (
            "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1], timeout=60).read().decode())"
        )
        words = self.beside(sys.executable, "-c", program, url)
        return subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout

    def submit(self, user: str, *options: str, script: str = "exec sleep 3600") -> str:
        """Has a user submit a job; returns its id."""
        return self.run("sbatch", "--parsable", "--output=/dev/null", *options, f"--wrap={script}", user=user).strip()

    def job(self, job: str) -> dict[str, Any]:
        """Returns what the controller says of one job."""
        jobs = json.loads(self.run("scontrol", "show", "job", "-d", "--json", job))["jobs"]
        return dict(jobs[0])

    def until(self, job: str, state: str) -> None:
        """Waits until a job is in a state."""
        until(lambda: self.job(job)["job_state"] == [state], f"job {job} is {state}")


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits for what no event tells of."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"it never came: {what}"
        time.sleep(0.1)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Brings a cluster up, with deploy/slurm/gpu-times.sh as its Prolog and Epilog, and ends it.

    Raises:
        UnavailableError: Debian's packages cannot be had, or namespaces not be made.
    """
    root = RECIPE.root()
    config = folder / "config" / "etc" / "slurm"
    shutil.copytree(_HERE / "etc", config)
    for kind in ("prolog", "epilog"):
        (config / f"{kind}.d").mkdir()
        shutil.copy(REPOSITORY / "deploy/slurm/gpu-times.sh", config / f"{kind}.d" / "50-gpu-times.sh")
        shutil.copy(_HERE / "witness.sh", config / f"{kind}.d" / "90-witness.sh")
    scratch = folder / "scratch"
    scratch.mkdir()
    simulated = SimulatedGpus(Workload(SEED, GPUS)).gpus
    made_up = [replace(MadeUpGpu.example(gpu.index), bdf=gpu.bdf, unique_id=int(gpu.uuid, 16)) for gpu in simulated]
    Node(made_up, "DPX").write(folder / "sys")
    spaces = ("unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child")
    places = (scratch, root, folder / "sys", folder / "config", REPOSITORY)
    words = [*spaces, "sh", str(_HERE / "start.sh"), *map(str, places)]
    with (folder / "cluster.log").open("w") as log:
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            said = [line.strip() for line in iter(process.stdout.readline, "READY\n")]
            assert process.poll() is None, (said, (folder / "cluster.log").read_text())
            yield Cluster(int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()))
        finally:
            process.kill()


@contextmanager
def running(words: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program until the block is left."""
    with log.open("wb") as file:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            sys.stderr.write(log.read_text()[-4000:])  # shown by pytest where a test fails


@contextmanager
def serving(there: Cluster, config: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Serves on node 1 as a user without rights, until the block is left."""
    (there.root / "etc/exporter.yaml").write_text(config)
    start = f"echo $$ >/tmp/exporter.pid; exec /{VENV}/bin/python3 -m exporter serve --config /etc/exporter.yaml"
    with running(there.words("sh", "-c", start, user="exporter"), log) as process:
        try:
            yield process
        finally:
            # What is outside of its namespace waits for it, and would leave it behind if it were told itself.
            if process.poll() is None:
                there.run("sh", "-c", "kill $(cat /tmp/exporter.pid)")
                process.wait(PATIENCE_SECONDS)


def prometheus(there: Cluster, folder: Path) -> list[str]:
    """Returns the words that scrape node 1 each second, into a new folder."""
    folder.mkdir()
    scrape = "{job_name: gpus, scrape_interval: 1s, static_configs: [{targets: ['127.0.0.1:9942']}]}"
    (folder / "prometheus.yml").write_text(f"scrape_configs: [{scrape}]\n")
    options = (f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data")
    return there.beside("prometheus", *options, "--web.listen-address=127.0.0.1:9090")
