"""What the consumption API answers, and the token it is asked with."""

from __future__ import annotations

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import TasksAuthError, TasksPayloadError
from exporter.model import Scope
from exporter.tasks.consumption import dates
from exporter.tasks.consumption.client import _age, _clock_offset
from exporter.tasks.consumption.credentials import TokenReader
from exporter.tasks.consumption.parse import AnswerReader
from tests.fuzz.fuzzing import SCALARS, TEXTS, documents, mutated, reads_or_refuses

ZONE = ZoneInfo("Asia/Taipei")
UUID = "APU-52f67b3700dcc6f3"
ENTRY = {
    "username": "itrd",
    "hostname": "colab-gpu4",
    "gpus": [{"uuid": UUID, "id": 27, "name": "AMD Instinct MI300X", "memory": 196592}],
    "task": {"_type": "WEBAPP", "project_uuid": "9b2d", "image": "ollama:0.6.2-rocm", "create_time": ""},
    "start": "Wed, 16 Jul 2025 08:19:32 GMT",
    "end": "",
    "total_seconds": 86399.0,
}
SAMPLES = [
    json.dumps(answer).encode()
    for answer in (
        {"f3c1": ENTRY, "f3c2": ENTRY | {"end": 1752653972, "gpus": {"27": UUID}}},
        {"status": "ok", "total": 1, "data": [ENTRY | {"id": "f3c1", "gpus": [UUID]}]},
    )
]
TOKENS = [
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"null", b"NaN", b"1e999999", b"9" * 5000, b"-", b"\\ud800", b"[" * 2000,
    b'{"gpus":', b'"start":', b'"uuid":', b'"1970-01-01"', b"<html>", b"\xef\xbb\xbf",
]  # fmt: skip
DATES = (
    mutated(
        [
            b"Wed, 16 Jul 2025 08:19:32 GMT",
            b"2025-07-16T08:19:32+08:00",
            b"1752653972.5",
            b"Mon, 01 Jan 0001 00:00:00 GMT",
        ]
    ).map(lambda data: data.decode(errors="replace"))
    | st.text("MonTueJanFeb,0123456789:+- GMT.()", max_size=40)
    | TEXTS
)


def read(body: bytes, piece: int, scope: Scope | None) -> None:
    reader = AnswerReader(ZONE, scope)
    for start in range(0, len(body), piece):
        reader.feed(body[start : start + piece])
    reader.close()
    for task in reader.tasks:
        assert task.username
        assert task.gpus
        assert math.isfinite(task.start)
        assert task.start <= task.end
        for text in (task.username, task.task_id, task.task_type, task.image, task.project_uuid, task.hostname):
            assert len(text) <= 256
            text.encode()
    for entry in reader.malformed:
        assert entry.start <= entry.end
        assert len(entry.reason) < 120


@given(
    mutated(SAMPLES, TOKENS) | documents(*ENTRY, "uuid", "id", "data").map(lambda found: json.dumps(found).encode()),
    st.integers(1, 5000),
    st.none() | st.just(Scope("colab-gpu4", frozenset({UUID[4:]}))),
)
@reads_or_refuses(TasksPayloadError)
def test_answers(body: bytes, piece: int, scope: Scope | None) -> None:
    read(body, piece, scope)


@given(SCALARS | DATES)
@reads_or_refuses()
def test_dates_of_tasks(value: object) -> None:
    found = dates.instant(value, ZONE)
    assert found is None or 9e8 < found < 4.2e9
    dates.is_zero(value)


@given(DATES | st.none(), TEXTS | st.none())
@reads_or_refuses()
def test_the_headers_date_and_age(date: str | None, age: str | None) -> None:
    seconds = _age(age)
    assert 0 <= seconds <= 2**31
    offset = _clock_offset(date, seconds, 1.8e9, 1.8e9 + 0.2)
    assert offset is None or math.isfinite(offset)


@given(st.binary(max_size=60) | mutated([b"eyJhbGciOi.JIUzI1NiJ9\n", b"Bearer abc"], [b"\r\nX: y", b"\n", b"\0"]))
@reads_or_refuses(TasksAuthError)
def test_token_files(content: bytes) -> None:
    with TemporaryDirectory() as name:
        file = Path(name, "token")
        file.touch(mode=0o600)
        file.write_bytes(content)
        token = TokenReader(file).read()
        assert token is not None
        assert token.value.isascii()
        assert token.value.isprintable()
        assert " " not in token.value
