"""A machine to run the exporter on: a root with AMD's real library, over a made-up node.

python -m tests.libraries.machine trixie --mode CPX --revision 1.8 -- python3 -m exporter check
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.libraries.gpu_metrics import REVISIONS
from tests.libraries.made_up_sys import PARTITIONS, MadeUpGpu, Node, render_nodes
from tests.libraries.suites import SUITES, preload
from tests.support.roots import REPOSITORY, VENV

_NOBODY = 65534


@dataclass(frozen=True)
class Machine:
    """A root, a node and how to enter them."""

    root: Path
    node: Node
    folder: Path
    """Scratch: `sys` holds the node's files, which may change as something runs; `changes` is laid over the root."""
    dri: bool = True
    """Whether there are device nodes under /dev/dri."""
    privileged: bool = True
    """Runs as root; else as nobody, who may not open the device nodes."""

    def __post_init__(self) -> None:
        """Writes the node's files."""
        self.node.write(self.sys)

    @property
    def sys(self) -> Path:
        """What the machine sees as /sys."""
        return self.folder / "sys"

    def update(self, node: Node) -> None:
        """Writes what has changed of the node, as its driver would while programs read."""
        for index, gpu in enumerate(node.gpus):
            if gpu != self.node.gpus[index]:
                node.update(self.sys, index, gpu)

    def command(self, *command: str, **environment: str) -> list[str]:
        """Returns the words that run a command on the machine, with these variables and no other.

        The process that they start becomes the command: its signals and its end are the command's.
        """
        nodes = ",".join(f"renderD{minor}" for minor in render_nodes(self.node)) if self.dri else ""
        user = "0" if self.privileged else str(_NOBODY)
        entry = Path(__file__).with_name("enter.sh")
        places = (self.folder, self.root, self.sys, nodes, preload(self.root), REPOSITORY, user)
        variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONDONTWRITEBYTECODE": "1"} | environment
        clean = ("env", "-i", *(f"{name}={value}" for name, value in variables.items()))
        return [*clean, "unshare", "--mount", "sh", str(entry), *map(str, places), *command]

    def python(self, *arguments: str, **environment: str) -> list[str]:
        """Returns the words that run the root's Python with the exporter's dependencies, as a service would."""
        return self.command(f"/{VENV}/bin/python3", *arguments, **environment)


def main() -> None:
    """Runs one command on one machine of eight GPUs, each of which differs from the others in every value."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=[suite.name for suite in SUITES])
    parser.add_argument("--mode", choices=PARTITIONS, default="SPX")
    parser.add_argument("--revision", choices=REVISIONS, default="1.6", help="of gpu_metrics")
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--xcd-ids", action="store_true", help="KFD shows the XCDs' ids, as drivers from 2025 on do")
    parser.add_argument("--no-dri", action="store_true", help="there is no /dev/dri")
    parser.add_argument("--nobody", action="store_true", help="run as a user who may not open /dev/dri's nodes")
    parser.add_argument("command", nargs="+", help="`python …` is the root's Python with the exporter's dependencies")
    words = parser.parse_args()
    gpus = [MadeUpGpu.example(index) for index in range(words.gpus)]
    node = Node(gpus, words.mode, words.revision, xcd_ids_in_kfd=words.xcd_ids)
    root = next(suite for suite in SUITES if suite.name == words.suite).root()
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(root, node, Path(folder), dri=not words.no_dri, privileged=not words.nobody)
        program, *arguments = words.command
        start = machine.python(*arguments) if program == "python" else machine.command(program, *arguments)
        raise SystemExit(subprocess.run(start, check=False, cwd=os.sep).returncode)


if __name__ == "__main__":
    main()
