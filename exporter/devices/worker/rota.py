"""Whose turn it is: one thread reads all GPUs, one after the other; one that dawdles gets a thread for itself.

A thread that wakes finds its caches cold, so that a sweep by one thread costs a fraction of what it does by as many
as there are GPUs. A GPU that keeps the thread for longer than `PATIENCE` keeps it for good: another goes on with the
round, and the GPU has the first for itself until it is prompt again. So a GPU that hangs delays others once, and for
no longer than that.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Protocol

from exporter.devices.worker.outbox import Outbox

PATIENCE = 0.05
"""Seconds that one GPU may take in a round of all."""
_PROMPT_TURNS = 3
"""In a row, after which a GPU that has a thread for itself is read with the others again."""


class Reader(Protocol):
    """One who is on the rota."""

    due: float
    """CLOCK_MONOTONIC seconds of its next turn; infinite while it is still at the last."""

    def turn(self) -> None:
        """Reads one GPU, says what came of it, and when it is due again."""


class Beat:
    """When GPUs are read: all at the same instants.

    Args:
        interval: seconds between them.
    """

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._origin = time.monotonic()

    def after(self, instant: float) -> float:
        """Returns the first beat that is later."""
        return self._origin + (math.floor((instant - self._origin) / self.interval) + 1) * self.interval


class Rota:
    """Has those who are due take their turns, for ever.

    Args:
        beat: when that is looked at.
        outbox: sends what a round brought when it is over.
    """

    def __init__(self, beat: Beat, outbox: Outbox) -> None:
        self._beat = beat
        self._outbox = outbox
        self._changed = threading.Condition()
        self._readers: list[Reader] = []
        self._round: threading.Thread | None = None
        """The thread that goes round."""
        self._turn: tuple[Reader, float] | None = None
        """Whose turn it is in the round, and since when."""

    def add(self, reader: Reader) -> None:
        """Takes one more into the round."""
        with self._changed:
            self._readers.append(reader)
            if self._round is None:
                self._begin()
            self._changed.notify()

    def watch(self) -> None:
        """Leaves a thread to one who keeps it; called by another, at `look_at` at the latest."""
        with self._changed:
            if self._turn is not None and time.monotonic() - self._turn[1] > PATIENCE:
                self._readers.remove(self._turn[0])
                self._begin()

    def look_at(self, now: float) -> float:
        """Returns when to look again whether somebody dawdles."""
        turn = self._turn
        return PATIENCE + (self._beat.after(now) if turn is None else turn[1])

    def _begin(self) -> None:
        self._turn = None
        self._round = threading.Thread(target=self._go_round, name="round", daemon=True)
        self._round.start()

    def _go_round(self) -> None:
        """The life of a thread: all take their turns, until one keeps it."""
        due: list[Reader] = []
        while True:
            with self._changed:
                while not due:
                    self._outbox.flush()
                    due = self._due()
                reader = due.pop()
                self._turn = reader, time.monotonic()
            reader.turn()
            with self._changed:
                if self._round is not threading.current_thread():
                    break
                self._turn = None
        self._serve(reader)

    def _due(self) -> list[Reader]:
        """Returns who is due, the last first, after waiting for that until the next beat."""
        now = time.monotonic()
        due = [reader for reader in self._readers if reader.due <= now]
        if not due:
            self._changed.wait(self._beat.after(now) - now)
        return due[::-1]

    def _serve(self, reader: Reader) -> None:
        """The rest of that life: for the one who kept it, until that is prompt."""
        prompt = 0
        while prompt < _PROMPT_TURNS:
            began = time.monotonic()
            if reader.due > began:
                self._outbox.flush()
                time.sleep(min(reader.due, self._beat.after(began)) - began)
                continue
            reader.turn()
            prompt = prompt + 1 if time.monotonic() - began <= PATIENCE else 0
        self.add(reader)
