"""A TaskSource that asks Slurm: who has which GPU of this node."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from exporter import config
from exporter.errors import TasksError, TasksNetworkError
from exporter.labels import bounded
from exporter.model import Answer, MalformedTask, Scope, Task, TaskGpu
from exporter.tasks.slurm import hooks
from exporter.tasks.slurm.gpus import NodeGpus
from exporter.tasks.slurm.jobs import JobReader, task_type
from exporter.tasks.slurm.runs import Kept, Runs
from exporter.tasks.slurm.scontrol import run
from exporter.tasks.threads import in_daemon_thread


class SlurmSource:
    """Asks the controller about the jobs on this node; what they had is known only from when it first asked.

    Args:
        settings: The section `tasks`.
        wall: Unix seconds.
        sysfs: Where it is mounted.
        folder: Where Slurm's scripts leave what they know.
    """

    has_past = False

    def __init__(
        self,
        settings: config.Tasks,
        *,
        wall: Callable[[], float] = time.time,
        sysfs: str = "/sys",
        folder: Path = hooks.FOLDER,
    ) -> None:
        self._settings = settings.slurm
        self._timeout = settings.timeout
        self._node = settings.slurm.node or socket.gethostname().partition(".")[0]
        self.name = f"Slurm's controller, asked about {self._node}"
        self._wall = wall
        self._sysfs = sysfs
        self._folder = folder
        self._runs = Runs(wall())
        self._lock = threading.Lock()
        """A question that nobody waits for any more goes on in its thread."""

    async def tasks(self, start: float, end: float, username: str | None = None, scope: Scope | None = None) -> Answer:
        """Returns every task of this node that overlaps a window, as TaskSource says.

        Raises:
            TasksNetworkError: No controller answers, or not in time; there is no `scontrol`.
            TasksAuthError: munge refuses.
            TasksServerError: `scontrol` fails, or gres.conf cannot be read.
            TasksPayloadError: It prints something else than Slurm 24.05 and later do.
        """
        try:
            return await in_daemon_thread(lambda: self._ask(start, end, username, scope))
        except OSError as error:
            what = f"cannot be asked ({error.strerror}): this process is short of what that takes"
            raise TasksNetworkError(f"{self.name}: {what}") from error
        except TasksError as error:
            raise type(error)(f"{self.name}: {error}") from error

    def _ask(self, start: float, end: float, username: str | None, scope: Scope | None) -> Answer:
        with self._lock:
            as_of, now = time.monotonic(), self._wall()
            gpus = NodeGpus(self._node, self._settings.gres_conf, self._sysfs)
            reader = JobReader(self._node)
            reader.close(run(self._settings.scontrol, self._timeout, reader.feed))
            # After the controller was asked: what ended meanwhile has an end.
            traces = hooks.traces(self._folder)
            self._runs.learn(now, reader.jobs, reader.waiting, traces, gpus)
            mine = scope.gpu_uuids if scope else gpus.uuids
            kept = self._runs.between(start, end)
            doubts = tuple(self._runs.doubts(start, end, sorted(mine)))
        hostname = scope.hostname if scope else self._node
        tasks, nameless = [], []
        for one in kept:
            if not one.job.username:
                uuids = tuple(uuid for _, uuid in one.gpus)
                nameless.append(MalformedTask(one.job.job_id, "it has no user", uuids, one.job.start, one.job.end))
            elif username in (None, one.job.username):
                tasks.append(self._task(one, hostname))
        return Answer(tuple(tasks), (*doubts, *nameless), as_of=as_of, since=start, until=end, about=mine)

    def _task(self, kept: Kept, hostname: str) -> Task:
        job = kept.job
        return Task(
            task_id=bounded(job.job_id),
            username=job.username,
            task_type=task_type(job, self._settings.type),
            gpus=tuple(TaskGpu(uuid, gpu_id=f"{self._node}:{number}") for number, uuid in kept.gpus),
            start=job.start,
            end=job.end,
            hostname=hostname,
            project_uuid=job.account,
        )
