"""Who reads when: all in one thread, but for those who dawdle."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from exporter.devices.protocol import Batch
from exporter.devices.worker.outbox import Outbox
from exporter.devices.worker.rota import PATIENCE, Beat, Rota
from exporter.model import Health

_MOST_SECONDS = 60.0


class OneGpu:
    """A reader that notes the threads of its turns, and may be made to hang in one, or to be slow in each."""

    def __init__(self, beat: Beat) -> None:
        self.due = time.monotonic()
        self.threads: list[threading.Thread] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.is_slow = False
        self.is_over = False
        self.is_answered_later = False
        self._beat = beat

    def turn(self) -> None:
        if self.is_over:
            threading.Event().wait()  # a thread cannot be ended
        self.threads.append(threading.current_thread())
        self.may_go_on.wait()
        if self.is_slow:
            time.sleep(2 * PATIENCE)
        self.due = math.inf if self.is_answered_later else self._beat.after(time.monotonic())

    @contextmanager
    def hanging(self) -> Iterator[None]:
        self.may_go_on.clear()
        try:
            yield
        finally:
            self.may_go_on.set()


class Round:
    """Some GPUs on a rota, and who sends what they say, as the worker's main thread does."""

    def __init__(self, count: int) -> None:
        self.outbox = Outbox()
        beat = Beat(0.02)
        self.rota = Rota(beat, self.outbox)
        self.gpus = [OneGpu(beat) for _ in range(count)]

    def begin(self) -> None:
        for gpu in self.gpus:
            self.rota.add(gpu)

    def until(self, happened: Callable[[], object]) -> None:
        deadline = time.monotonic() + _MOST_SECONDS
        while not happened():
            assert time.monotonic() < deadline
            self.outbox.wait(self.rota.look_at(time.monotonic()) - time.monotonic())
            self.rota.watch()

    def all_have_turns(self, count: int, *, without: OneGpu | None = None) -> None:
        """Waits until each has had so many turns more."""
        wanted = {gpu: len(gpu.threads) + count for gpu in self.gpus if gpu is not without}
        self.until(lambda: all(len(gpu.threads) >= turns for gpu, turns in wanted.items()))


@pytest.fixture
def eight() -> Iterator[Round]:
    eight = Round(8)
    yield eight
    for gpu in eight.gpus:
        gpu.is_over = True


def is_in_the_round(eight: Round, gpu: OneGpu) -> Callable[[], bool]:
    others = [one for one in eight.gpus if one is not gpu]
    return lambda: all(one.threads[-1] is gpu.threads[-1] for one in others)


def test_one_who_hangs_delays_the_others_once_and_is_read_with_them_again_when_it_is_prompt(eight: Round) -> None:
    third = eight.gpus[3]
    eight.begin()
    eight.all_have_turns(2)
    with third.hanging():
        turns = len(third.threads)
        eight.until(lambda: len(third.threads) > turns)
        eight.all_have_turns(5, without=third)
        assert len(third.threads) == turns + 1
    eight.all_have_turns(5)
    eight.until(is_in_the_round(eight, third))


def test_one_who_is_always_slow_has_a_thread_for_itself(eight: Round) -> None:
    third = eight.gpus[3]
    third.is_slow = True
    eight.begin()
    eight.all_have_turns(1)
    eight.until(lambda: third.threads[-1] not in {gpu.threads[-1] for gpu in eight.gpus if gpu is not third})


def test_one_who_dawdles_and_has_no_answer_yet_is_waited_for(eight: Round) -> None:
    third = eight.gpus[3]
    third.is_slow = third.is_answered_later = True
    eight.begin()
    eight.all_have_turns(5, without=third)
    assert len(third.threads) == 1
    third.is_slow = third.is_answered_later = False
    third.due = time.monotonic()
    eight.until(is_in_the_round(eight, third))


def _tell_of(address: str, batch: Batch) -> None:
    batch.health.append((address, Health()))


def test_what_a_round_brings_is_sent_when_it_is_over() -> None:
    outbox = Outbox()
    for address in ("0000:05:00", "0000:07:00"):
        outbox.put(partial(_tell_of, address), waits=True)
        assert not outbox.wait(0)
    outbox.flush()
    assert outbox.wait(0)
    assert [address for address, _ in outbox.take().health] == ["0000:05:00", "0000:07:00"]
    outbox.flush()
    assert not outbox.wait(0)  # nothing is held any more


def test_beats_come_at_whole_intervals_and_each_is_later() -> None:
    beat = Beat(0.25)
    first = beat.after(time.monotonic())
    assert beat.after(first + 0.1) - first == pytest.approx(0.25)
    assert beat.after(first + 0.6) - first == pytest.approx(0.75)
    assert beat.after(first - 0.1) == pytest.approx(first)
