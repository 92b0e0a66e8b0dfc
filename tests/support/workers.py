"""The worker processes that a test's own process has started."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def children() -> set[int]:
    """Returns their process ids. Python may have started a process of its own, as multiprocessing does."""
    tasks = Path("/proc/self/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split() if _is_worker(pid)}


def _is_worker(pid: str) -> bool:
    with suppress(OSError):
        return b"exporter.devices.worker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False
