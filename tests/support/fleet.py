"""Many nodes in one process: real services on ports of their own, with simulated GPUs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

from exporter import config
from exporter.devices.simulated import SimulatedGpus, SimulatedSource, Workload
from exporter.model import TaskGpu
from exporter.service import Service

GPUS = 8
"""Of each node."""


class Twin(SimulatedGpus):
    """GPUs with unique ids of their own and the load of others: to draw a load takes 10 ms a GPU."""

    def __init__(self, workload: Workload, node: int) -> None:
        super().__init__(workload)
        self.gpus = tuple(
            replace(gpu, uuid=named.uuid, aliases=frozenset({named.uuid}))
            for gpu, named in zip(self.gpus, task_gpus(node), strict=True)
        )


def task_gpus(node: int) -> list[TaskGpu]:
    """The GPUs of a node as tasks name them."""
    return [TaskGpu(f"{node + 1:08x}{index:08x}", str(node * GPUS + index)) for index in range(GPUS)]


@asynccontextmanager
async def fleet(nodes: int, settings: Mapping[str, Any]) -> AsyncIterator[list[Service]]:
    """Runs node0, node1 …; `settings` are those of each config file, `hostname` and `listen` aside."""
    workload = Workload(0, GPUS)
    async with AsyncExitStack() as stack:
        services = []
        for node in range(nodes):
            own = {"hostname": f"node{node}", "listen": {"host": "127.0.0.1", "port": 0}}
            settled = config.parse({**settings, **own}, where=f"node{node}")
            services.append(Service(settled, SimulatedSource(settled.devices, Twin(workload, node))))
            await stack.enter_async_context(services[-1].running())
        yield services


def discovered(services: Iterable[Service]) -> str:
    """What `file_sd_configs` reads."""
    return json.dumps([{"targets": [f"127.0.0.1:{service.web.port}" for service in services]}])
