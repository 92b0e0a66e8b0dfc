"""A day of a Slurm cluster, in a minute: what is accounted agrees with what Slurm's own accounting says."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from exporter.table import table
from tests.slurm.machine import GPUS, SEED, Cluster, prometheus, running, serving, until, uuids
from tests.support.exporter import Metrics

pytestmark = pytest.mark.slurm

CONFIG = {
    "listen": {"host": "127.0.0.1"},
    "devices": {"source": "simulated", "interval": "200ms", "simulated": {"gpus": GPUS, "seed": SEED}},
    "metering": {"birth": "4s"},
    "tasks": {"source": "slurm", "refresh": "2s", "settle": "2s", "timeout": "60s"},
}
PARTITIONS = 2
"""Of each GPU."""
_METRICS = "http://127.0.0.1:9942/metrics"


@dataclass(frozen=True)
class Run:
    """One run of a job on node 1, as sacct times it and the Prolog saw its GPUs."""

    job: str
    user: str
    start: int
    end: int
    indices: tuple[int, ...]

    @property
    def gpus(self) -> set[int]:
        """The packages: index 0 and 1 are the partitions of the first."""
        return {index // PARTITIONS for index in self.indices}


@dataclass(frozen=True)
class Compared:
    """One user's seconds on one GPU."""

    user: str
    ownership: str
    gpu: int
    sacct: float
    counter: float
    increase: float


def scrape(slurm: Cluster) -> Metrics:
    return Metrics(slurm.get(_METRICS))


def serves(slurm: Cluster) -> bool:
    try:
        return scrape(slurm).value("amdgpu_exporter_task_refreshes_total", result="ok") not in (None, 0.0)
    except subprocess.CalledProcessError:
        return False


def seconds_pass(seconds: int) -> None:
    """Lets so many seconds of the day pass."""
    until_instant = time.time() + seconds
    until(lambda: time.time() >= until_instant, f"{seconds} s passed")


def minute_is_over(instant: int) -> None:
    """Waits until the minute of an instant is over, and scraped."""
    end = (instant // 60 + 1) * 60 + 10
    until(lambda: time.time() > end, "the minute is over")


def live_through(slurm: Cluster) -> None:
    """Jobs of two users: an array, a requeue, a suspension, two nodes, two components, a short one, one that waits."""
    training = slurm.submit("alice", "--gpus=4", "--nodelist=gpu-node-1", "--requeue")
    slurm.until(training, "RUNNING")
    array = slurm.submit("bob", "--array=1-2", "--gpus=1", "--nodelist=gpu-node-1", script="exec sleep 9")
    both = slurm.submit("bob", "--nodes=2", "--ntasks=3", "--gpus=3", "--gpus-per-task=1", script="exec sleep 14")
    later = slurm.submit("bob", "--gpus=1", "--begin=now+10hours")
    slurm.until(both, "RUNNING")
    seconds_pass(4)
    slurm.run("scontrol", "requeue", training)
    until(lambda: slurm.job(training)["job_state"] == ["PENDING"], "it waits again")
    seconds_pass(3)
    slurm.run("scontrol", "update", f"JobId={training}", "StartTime=now")
    slurm.until(training, "RUNNING")
    slurm.until(array, "COMPLETED")
    # Two users on one GPU: it has two partitions, and five of the eight are taken.
    slurm.until(both, "COMPLETED")
    mine = slurm.submit("alice", "--gpus=1", "--nodelist=gpu-node-1", "--qos=urgent")
    theirs = slurm.submit("bob", "--gpus=1", "--nodelist=gpu-node-1")
    slurm.until(mine, "RUNNING")
    slurm.until(theirs, "RUNNING")
    slurm.run("scontrol", "suspend", theirs)
    short = slurm.submit("bob", "--gpus=1", "--nodelist=gpu-node-1", script="true")
    slurm.until(short, "COMPLETED")
    pair = ("--ntasks=1", "--gpus=1")
    slurm.submit("alice", *pair, "--nodelist=gpu-node-1", ":", *pair, "--nodelist=gpu-node-2", script="exec sleep 5")
    seconds_pass(6)
    slurm.run("scontrol", "resume", theirs)
    seconds_pass(3)
    slurm.run("scancel", training, mine, theirs, later)
    slurm.run("scancel", "--user=alice")
    until(lambda: not slurm.run("squeue", "--noheader").strip(), "all have ended")


def accounted(slurm: Cluster) -> list[list[str]]:
    """What sacct says of each run of each job, once it knows of all ends."""
    form = ("--format=JobIDRaw,User,Start,End,ElapsedRaw,Suspended", "--noheader", "--parsable2", "--allocations")
    ask = ("env", "TZ=UTC", "SLURM_TIME_FORMAT=%s", "sacct", "--duplicates", "--allusers", *form)

    def told() -> list[list[str]]:
        return [line.split("|") for line in slurm.run(*ask).splitlines()]

    until(lambda: all(end.isdecimal() for *_, end, _, _ in told()), "sacct knows of all ends")
    return told()


def runs(slurm: Cluster) -> list[Run]:
    """Each run of each job that had GPUs of node 1: times from sacct, GPUs from the Prolog."""
    indices: dict[tuple[str, int], tuple[int, ...]] = {}
    for line in (slurm.root / "tmp/witness").read_text().splitlines():
        context, node, job, _, start, _, gpus = line.split()
        if context.startswith("prolog") and node == "gpu-node-1":
            indices[job, int(start)] = tuple(map(int, gpus.split(",")))
    found = []
    for job, user, start, end, elapsed, suspended in accounted(slurm):
        if start.isdecimal() and (job, int(start)) in indices:
            hours, minutes, rest = map(int, suspended.split(":"))
            # A suspended job keeps its GPUs; sacct leaves the time out.
            assert int(elapsed) + 3600 * hours + 60 * minutes + rest == pytest.approx(int(end) - int(start), abs=1)
            found.append(Run(job, user, int(start), int(end), indices[job, int(start)]))
    assert len(found) == len(indices), (found, indices)
    return found


def truth(found: list[Run]) -> dict[tuple[str, str], dict[int, float]]:
    """GPU-seconds by user and ownership, on each GPU: every second is divided equally among the tasks that hold it."""
    owned: dict[tuple[str, str], dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for second in range(min(run.start for run in found), max(run.end for run in found)):
        for gpu in range(GPUS):
            holding = [run for run in found if run.start <= second < run.end and gpu in run.gpus]
            users = {run.user for run in holding}
            for run in holding:
                owned[run.user, "owned" if len(users) == 1 else "shared"][gpu] += 1 / len(holding)
    return owned


def increases(slurm: Cluster, seconds: int) -> Iterator[tuple[str, str, str, float]]:
    """Yields user, ownership, GPU and increase() of the owner's seconds over the last so many."""
    query = f"increase(amdgpu_owner_seconds_total%7Busername!=''%7D%5B{seconds}s%5D)".replace("'", "%22")
    for one in json.loads(slurm.get(f"http://127.0.0.1:9090/api/v1/query?query={query}"))["data"]["result"]:
        labels = one["metric"]
        yield labels["username"], labels["ownership"], labels["gpu"], float(one["value"][1])


def compared(
    expected: dict[tuple[str, str], dict[int, float]], metrics: Metrics, increased: list[tuple[str, str, str, float]]
) -> list[Compared]:
    """Each user's seconds on each GPU, three times."""
    rows = []
    for (user, ownership), by_gpu in sorted(expected.items()):
        for gpu, seconds in sorted(by_gpu.items()):
            labels = {"username": user, "ownership": ownership, "gpu": str(gpu)}
            counter = sum(metrics.values("amdgpu_owner_seconds_total", **labels))
            increase = sum(value for *names, value in increased if names == [user, ownership, str(gpu)])
            rows.append(Compared(user, ownership, gpu, seconds, counter, increase))
    return rows


def shown(
    found: list[Run], began: int, rows: list[Compared], totals: dict[str, float], reported: dict[str, float]
) -> str:
    """The truth table, for whoever runs this."""
    by_start = sorted(found, key=lambda run: (run.start, int(run.job)))
    jobs = [(run.job, run.user, str(run.start - began), str(run.end - run.start), str(run.indices)) for run in by_start]
    seconds = [
        (row.user, row.ownership, str(row.gpu), *(f"{value:.2f}" for value in (row.sacct, row.counter, row.increase)))
        for row in rows
    ]
    users = [(user, f"{total:.2f}", f"{reported[user]:.2f}") for user, total in totals.items()]
    return "\n\n".join(
        (
            table(("job", "user", "start s", "seconds", "partitions"), jobs),
            table(("user", "ownership", "GPU", "sacct s", "counter s", "increase() s"), seconds),
            table(("user", "sacct s", "report s"), users),
        )
    )


def zone_of_noon() -> str:
    """Returns a time zone in which it is about noon: the day neither begins nor ends meanwhile."""
    ahead = 12 - time.gmtime().tm_hour
    return f"Etc/GMT{-ahead:+d}"


def report(slurm: Cluster, folder: Path) -> tuple[str, dict[str, float]]:
    """Returns where `exporter report` takes tasks of today from, and the owned seconds of each user."""
    zone = zone_of_noon()
    config = folder / "report.yaml"
    config.write_text(yaml.safe_dump({"tasks": {"source": "slurm"}, "report": {"min_coverage": 0}}))
    today = subprocess.run(["date", "+%F"], env={"TZ": zone}, capture_output=True, text=True, check=True).stdout.strip()
    options = ("--date", today, "--timezone", zone, "--format", "json")
    words = slurm.beside(sys.executable, "-m", "exporter", "report", "--config", str(config), *options)
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode in {0, 3}, done.stderr
    told = json.loads(done.stdout)
    sys.stderr.write(f"{done.stderr}\n{told['sources']}\n{told['users']}\n")  # shown by pytest where a test fails
    owned = {user["username"]: user["usage"]["owned_gpu_hours"] * 3600 for user in told["users"]}
    return told["sources"]["tasks"], owned


def test_a_day_of_slurm_is_accounted_as_sacct_times_it(
    slurm: Cluster, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    began = time.time()
    with (
        serving(slurm, yaml.safe_dump(CONFIG), tmp_path / "exporter.log") as served,
        running(prometheus(slurm, tmp_path / "prometheus"), tmp_path / "prometheus.log"),
    ):
        until(lambda: served.poll() is not None or serves(slurm), "the exporter serves")
        # A report of a day that is not over knows what was scraped at its whole minutes.
        minute_is_over(int(time.time()))
        live_through(slurm)
        found = runs(slurm)
        over = max(run.end for run in found)
        until(lambda: scrape(slurm).value("amdgpu_exporter_tasks_last_success_timestamp_seconds") > over + 5, "booked")  # type: ignore[operator]
        until(lambda: max(scrape(slurm).values("amdgpu_exporter_unbooked_seconds")) < 60, "booked")
        metrics = scrape(slurm)
        window = int(time.time() - began) + 5
        increased = list(increases(slurm, window))
        minute_is_over(over)
        source, reported = report(slurm, tmp_path)

    expected = truth(found)
    rows = compared(expected, metrics, increased)
    totals = {user: sum(row.sacct for row in rows if row.user == user) for user in ("alice", "bob")}
    record_property("table", shown(found, int(began), rows, totals, reported) + f", tasks from {source}")
    for row in rows:
        assert row.counter == pytest.approx(row.sacct, abs=1), row
        # Prometheus extrapolates half a scrape interval at either end of the window.
        assert row.increase == pytest.approx(row.sacct, abs=1 + row.sacct / 50), row
    assert reported == pytest.approx(totals, abs=1)
    assert metrics.value("amdgpu_exporter_malformed_tasks") == 0
    assert {label["gpu_uuid"] for label in metrics.labels("amdgpu_owner_seconds_total")} == set(uuids())
