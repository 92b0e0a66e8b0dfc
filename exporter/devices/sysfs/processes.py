"""Which processes hold VRAM of which GPU, and whose they are.

KFD tells bytes by process and GPU; /proc tells the rest, where this process may see it. A process that uses a GPU
through graphics alone is not among them.
"""

from __future__ import annotations

import pwd
import re
from collections import defaultdict
from functools import lru_cache

from exporter.devices.sysfs import read
from exporter.devices.sysfs.tree import Tree
from exporter.model import Process

_CONTAINER = re.compile(r"[0-9a-f]{64}")
"""As Docker, containerd, CRI-O and Podman name the group of a container."""
_SLURM_JOB = re.compile(r"/job_([0-9]{1,20})")
_DIGITS = 12
"""Of a container's id: what `docker ps` shows."""


def running(tree: Tree, sysfs: str = "/sys", proc: str = "/proc") -> dict[str, tuple[Process, ...]] | None:
    """Returns the processes of each package by its address, most VRAM first; None where the kernel has no KFD."""
    addresses = {node.gpu_id: node.address for node in tree.nodes()}
    if not addresses:
        return None
    found: dict[str, list[Process]] = {address: [] for address in addresses.values()}
    processes = f"{sysfs}/class/kfd/kfd/proc"
    for pid in filter(str.isdecimal, read.names(processes)):
        used: dict[str, int] = defaultdict(int)
        for name in read.names(f"{processes}/{pid}"):
            kind, _, gpu_id = name.partition("_")
            if kind == "vram" and gpu_id in addresses:
                used[addresses[gpu_id]] += read.number(f"{processes}/{pid}/{name}") or 0
        for address, vram_used_bytes in used.items():
            if vram_used_bytes:
                found[address].append(_described(proc, int(pid), vram_used_bytes))
    return {
        address: tuple(sorted(of_gpu, key=lambda process: (-process.vram_used_bytes, process.pid)))
        for address, of_gpu in found.items()
    }


def _described(proc: str, pid: int, vram_used_bytes: int) -> Process:
    groups = read.text(f"{proc}/{pid}/cgroup")
    container = _CONTAINER.findall(groups)
    job = _SLURM_JOB.search(groups)
    uid = re.search(r"^Uid:\s+([0-9]{1,10})\s", read.text(f"{proc}/{pid}/status"), re.MULTILINE)
    return Process(
        pid=pid,
        vram_used_bytes=vram_used_bytes,
        command=read.text(f"{proc}/{pid}/comm"),
        # The last: a container in a container is the one that runs it.
        container=container[-1][:_DIGITS] if container else job[1] if job else "",
        user=_name(int(uid[1])) if uid else "",
    )


@lru_cache(maxsize=1024)
def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)
