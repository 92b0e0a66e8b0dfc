"""What the exporter makes of a controller that is away, and of one that refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.slurm.machine import Cluster, serving, until
from tests.slurm.test_day import CONFIG, scrape, serves

pytestmark = pytest.mark.slurm

_REFRESHES = "amdgpu_exporter_task_refreshes_total"


def counted(slurm: Cluster, result: str) -> float:
    return scrape(slurm).value(_REFRESHES, result=result) or 0.0


def test_what_is_known_stays_while_the_controller_is_away(slurm: Cluster, tmp_path: Path) -> None:
    job = slurm.submit("alice", "--gpus=2", "--nodelist=gpu-node-1")
    slurm.until(job, "RUNNING")
    log = tmp_path / "exporter.log"
    with serving(slurm, yaml.safe_dump(CONFIG), log) as served:
        until(lambda: served.poll() is not None or serves(slurm), "the exporter serves")
        until(lambda: scrape(slurm).values("amdgpu_task_info", task_id=job) != [], "the job is told of")

        slurm.run("scontrol", "shutdown", "slurmctld")
        until(lambda: counted(slurm, "network") > 0, "a refresh fails for want of a controller")
        (told,) = (labels for labels in scrape(slurm).labels("amdgpu_task_info") if labels["task_id"] == job)
        assert (told["username"], told["task_type"], told["project_uuid"]) == ("alice", "gpu", "biolab")
        slurm.run("slurmctld")
        until(lambda: "answers again" in log.read_text(), "the controller answers again")

        slurm.run("sh", "-c", "kill $(cat /run/munge/munged.pid)")
        until(lambda: counted(slurm, "auth") > 0, "a refresh fails for want of munge")
        slurm.run("setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", "munged")
        before = counted(slurm, "ok")
        until(lambda: counted(slurm, "ok") > before, "munge lets it in again")

        slurm.run("scancel", job)
        until(lambda: scrape(slurm).values("amdgpu_utilization_ratio", username="alice") == [], "the job has ended")
    said = log.read_text()
    assert "is slurmctld running, and slurm.conf that of its cluster?" in said
    assert "is munge running with the cluster's key" in said
