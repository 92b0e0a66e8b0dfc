"""What deploy/slurm/gpu-times.sh, Slurm's Prolog and Epilog on this node, left of jobs: exact, however short they were.

Each run of a job is a file of lines `KEY=value`, written whole: KEY is the name of Slurm's own variable, and there is
an end once the Epilog ran.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from exporter.labels import bounded
from exporter.model import RUNNING
from exporter.tasks.slurm.jobs import Job

FOLDER = Path("/run/mi300x-exporter-slurm")
"""Where deploy/slurm/gpu-times.sh writes."""
_NAME = re.compile(r"[0-9]{1,20}\.[0-9]{1,20}")
"""Of a file: id and start of a run. Others are being written."""
_MAX_FILES = 10_000
_MAX_BYTES = 2**14
_NUMBER = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Trace:
    """What scripts told of one run of a job."""

    job: Job
    """Without indices."""
    numbers: tuple[int, ...]
    """Of its GPUs on this node, as SLURM_JOB_GPUS lists them."""


def traces(folder: Path = FOLDER) -> dict[tuple[str, float], Trace] | None:
    """Returns what there is, by run; None where the scripts are not in use."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208  names are all that is wanted
    except OSError:
        return None
    found = (parse(text) for text in _texts(folder, names))
    return {trace.job.run: trace for trace in found if trace is not None}


def parse(text: str) -> Trace | None:
    """Returns what a file tells; None where it lacks what matters."""
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    start, end = _instant(said.get("SLURM_JOB_START_TIME")), _instant(said.get("END"))
    gpus = said.get("SLURM_JOB_GPUS", "").split(",")
    if not (job_id := said.get("SLURM_JOB_ID", "")).isdecimal() or start is None or not all(map(_whole, gpus)):
        return None
    job = Job(
        job_id=bounded(job_id),
        username=_name(said, "SLURM_JOB_USER") or _name(said, "SLURM_JOB_UID"),
        account=_name(said, "SLURM_JOB_ACCOUNT"),
        partition=_name(said, "SLURM_JOB_PARTITION"),
        qos=_name(said, "SLURM_JOB_QOS"),
        start=start,
        end=RUNNING if end is None else max(start, end),
    )
    return Trace(job, tuple(sorted({int(number) for number in gpus})))


def _texts(folder: Path, names: list[str]) -> Iterator[str]:
    for name in [name for name in names if _NAME.fullmatch(name)][-_MAX_FILES:]:
        try:
            with (folder / name).open("rb") as file:
                yield file.read(_MAX_BYTES).decode(errors="replace")
        except OSError:  # removed meanwhile, or none of ours
            continue


def _name(said: Mapping[str, str], key: str) -> str:
    return bounded(said.get(key, ""))


def _whole(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _instant(text: str | None) -> float | None:
    return float(text) if text and _whole(text) and int(text) else None
