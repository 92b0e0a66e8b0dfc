from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator

import pytest

from exporter import log
from exporter.config import Log
from exporter.log import UnhurriedHandler

PIPE_BYTES = 2**16


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.Logger("test")  # noqa: LOG001  of its own, with no parent
    yield logger
    logger.handlers.clear()


def test_who_logs_does_not_wait_for_who_does_not_read(logger: logging.Logger) -> None:
    reading, writing = os.pipe()
    logger.addHandler(UnhurriedHandler(writing))
    line = "x" * 999
    for _ in range(log._MOST_WAITING + 200):  # more than the pipe and the queue hold
        logger.warning(line)
    told = b""
    while told.count(b"\n") < log._MOST_WAITING:
        told += os.read(reading, PIPE_BYTES)
    logger.warning("now")
    while b"now" not in told:
        told += os.read(reading, PIPE_BYTES)
    *lines, last = told.decode().splitlines()
    dropped = [int(one.split()[0]) for one in lines if one.endswith("whoever reads it was too slow")]

    assert dropped
    assert lines.count(line) + sum(dropped) == log._MOST_WAITING + 200
    assert lines.count(line) + len(dropped) == len(lines)
    assert last == "now"


def test_what_was_logged_before_the_end_is_written(logger: logging.Logger) -> None:
    reading, writing = os.pipe()
    handler = UnhurriedHandler(writing)
    logger.addHandler(handler)
    logger.warning("last words: \ud800")
    handler.flush()

    assert os.read(reading, PIPE_BYTES) == b"last words: \\ud800\n"


def test_a_log_that_nobody_reads_any_more_ends_nothing(logger: logging.Logger) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    handler = UnhurriedHandler(writing)
    logger.addHandler(handler)
    logger.warning("one")
    logger.warning("two")
    handler.flush()
    assert any(thread.name == "log" for thread in threading.enumerate())


def test_new_settings_change_the_format_and_keep_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    root = logging.RootLogger(logging.WARNING)
    monkeypatch.setattr(logging, "getLogger", lambda *_: root)
    with os.fdopen(writing, "w") as stderr:
        monkeypatch.setattr("sys.stderr", stderr)
        log.configure(Log(), waits=False)
        (handler,) = root.handlers
        log.configure(Log(format="json"), waits=False)
        assert root.handlers == [handler]
        root.error("it is %s", "broken")
        handler.flush()
        entry = json.loads(os.read(reading, PIPE_BYTES))
    assert (entry["level"], entry["message"]) == ("error", "it is broken")
