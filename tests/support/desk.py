"""A desk where reports are made: `exporter report` with a real Prometheus and the stand-in API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from exporter.demo.api import StandInApi
from exporter.demo.cluster import Cluster
from exporter.model import Task
from tests.support.command_line import run


@dataclass(slots=True)
class Desk:
    """An administrator's machine: a Prometheus, an API, a config file and a folder for reports."""

    directory: Path
    prometheus: str
    api: StandInApi

    @property
    def reports(self) -> Path:
        return self.directory / "reports"

    async def report(self, *arguments: str, **changes: dict[str, Any]) -> tuple[int, str, str]:
        """Exit code, stdout and stderr, with sections of the config changed."""
        token = self.directory / "token"
        token.write_text(self.api.token)
        token.chmod(0o600)
        settings: dict[str, dict[str, Any]] = {
            "tasks": {"url": self.api.url, "token_file": str(token)},
            "prometheus": {"url": self.prometheus},
            "report": {},
        }
        for name, section in changes.items():
            settings[name] |= section
        config = self.directory / "config.yaml"
        config.write_text(yaml.safe_dump(settings))
        return await asyncio.to_thread(run, ["report", "--config", str(config), *arguments])


@asynccontextmanager
async def desk_of(cluster: Cluster, prometheus: str, directory: Path) -> AsyncIterator[Desk]:
    """One whose API tells the cluster's tasks."""

    def tasks(start: float, end: float, _now: float) -> tuple[Task, ...]:
        return cluster.tasks(start, end)

    async with StandInApi(tasks) as api:
        yield Desk(directory, prometheus, api)
