"""What Slurm prints and its scripts leave, gres.conf, and files of bookings."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from exporter.errors import TasksError, TasksPayloadError
from exporter.model import RUNNING, MalformedTask, Task
from exporter.tasks.bookings.parse import parse
from exporter.tasks.slurm import hooks
from exporter.tasks.slurm.gpus import device_files
from exporter.tasks.slurm.hostlist import expand
from exporter.tasks.slurm.jobs import MAX_GPUS, JobReader
from exporter.tasks.slurm.runs import Runs
from tests.fuzz.fuzzing import TEXTS, mutated, reads_or_refuses

_RECORDED = Path(__file__).parents[1] / "tasks/slurm/recorded"
_PRINTED = [path.read_bytes()[:6000] for path in sorted(_RECORDED.glob("*.json"))]
_BOOKED = b"""hosts:
  gpu1: [52f67b3700dcc6f3, 0cab2c7c9fd3a5f1]
bookings:
  - {user: amy, gpus: [gpu1/0], from: 2026-11-26 09:00, to: 2026-11-27 18:00, id: 7}
  - {user: bob, hosts: [gpu1], from: 2026-11-26}
"""
_LEFT = b"SLURM_JOB_ID=6\nSLURM_JOB_USER=bob\nSLURM_JOB_GPUS=0,3\nSLURM_JOB_START_TIME=1795675116\nEND=1795675120\n"
_GRES = b"NodeName=gpu-node-[1-2] Name=gpu Type=mi300x File=/dev/dri/renderD[128-131,136]\n"


class AnyGpus:
    def by_index(self, index: int) -> str | None:
        return f"{index:016x}" if index % 3 else None

    by_number = by_index


def answered(data: bytes, piece: int, words: str) -> None:
    reader = JobReader("gpu-node-1")
    for start in range(0, len(data), piece):
        reader.feed(data[start : start + piece])
    reader.close(words)
    for job in reader.jobs:
        assert 0 < job.start <= job.end
        assert all(0 <= index < MAX_GPUS for index in job.indices or ())
        job.username.encode()
    runs = Runs(1000.0)
    for now in (1795717860.0, 1795717890.0):
        runs.learn(now, reader.jobs, reader.waiting, None, AnyGpus())
        reader.jobs.clear()
        assert all(kept.job.start <= kept.job.end for kept in runs.between(-RUNNING, RUNNING))
        assert all(one.start <= one.end for one in runs.doubts(-RUNNING, RUNNING, ("a",)))


@given(
    data=mutated(_PRINTED, [b"[", b"{", b"null", b"-1", b"1e999", b'"IDX:0-99999999"', b"9" * 400, b"<", b"\\ud800"]),
    piece=st.sampled_from([1, 7, 1000, 10_000]),
    words=TEXTS,
)
@reads_or_refuses(TasksError)
def test_what_scontrol_prints(data: bytes, piece: int, words: str) -> None:
    answered(data, piece, words)


@given(
    data=mutated(
        [_BOOKED], [b"&a", b"*a", b"[", b"{", b": ", b"- ", b"!!int", b"<<", b"|", b"\t", b"0001-01-01", b"9999-12-31"]
    )
)
@reads_or_refuses(TasksPayloadError)
def test_a_file_of_bookings(data: bytes) -> None:
    said = parse(data.decode(errors="replace"), ZoneInfo("Asia/Taipei"))
    entries: list[Task | MalformedTask] = [*said.tasks, *said.malformed]
    assert all(one.start <= one.end for one in entries)
    assert all(task.username and task.gpus for task in said.tasks)


@given(data=mutated([_LEFT], [b"=", b"\n", b",", b"-1", b"9" * 30]))
@reads_or_refuses()
def test_what_slurms_scripts_leave(data: bytes) -> None:
    trace = hooks.parse(data.decode(errors="replace"))
    assert trace is None or (trace.job.start <= trace.job.end and trace.numbers)


@example(data=b"Name=gpu File=[0-999999999]" + _GRES.rstrip() * 40)
@given(data=mutated([_GRES], [b"[", b"]", b"-", b",", b"=", b"\\\n", b"#", b"[0-999999999]"]))
@reads_or_refuses()
def test_gres_conf_and_lists_of_names(data: bytes) -> None:
    text = data.decode(errors="replace")
    device_files(text, "gpu-node-1")
    expand(text)
