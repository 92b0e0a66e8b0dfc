"""What a worker process says, be its memory corrupt, and what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import Sequence
from dataclasses import fields
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import example, given
from hypothesis import strategies as st

from exporter.config import Config
from exporter.devices.protocol import Batch, Failure, LibraryNews, LibraryState, encode
from exporter.devices.supervisor.process import Worker
from exporter.devices.supervisor.roster import Roster
from exporter.errors import WorkerCrashedError
from exporter.model import Gpu, Health, Process, Reading
from exporter.service import Service
from tests.fuzz.fuzzing import NUMBERS, SCALARS, TEXTS, dear, documents, mutated, reads_or_refuses
from tests.support.loopless import at_once

ADDRESS = "0000:05:00"
UUID = "52f67b3700dcc6f3"
GPU = Gpu(0, UUID, frozenset({UUID}), "AMD Instinct MI300X", f"{ADDRESS}.0", vram_total_bytes=2**37, source="amdsmi")


def line(taken: float, **batch: Any) -> bytes:
    reading = Reading(taken, 0.5, 0.2, 2**30, 650.0, 1e6, {"hotspot": 65.0}, {"gfx": 2.1e9}, {"ppt": 7}, 100)
    return encode(Batch(gpus=[(ADDRESS, GPU)], readings=[(ADDRESS, 0.001, reading)], present=[ADDRESS], **batch))


SAMPLES = [
    line(1.0),
    line(
        2.0,
        health=[(ADDRESS, Health({"correctable": 3}, 1))],
        processes=[(ADDRESS, (Process(1, 2**30, "python3", "4f9d", "root"),))],
        failures=[(ADDRESS, 1.5, Failure("gpu_lost", "it fell off the bus"))],
        library=LibraryNews(LibraryState.SERVING, listed=[ADDRESS], given_up={ADDRESS: Failure("timeout", "late")}),
        covered=[ADDRESS],
    ),
    encode(Batch(nothing=Failure("no_driver", "none"))),
]
TOKENS = [b"null", b"NaN", b"-Infinity", b"1e999", b"9" * 400, b"-1", b'""', b"[]", b"{}", b"[", b"\n"]
KEYS = [field.name for kind in (Batch, Gpu, Reading, Health) for field in fields(kind)]


def heard(said: bytes) -> list[Batch]:
    """What a service hears of a process that says this, until it gives it up."""

    async def listen() -> list[Batch]:
        reader = asyncio.StreamReader(limit=2**16)
        reader.feed_data(said)
        reader.feed_eof()
        process = SimpleNamespace(wait=lambda: asyncio.sleep(0), returncode=0, pid=1)
        worker = Worker(*cast("Any", (process, reader, None, None, None)))
        batches = []
        with contextlib.suppress(WorkerCrashedError):
            while True:
                batches.append(await worker.batch())
        await worker.ended
        return batches

    return asyncio.run(listen())


def tell(batches: Sequence[Batch]) -> None:
    """Takes batches into a service that read well before, and reads on after."""
    now = 0.0
    service = Service(Config(hostname="colab-gpu1"), cast("Any", None), monotonic=lambda: now, wall=lambda: 1.8e9 + now)
    roster = Roster(service.sink)
    for said in (*heard(line(0.5)), *batches, *heard(line(3.0)), *heard(line(4.0))):
        now += 1.0
        roster.hear(said)
        for failure in (said.nothing, said.library.error if said.library else None):
            if failure is not None:
                failure.error()
        service.sink.exposition.outdated()
        at_once(service.sink.exposition(""))
    for state in service.node.snapshot().gpus:
        assert all(math.isfinite(value) and value >= 0 for value in state.counters or ())


@dear
@given(mutated(SAMPLES, TOKENS) | documents(*KEYS).map(lambda document: json.dumps(document).encode() + b"\n"))
@reads_or_refuses()
def test_what_a_worker_says(said: bytes) -> None:
    tell(heard(said))


READINGS = st.fixed_dictionaries(
    {"taken": NUMBERS},
    optional={
        "utilization": NUMBERS,
        "vram_used_bytes": NUMBERS,
        "power_watts": NUMBERS,
        "energy_joules": NUMBERS,
        "temperatures_celsius": st.dictionaries(TEXTS, NUMBERS, max_size=2),
        "clocks_hertz": st.dictionaries(TEXTS, NUMBERS, max_size=2),
        "throttle_residency": st.dictionaries(st.just("ppt"), NUMBERS),
        "throttle_ticks": NUMBERS,
        "xgmi_read_bytes": st.dictionaries(TEXTS, NUMBERS, max_size=2),
        "pcie_replays": NUMBERS,
        "period": NUMBERS,
    },
)
GPUS = st.fixed_dictionaries(
    {"index": NUMBERS, "uuid": TEXTS | st.just(UUID)},
    optional={
        "aliases": st.lists(TEXTS, max_size=3),
        "model": TEXTS,
        "source": SCALARS,
        "vram_total_bytes": NUMBERS,
        "library_version": TEXTS,
    },
)
BATCHES = st.fixed_dictionaries(
    {},
    optional={
        "gpus": st.lists(st.tuples(st.just(ADDRESS) | TEXTS, GPUS), max_size=2),
        "readings": st.lists(st.tuples(st.just(ADDRESS), NUMBERS, READINGS), max_size=3),
        "health": st.lists(
            st.tuples(
                st.just(ADDRESS),
                st.fixed_dictionaries({"ecc_errors": st.dictionaries(TEXTS, NUMBERS), "retired_pages": NUMBERS}),
            ),
            max_size=1,
        ),
        "failures": st.lists(
            st.tuples(st.just(ADDRESS) | TEXTS, NUMBERS, st.fixed_dictionaries({"kind": TEXTS, "message": TEXTS})),
            max_size=2,
        ),
        "present": st.lists(st.just(ADDRESS) | TEXTS, max_size=3),
        "covered": st.lists(TEXTS, max_size=3),
    },
)


@dear
@example([{"gpus": [(ADDRESS, {"index": 0, "uuid": "x", "source": "rumour"})], "present": [ADDRESS]}])
@example([{"health": [(ADDRESS, {"ecc_errors": {"correctable": 10**400}, "retired_pages": 0})]}])
@given(st.lists(BATCHES, max_size=3))
@reads_or_refuses()
def test_what_a_worker_says_in_its_own_words(told: list[dict[str, Any]]) -> None:
    for batch in told:
        tell(heard(json.dumps(batch).encode() + b"\n"))
