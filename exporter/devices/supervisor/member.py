"""A worker of the supervisor's, and what was heard of it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from exporter.devices.protocol import LIBRARY, Batch, LibraryNews, LibraryState
from exporter.devices.supervisor.process import Worker
from exporter.model import Gpu

_MOST_HELD = 64
"""Batches of a successor that are kept; what is older is told again by later ones."""
_BEATS = 1.5
"""After which every GPU has told that the library serves it, or why not."""


@dataclass(eq=False, slots=True)
class Member:
    """One worker: the incumbent, or a successor on trial."""

    worker: Worker
    heard_at: float
    reason: str
    """Why it was started; empty for the first."""
    library: LibraryNews = field(default_factory=lambda: LibraryNews(LibraryState.STARTING))
    has_spoken: bool = False
    settled_at: float = math.inf
    """When the library began to serve, or refused."""
    _held: list[Batch] = field(default_factory=list)
    _gpus: dict[str, Gpu] = field(default_factory=dict)

    def hold(self, batch: Batch) -> None:
        """Keeps what it tells as a successor."""
        self._held.append(batch)
        self._gpus.update(batch.gpus)
        del self._held[:-_MOST_HELD]

    def take(self) -> list[Batch]:
        """Returns all that was kept, and of who GPUs are only the last word."""
        for batch in self._held:
            batch.gpus = [(address, gpu) for address, gpu in batch.gpus if self._gpus[address] is gpu]
        held, self._held = self._held, []
        return held

    @property
    def silent(self) -> dict[str, str]:
        """What it does not ask the library, or cannot, by key, and why."""
        news = self.library
        silent = dict(self.worker.plan.left_out) | {key: one.message for key, one in news.given_up.items()}
        if news.late is not None:
            silent[LIBRARY] = "a call does not come back"
        if news.error is not None:
            silent[LIBRARY] = news.error.message
        return silent

    @property
    def is_proven(self) -> bool:
        """It has read what it can, and the library has answered for each GPU or refuses to begin."""
        told = self.settled_at + _BEATS * self.worker.plan.interval
        return self.has_spoken and time.monotonic() >= told
