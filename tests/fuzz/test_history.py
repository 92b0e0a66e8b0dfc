"""What Prometheus answers, and what is kept of days that are over."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.config import Prometheus
from exporter.errors import HistoryError, StoredDayError
from exporter.report import days
from exporter.report.cache import _KEPT, TaskCache
from exporter.report.history.client import PrometheusClient, _PassingError
from exporter.report.history.gpus import places
from exporter.report.history.queries import Question
from exporter.report.history.responses import label_sets
from exporter.report.past import _entry
from tests.fuzz.fuzzing import TEXTS, documents, mutated, reads_or_refuses
from tests.support.periods import month, week_of_accounts
from tests.support.samples import table

UUID = "52f67b3700dcc6f3"
QUESTION = Question("test", "up", frozenset({"gpu_uuid"}))
LABELS = {"__name__": "amdgpu_observed_seconds_total", "hostname": "colab-gpu1", "gpu": "0", "gpu_uuid": UUID}


def success(data: object, **beside: object) -> bytes:
    return json.dumps({"status": "success", "data": data, **beside}, separators=(",", ":")).encode()


MATRIX = {
    "resultType": "matrix",
    "result": [
        {"metric": LABELS, "values": [[1753113600 + 15 * n, str(15.0 * n)] for n in range(4)]},
        {"metric": {**LABELS, "gpu": "1"}, "values": [[1753113600, "NaN"], [1753113615.5, "1e3"]]},
    ],
}
VECTOR = {"resultType": "vector", "result": [{"metric": LABELS, "value": [1753113600, "1"]}]}
ANSWERS = [
    success(MATRIX, warnings=["partial"]),
    success(VECTOR, isPartial=True),
    success([LABELS]),
    b'{"status":"error","errorType":"bad_data","error":"parse error"}',
]
TOKENS = [
    b'"values":[[', b"]]", b"]", b"[", b"{", b'"', b",", b"null", b"NaN", b'"+Inf"', b"1e999", b"9" * 5000, b"-1",
    b"[" * 3000,
    b'"value":', b'"metric":{', b'"result":', b'"warnings":', b'"status":"success"', b"\\ud800",
]  # fmt: skip
BODIES = mutated(ANSWERS, TOKENS) | documents(
    "status", "data", "resultType", "result", "metric", "value", "values", "error", "warnings", "infos", "isPartial"
).map(lambda found: json.dumps(found, separators=(",", ":")).encode())
ENDLESS = 1e300


@given(BODIES, st.sampled_from([200, 200, 200, 400, 401, 422, 500, 503]))
@reads_or_refuses(HistoryError, _PassingError)
def test_series(body: bytes, status: int) -> None:
    client = PrometheusClient(Prometheus())
    decode: Callable[[Any], Any] = partial(client._series, QUESTION, -ENDLESS, ENDLESS)
    found = client._decoded("http://127.0.0.1", QUESTION, status, body, decode)
    for series in found:
        assert len(series.times) == len(series.values) > 0
        assert np.isfinite(series.times).all()
        assert np.isfinite(series.values).all()
        assert (np.diff(series.times) > 0).all()
        assert (series.values >= 0).all()
        assert series.labels["gpu_uuid"] is not None
    for remark in client.remarks:
        assert remark.text.isprintable() or not remark.text.isascii()


@given(BODIES)
@reads_or_refuses(HistoryError, _PassingError)
def test_label_sets(body: bytes) -> None:
    for labels in PrometheusClient(Prometheus())._decoded("http://127.0.0.1", QUESTION, 200, body, label_sets):
        assert all(isinstance(text, str) for text in (*labels, *labels.values()))


@example({"gpu": "1" * 5000})
@given(st.dictionaries(st.sampled_from([*LABELS]), TEXTS))
@reads_or_refuses()
def test_where_labels_say_that_a_gpu_was(labels: dict[str, str]) -> None:
    places({frozenset((LABELS | labels).items()): table((0.0, 1.0))})


def resealed(text: bytes) -> bytes:
    """A stored day whose seal fits, whatever it says."""
    return gzip.compress(text + hashlib.sha256(text).hexdigest().encode() + b"\n", 1)


ACCOUNT = week_of_accounts()[0]
DAY = days.dumped(replace(ACCOUNT, parts=ACCOUNT.parts[:4]))
LINES = gzip.decompress(DAY).rpartition(b"\n")[0].rpartition(b"\n")[0] + b"\n"
DAY_TOKENS = [
    b"null",
    b"NaN",
    b"1e999",
    b"-1",
    b"9" * 5000,
    b"\n",
    b"[" * 3_000,
    b"{",
    b'"2025-02-30"',
    b'"UTC"',
    b"\\ud800",
    b"true",
]
FILES = mutated([DAY]) | mutated([LINES, LINES.partition(b"\n")[0] + b"\n"], DAY_TOKENS).map(resealed)


@example(resealed(LINES.partition(b"\n")[0] + b"\nnull\n"))
@example(resealed(b"[" * 3_000 + b"\n"))
@given(FILES)
@reads_or_refuses(StoredDayError)
def test_stored_days(content: bytes) -> None:
    with TemporaryDirectory() as name:
        file = Path(name, str(month().first), days.FILE)
        file.parent.mkdir()
        file.write_bytes(content)
        _entry(file.parent.name, file.parent)
        account = days.loaded(file)
        assert math.isfinite(account.seconds)
        for part in account.parts:
            assert all(math.isfinite(figure) for figure in (part.seconds, *part.amounts))


TASKS = _KEPT.dump_json(((), ()))
KEPT = mutated(
    [
        (
            b'[[{"task_id":"f3c1","username":"itrd","task_type":"LAB","gpus":[{"uuid":"52f67b3700dcc6f3","gpu_id":"27"}],'
            b'"start":1751328000.0,"end":Infinity}],[{"task_id":"","reason":"r","gpu_uuids":[],"start":-Infinity}]]'
        ),
        TASKS,
    ],
    [b"NaN", b"null", b"-1", b"[" * 500, b'"', b"1e999"],
)


@given(KEPT)
@reads_or_refuses()
def test_tasks_that_were_kept(content: bytes) -> None:
    day = month().days()[0]
    with TemporaryDirectory() as name:
        cache = TaskCache(Path(name), "http://127.0.0.1", "UTC")
        cache._file(day).write_bytes(content)
        found = cache.get(day)
        for task in found[0] if found else ():
            assert task.start <= task.end
