from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from exporter.model import RUNNING
from exporter.tasks.slurm import hooks
from exporter.tasks.slurm.hooks import Trace
from exporter.tasks.slurm.jobs import Job
from tests.support.roots import REPOSITORY

SCRIPT = (REPOSITORY / "deploy/slurm/gpu-times.sh").read_text()
PROLOG = {
    "PATH": "/usr/bin:/bin",
    "SLURM_SCRIPT_CONTEXT": "prolog_slurmd",
    "SLURM_JOB_ID": "6",
    "SLURM_JOB_USER": "bob",
    "SLURM_JOB_UID": "2002",
    "SLURM_JOB_ACCOUNT": "biolab",
    "SLURM_JOB_PARTITION": "gpu",
    "SLURM_JOB_GPUS": "3,1",
    "SLURM_JOB_START_TIME": "1795675116",
    "SLURM_JOB_END_TIME": "1795675176",
}
"""As Slurm 24.11 sets them; this end is when the time limit would end the job."""
EPILOG = PROLOG | {"SLURM_SCRIPT_CONTEXT": "epilog_slurmd", "SLURM_JOB_END_TIME": "1795675120"}


def run(folder: Path, environment: dict[str, str]) -> None:
    """Runs the script, which has its folder elsewhere."""
    assert str(hooks.FOLDER) in SCRIPT
    there = SCRIPT.replace(str(hooks.FOLDER), str(folder))
    done = subprocess.run(["sh", "-c", there], env=environment, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_prolog_and_epilog_tell_begin_end_and_gpus(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    run(folder, PROLOG)
    begun = Trace(Job("6", "bob", "biolab", "gpu", "", 1795675116, RUNNING), (1, 3))
    assert hooks.traces(folder) == {("6", 1795675116): begun}

    run(folder, EPILOG)
    ended = Trace(Job("6", "bob", "biolab", "gpu", "", 1795675116, 1795675120), (1, 3))
    assert hooks.traces(folder) == {("6", 1795675116): ended}
    assert [path.name for path in folder.iterdir()] == ["6.1795675116"]


def test_runs_of_a_requeued_job_are_told_apart(tmp_path: Path) -> None:
    run(tmp_path, EPILOG)
    run(tmp_path, PROLOG | {"SLURM_JOB_START_TIME": "1795675200"})
    assert set(hooks.traces(tmp_path) or ()) == {("6", 1795675116), ("6", 1795675200)}


def test_a_job_without_gpus_leaves_nothing(tmp_path: Path) -> None:
    run(tmp_path / "runs", {key: value for key, value in EPILOG.items() if key != "SLURM_JOB_GPUS"})
    assert not (tmp_path / "runs").exists()


def test_where_nothing_can_be_written_the_job_does_not_notice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run(tmp_path / "file", EPILOG)
    run(Path("/proc/nothing"), EPILOG)


def test_without_the_folder_the_scripts_are_not_in_use(tmp_path: Path) -> None:
    assert hooks.traces(tmp_path / "none") is None
    assert hooks.traces(tmp_path) == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SLURM_JOB_ID=6\nSLURM_JOB_GPUS=0\n",
        "SLURM_JOB_ID=six\nSLURM_JOB_GPUS=0\nSLURM_JOB_START_TIME=5\n",
        "SLURM_JOB_ID=6\nSLURM_JOB_GPUS=0,x\nSLURM_JOB_START_TIME=5\n",
        "SLURM_JOB_ID=6\nSLURM_JOB_GPUS=\nSLURM_JOB_START_TIME=5\n",
        "SLURM_JOB_ID=6\nSLURM_JOB_GPUS=0\nSLURM_JOB_START_TIME=0\n",
        "SLURM_JOB_ID=6\nSLURM_JOB_GPUS=0\nSLURM_JOB_START_TIME=99999999999999999999\n",
    ],
)
def test_half_a_file_is_none(text: str) -> None:
    assert hooks.parse(text) is None
