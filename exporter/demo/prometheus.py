"""A real Prometheus on loopback, for the demo and the tests."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType
from typing import Self

from exporter.demo.process import ServerProcess

_LISTENING = re.compile(r'msg="Listening on".* address=(\S+)')
_READY = re.compile(r"Server is ready to receive web requests")


class PrometheusServer:
    """Runs Prometheus, with its remote-write receiver on, from entry to exit of an `async with`.

    Args:
        directory: Where its config and data are kept; made if need be. An earlier run's data are still there.
        config: The text of prometheus.yml.
        port: The loopback port; 0 takes a free one.
        retention: For how long it keeps samples, as Prometheus spells durations.
        block: How much time the newest data span, before they go to the disk. Weeks that are written at once go in
            blocks of a day far faster than in the usual ones of two hours.
    """

    def __init__(
        self, directory: Path, config: str = "{}", *, port: int = 0, retention: str = "10y", block: str = "2h"
    ) -> None:
        self._directory = directory
        self._config = config
        file = directory / "prometheus.yml"
        self._process = ServerProcess(
            (
                "prometheus",
                f"--config.file={file}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--storage.tsdb.retention.time={retention}",
                f"--web.listen-address=127.0.0.1:{port}",
                f"--storage.tsdb.min-block-duration={block}",
                "--web.enable-remote-write-receiver",
            ),
            package="prometheus",
            milestones=(_LISTENING, _READY),
        )

    @property
    def url(self) -> str:
        """Where its HTTP API answers."""
        return f"http://{self._process.found[0][1]}"

    @property
    def pid(self) -> int:
        """Of the running process."""
        return self._process.pid

    async def __aenter__(self) -> Self:
        """Starts it, and returns when it answers.

        Raises:
            ExporterError: It is not installed, or did not start; with its last words.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / "prometheus.yml").write_text(self._config, encoding="utf-8")
        await self._process.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it."""
        await self._process.__aexit__(kind, error, trace)
